"""`penstock admin artifact-key`: what signs artifacts, and which other installations' files may come in."""

from __future__ import annotations

import os
from pathlib import Path

import click

from cli.errors import StartError
from cli.marketplace import READABLE, load_keys
from cli.showing import ID, say, show
from cli.target import operator, with_database
from core.operations import artifact_keys


@click.group("artifact-key")
def artifact_key() -> None:
    """What signs what goes to the marketplace and into files."""


@artifact_key.command("rotate")
def rotate_key() -> None:
    """Make another key; it signs from now on. What the others have signed stays good."""
    say({"id": with_database(lambda database, _: artifact_keys.rotate_artifact_key(operator(0), database, os.urandom))})


@artifact_key.command("list")
def list_keys() -> None:
    """List the keys, newest first: own ones and trusted ones."""
    found = with_database(lambda database, _: artifact_keys.list_artifact_keys(database))
    rows = [
        {
            "id": key.id,
            "kid": key.kid,
            "origin": key.origin,
            "signs": "yes" if key.signs else "",
            "created_at": key.created_at,
            "revoked_at": key.revoked_at,
        }
        for key in found
    ]
    show(rows, "id", "kid", "origin", "signs", "created_at", "revoked_at")


@artifact_key.command("revoke")
@click.argument("key", type=ID)
def revoke_key(key: int) -> None:
    """Take nothing any more that a key has signed; nothing it has signed can be installed or imported."""
    if not with_database(lambda database, _: artifact_keys.revoke_artifact_key(operator(0), database, key)):
        raise StartError(f"There is no artifact key {key}, or it was revoked.")
    say({"revoked": key})


@artifact_key.command("trust")
@click.argument("file", type=READABLE)
def trust_keys(file: Path) -> None:
    """Let files in that another installation has signed: FILE is its saved /.well-known/penstock-keys.json."""
    keys = load_keys(file)
    added = with_database(lambda database, _: artifact_keys.trust_artifact_keys(operator(0), database, keys))
    say({"trusted": len(added)})
