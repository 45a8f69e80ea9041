"""`penstock marketplace`: check a file without any server; look at the marketplace, and install from it."""

from __future__ import annotations

from pathlib import Path

import click
import orjson

from cli.errors import StartError
from cli.showing import ID, say, show
from cli.target import operator, with_database
from core.domain.artifacts import MOST_FILE, read_artifact, verify
from core.domain.errors import Invalid
from core.domain.listings import Listing
from core.domain.marketplace import Item
from core.domain.signing import Keys, read_keys
from core.operations import installs
from core.operations import marketplace as operations
from core.operations.installs import InstallRequest
from core.operations.settling import Terms
from core.settings import Settings
from core.store.database import Database

MOST_KEYS_FILE = 1_000_000
"""Bytes of a set of keys that are read: ours has a hundred a key."""

READABLE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def marketplace() -> None:
    """The marketplace: verify, list, install."""


@marketplace.command("verify")
@click.argument("file", type=READABLE)
@click.option("--keys", type=READABLE, required=True, help="Public keys: a saved /.well-known/penstock-keys.json.")
def verify_file(file: Path, keys: Path) -> None:
    """Check a file against public keys, without any server. The exit code is 0 if it is as it was signed, else 1."""
    try:
        verified = verify(_read(file, MOST_FILE), load_keys(keys))
        artifact = read_artifact(verified.artifact)
    except Invalid as refusal:
        raise StartError(f"{file} is not good: {refusal.message}.") from None
    statement = verified.statement
    say(
        {
            "good": file,
            "digest": statement.digest.hex(),
            "key": statement.key_id,
            "flow": artifact.flow.get("name"),
            "version": artifact.version,
            "provenance": orjson.dumps(statement.provenance, option=orjson.OPT_SORT_KEYS).decode(),
        }
    )


@marketplace.command("list")
@click.argument("company", type=ID)
@click.option("--name", help="Only those whose name contains this.")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True)
def list_items(company: int, name: str | None, limit: int) -> None:
    """List what a company can see, the newest first."""
    listing = Listing(limit, 0, {} if name is None else {"name": [name]})

    async def work(database: Database, _: Settings) -> list[Item]:
        return (await operations.list_items(operator(company), database, listing))[0]

    rows = [
        {
            "id": item.id,
            "name": item.name,
            "version": item.version,
            "company": item.company_name,
            "digest": item.digest.hex(),
            "size": item.size,
            "yanked": item.yank_reason,
        }
        for item in with_database(work)
    ]
    show(rows, "id", "name", "version", "company", "digest", "size", "yanked")


@marketplace.command("install")
@click.argument("company", type=ID)
@click.argument("item", type=ID)
@click.option("--name", help="What to call the flow; default: what it is called in the marketplace.")
@click.option("--force", is_flag=True, help="Install it even if it was yanked.")
def install_item(company: int, item: int, name: str | None, force: bool) -> None:
    """Install an item into a company, as a job: a disabled flow with a Draft."""

    async def work(database: Database, settings: Settings) -> str:
        new_id = Terms.of(settings).new_id()
        request = InstallRequest(item, name, force)
        return await installs.accept_install(operator(company), database, request, public_id=new_id, key=None)

    say({"job": with_database(work)})


def load_keys(file: Path) -> Keys:
    """The public keys in a file. Raises StartError if there are none."""
    try:
        return read_keys(orjson.loads(_read(file, MOST_KEYS_FILE)))
    except (orjson.JSONDecodeError, Invalid):
        raise StartError(f"{file} holds no Ed25519 public keys as JWKs.") from None


def _read(file: Path, most: int) -> bytes:
    """No more than a little too much of it, so that what is too large is refused and not held."""
    with file.open("rb") as opened:
        return opened.read(most + 1)
