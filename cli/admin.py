"""`penstock admin`: companies, applications, tokens, keys and what signs callbacks; people in admin_people.py."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

import click

from cli.admin_artifacts import artifact_key
from cli.admin_metrics import metrics
from cli.admin_people import oauth_client, signing_key, user
from cli.demo_company import new_webhook_secret
from cli.errors import StartError
from cli.showing import ID, say, show
from cli.target import operator, with_database
from core.domain.access import ENQUEUES, admits
from core.domain.audit import AuditSelection
from core.domain.identifiers import hex_id
from core.domain.scopes import SCOPES
from core.operations import access, audit, firing
from core.operations.stories import read_webhook_secrets
from core.settings import Settings
from core.store.database import Database


@click.group()
def admin() -> None:
    """Who may use this installation."""


@admin.command("pause-firing")
@click.option("--reason", help="Why, for whoever wonders later.")
def pause_firing(reason: str | None) -> None:
    """Fire and dispatch nothing from now on, for all companies; what is due is accounted for as skipped."""
    since = with_database(lambda database, _: firing.pause_firing(operator(0), database, reason))
    if since is None:
        raise StartError("firing is paused already; see penstock admin resume-firing")
    say({"paused": since.isoformat()})


@admin.command("resume-firing")
def resume_firing() -> None:
    """Fire everything again from now on."""
    since = with_database(lambda database, _: firing.resume_firing(operator(0), database))
    if since is None:
        raise StartError("firing is not paused")
    say({"paused since": since.isoformat(), "resumed": "now"})


@admin.group()
def company() -> None:
    """Tenants."""


@company.command("create")
@click.argument("name")
@click.option("--parent", type=ID, help="The parent company's id.")
def create_company(name: str, parent: int | None) -> None:
    """Make a company with its default application."""
    company_id, application_id = with_database(
        lambda database, _: access.create_company(
            operator(0), database, name, parent_id=parent, webhook_secret=new_webhook_secret()
        )
    )
    say({"company": company_id, "application": hex_id(application_id)})


@company.command("list")
def list_companies() -> None:
    """List all companies."""
    columns = ("id", "name", "parent_id", "rate_limit", "created_at")
    show(with_database(lambda database, _: access.list_companies(database)), *columns)


@company.command("rate-limit")
@click.argument("company", type=ID)
@click.argument("requests", required=False, type=click.IntRange(0, 1_000_000))
def set_rate_limit(company: int, requests: int | None) -> None:
    """Set how many requests a minute a company may make: 0 is any number, none is PENSTOCK_RATE_LIMIT again."""
    with_database(lambda database, _: access.set_rate_limit(operator(company), database, requests))
    say({"company": company, "rate-limit": "default" if requests is None else requests})


@company.command("revoke")
@click.argument("company", type=ID)
def revoke_company(company: int) -> None:
    """Close everything that opens a company at once: its tokens, keys, users and OAuth clients."""
    say(with_database(lambda database, _: access.revoke_company(operator(company), database)))


@admin.group()
def application() -> None:
    """Containers of flows."""


@application.command("create")
@click.argument("company", type=ID)
@click.argument("name")
def create_application(company: int, name: str) -> None:
    """Make one more application of a company."""
    application_id = with_database(lambda database, _: access.create_application(operator(company), database, name))
    say({"application": hex_id(application_id)})


@application.command("list")
@click.argument("company", type=ID)
def list_applications(company: int) -> None:
    """List a company's applications."""
    rows = with_database(lambda database, _: access.list_applications(database, company))
    show([{**row, "id": hex_id(row["id"])} for row in rows], "id", "name", "is_default", "created_at")


@application.command("revoke")
@click.argument("application", type=ID)
def revoke_application(application: int) -> None:
    """Close every token of an application at once."""
    say({"tokens": with_database(lambda database, _: access.revoke_application(operator(0), database, application))})


@admin.group()
def token() -> None:
    """Bearer tokens of an application."""


@token.command("create")
@click.argument("application", type=ID)
@click.option("--name", default="token", show_default=True)
@click.option("--scope", "scopes", multiple=True, default=["all.Application"], show_default=True)
@click.option("--expires", type=click.DateTime(), help="When it stops working, in UTC.")
def create_token(application: int, name: str, scopes: tuple[str, ...], expires: datetime | None) -> None:
    """Make a token. It is shown now and never again; what it opens and when it ends cannot be changed later."""
    if expires is not None and expires.replace(tzinfo=UTC) <= datetime.now(UTC):
        raise click.BadParameter("lies in the past (it is read as UTC)", param_hint="--expires")

    async def work(database: Database, _: Settings) -> access.NewCredential:
        owner = operator(await access.find_application_company(database, application))
        return await access.create_token(
            owner,
            database,
            application,
            name=name,
            scopes=scopes,
            expires_at=expires.replace(tzinfo=UTC) if expires else None,
            random_text=secrets.token_urlsafe,
        )

    made = with_database(work)
    say({"id": made.id, "token": made.secret})
    if idle := sorted(set(scopes) - _opening()):
        click.echo(f"Nothing here is opened by {', '.join(idle)}.", err=True)


@token.command("list")
@click.argument("application", type=ID)
def list_tokens(application: int) -> None:
    """List an application's tokens."""
    rows = with_database(lambda database, _: access.list_tokens(database, application))
    show(rows, "id", "name", "prefix", "scopes", "active", "expires_at", "revoked_at")


@token.command("scopes")
@click.option("--all", "every", is_flag=True, help="Those that open nothing here, too.")
def list_scopes(every: bool) -> None:
    """List the scopes a token can be created with."""
    for scope in sorted(SCOPES if every else _opening()):
        click.echo(scope)


@token.command("deactivate")
@click.argument("token", type=ID)
def deactivate_token(token: int) -> None:
    """Switch a token off; `activate` switches it on again."""
    _switch(token, active=False)


@token.command("activate")
@click.argument("token", type=ID)
def activate_token(token: int) -> None:
    """Switch a token on again."""
    _switch(token, active=True)


@token.command("revoke")
@click.argument("token", type=ID)
def revoke_token(token: int) -> None:
    """Close a token at once."""
    if not with_database(lambda database, _: access.revoke_token(operator(0), database, token)):
        raise StartError(f"There is no open token {token}.")
    say({"revoked": token})


@admin.group()
def key() -> None:
    """API keys of a company."""


@key.command("create")
@click.argument("company", type=ID)
@click.option("--name", default="key", show_default=True)
def create_key(company: int, name: str) -> None:
    """Make an API key. It is shown now and never again."""
    made = with_database(
        lambda database, _: access.create_key(operator(company), database, name=name, random_text=secrets.token_urlsafe)
    )
    say({"id": made.id, "key": made.secret})


@key.command("list")
@click.argument("company", type=ID)
def list_keys(company: int) -> None:
    """List a company's API keys."""
    rows = with_database(lambda database, _: access.list_keys(database, company))
    show(rows, "id", "name", "prefix", "created_at", "last_used_at", "revoked_at")


@key.command("revoke")
@click.argument("key", type=ID)
def revoke_key(key: int) -> None:
    """Close an API key at once."""
    if not with_database(lambda database, _: access.revoke_key(operator(0), database, key)):
        raise StartError(f"There is no open key {key}.")
    say({"revoked": key})


@admin.command("webhook-secret")
@click.argument("company", type=ID)
@click.option("--new", is_flag=True, help="Make another first; from then on both sign.")
def webhook_secret(company: int, new: bool) -> None:
    """Show what signs a company's callbacks, newest first; the two newest sign."""

    async def work(database: Database, _: Settings) -> list[str]:
        if new:
            await access.add_webhook_secret(operator(company), database, new_webhook_secret())
        return await read_webhook_secrets(database, company)

    found = with_database(work)
    if not found:
        raise StartError(f"There is no company {company}.")
    for secret in found:
        click.echo(secret)


@admin.command("audit")
@click.argument("company", type=ID)
@click.option("--last", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many events.")
def list_audit_events(company: int, last: int) -> None:
    """List what was done in a company, newest first."""
    found, _ = with_database(
        lambda database, _: audit.list_events(operator(company), database, AuditSelection(), limit=last, offset=0)
    )
    columns = ("id", "at", "actor_type", "actor_id", "remote", "action", "subject_type", "subject_id")
    show(({column: getattr(event, column) for column in columns} for event in found), *columns)


admin.add_command(user)
admin.add_command(oauth_client)
admin.add_command(signing_key)
admin.add_command(artifact_key)
admin.add_command(metrics)


def _opening() -> set[str]:
    """The scopes that open something in this release."""
    from service.routes import ROUTES

    needs = [*ENQUEUES.values(), *(route.need for route in ROUTES if route.need)]
    return {scope for scope in SCOPES if any(admits({scope}, need) for need in needs)}


def _switch(token: int, *, active: bool) -> None:
    if not with_database(lambda database, _: access.set_token_active(operator(0), database, token, active=active)):
        raise StartError(f"There is no token {token}, or it was revoked.")
    say({"activated" if active else "deactivated": token})
