"""`penstock admin user`, `oauth-client` and `signing-key`: who logs in, what acts for them, what signs their tokens."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from dataclasses import asdict

import click

from cli.errors import StartError
from cli.showing import ID, say, show
from cli.target import operator, with_database
from core.domain.access import Role
from core.domain.passwords import GENERATED_BYTES
from core.operations import logins, people

ROLE = click.Choice([str(role) for role in Role])


@click.group()
def user() -> None:
    """People of a company who may log in."""


@user.command("create")
@click.argument("company", type=ID)
@click.argument("email")
@click.option("--role", type=ROLE, default=str(Role.USER), show_default=True)
@click.option("--name", help="What to call them; default: the address.")
@click.option("--ask", is_flag=True, help="Read the password instead of making one.")
def create_user(company: int, email: str, role: str, name: str | None, ask: bool) -> None:
    """Let somebody in. A password that is made here is shown now and never again."""
    password, told = _password(ask)
    made = with_database(
        lambda database, _: people.create_user(
            operator(company), database, email=email, name=name or email, role=Role(role), password=password
        )
    )
    say({"user": made.id, **told})


@user.command("list")
@click.argument("company", type=ID)
def list_users(company: int) -> None:
    """List a company's people."""
    found = with_database(lambda database, _: people.list_users(database, company))
    show([asdict(each) for each in found], "id", "email", "name", "role", "created_at", "closed_at")


@user.command("password")
@click.argument("user", type=ID)
@click.option("--ask", is_flag=True, help="Read the password instead of making one.")
def set_password(user: int, ask: bool) -> None:
    """Give somebody another password. Every token of theirs is closed at once."""
    password, told = _password(ask)
    with_database(lambda database, _: people.set_password(operator(0), database, user, password))
    say({"user": user, **told})


@user.command("role")
@click.argument("user", type=ID)
@click.argument("role", type=ROLE)
def set_role(user: int, role: str) -> None:
    """Change what somebody may do, at once."""
    with_database(lambda database, _: people.set_role(operator(0), database, user, Role(role)))
    say({"user": user, "role": role})


@user.command("revoke")
@click.argument("user", type=ID)
def revoke_user(user: int) -> None:
    """Close somebody's access at once: login, tokens, OAuth clients."""
    if not with_database(lambda database, _: people.close_user(operator(0), database, user)):
        raise StartError(f"The access of user {user} is closed already.")
    say({"revoked": user})


@user.command("restore")
@click.argument("user", type=ID)
def restore_user(user: int) -> None:
    """Let somebody in again; tokens of before stay closed."""
    if not with_database(lambda database, _: people.reopen_user(operator(0), database, user)):
        raise StartError(f"The access of user {user} is open.")
    say({"restored": user})


@user.command("delete")
@click.argument("user", type=ID)
def delete_user(user: int) -> None:
    """Remove somebody with their OAuth clients. The audit trail keeps their number."""
    with_database(lambda database, _: people.delete_user(operator(0), database, user))
    say({"deleted": user})


@click.group("oauth-client")
def oauth_client() -> None:
    """Programs that act for a user."""


@oauth_client.command("create")
@click.argument("user", type=ID)
@click.option("--name", default="client", show_default=True)
def create_client(user: int, name: str) -> None:
    """Make a client. Its secret is shown now and never again."""
    made = with_database(
        lambda database, _: people.create_client(
            operator(0), database, user, name=name, random_text=secrets.token_urlsafe
        )
    )
    say({"id": made.id, "client_id": made.client_id, "client_secret": made.secret})


@oauth_client.command("list")
@click.argument("company", type=ID)
def list_clients(company: int) -> None:
    """List a company's clients."""
    found = with_database(lambda database, _: people.list_clients(database, company))
    columns = ("id", "name", "client_id", "user_id", "created_at", "last_used_at", "revoked_at")
    show([asdict(each) for each in found], *columns)


@oauth_client.command("revoke")
@click.argument("client", type=ID)
def revoke_client(client: int) -> None:
    """Close a client and its tokens at once."""
    if not with_database(lambda database, _: people.revoke_client(operator(0), database, client)):
        raise StartError(f"There is no open client {client}.")
    say({"revoked": client})


@click.group("signing-key")
def signing_key() -> None:
    """What signs the tokens of all companies."""


@signing_key.command("rotate")
def rotate_signing_key() -> None:
    """Make another key; it signs from now on. Nobody has to log in again."""
    key_id = with_database(
        lambda database, settings: logins.rotate_signing_key(operator(0), database, logins.Issuing.of(settings))
    )
    say({"id": key_id})


@signing_key.command("list")
def list_signing_keys() -> None:
    """List the keys, newest first: the first signs, all of them verify."""
    show(with_database(lambda database, _: logins.list_signing_keys(database)), "id", "kid", "created_at")


@signing_key.command("revoke")
@click.argument("key", type=ID)
def revoke_signing_key(key: int) -> None:
    """Close every token a key has signed, at once; rotate first if it is the newest."""
    if not with_database(lambda database, _: logins.revoke_signing_key(operator(0), database, key)):
        raise StartError(f"There is no signing key {key}.")
    say({"revoked": key})


def _password(ask: bool, random_text: Callable[[int], str] = secrets.token_urlsafe) -> tuple[str, dict[str, str]]:
    """The password, and what to print of it: nothing of one that was typed in, hidden, or piped in as one line."""
    if not ask:
        made = random_text(GENERATED_BYTES)
        return made, {"password": made}
    if sys.stdin.isatty():
        return click.prompt("Password", hide_input=True, confirmation_prompt=True), {}
    return sys.stdin.readline().rstrip("\n"), {}
