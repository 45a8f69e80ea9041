"""Credentials: who a request is from, and making, listing and revoking them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime

from asyncpg import Record

from core.domain.access import (
    API_KEY_PREFIX,
    KEY_ROLE,
    PREFIX_LENGTH,
    TOKEN_PREFIX,
    ActorType,
    Claim,
    Principal,
    Visitor,
    admits,
    credential_digest,
    new_credential,
)
from core.domain.errors import Forbidden, Invalid, NotFound, Unauthenticated
from core.domain.scopes import complaints
from core.store import applications, audit_events, companies, oauth_clients, tokens, users
from core.store.database import Connection, Database

APPLICATION_UNKNOWN = "Application was not found"
"""The one answer for an unknown application and for any but the token's own."""

COMPANY_UNKNOWN = "Company was not found"

MOST_CREDENTIAL = 512
"""Characters of a credential worth looking up; ours have 47."""


@dataclass(frozen=True, slots=True)
class NewCredential:
    """A credential just made. `secret` is not kept anywhere: show it once."""

    id: int
    secret: str


def digest_of(credential: str) -> bytes:
    """What a credential is looked up by. Raises Unauthenticated for one that cannot be ours."""
    if not 0 < len(credential) <= MOST_CREDENTIAL:
        raise Unauthenticated
    return credential_digest(credential)


async def authenticate(database: Database, credential: str, *, bearer: bool, remote: str | None) -> Principal:
    """Who sent this token (`bearer`) or raw API key. Raises Unauthenticated for whatever opens nothing."""
    digest = digest_of(credential)
    async with database.connection() as connection:
        row = await tokens.find_caller(connection, digest, is_key=not bearer)
    if row is None:
        raise Unauthenticated
    principal = _principal(row, remote, is_key=not bearer)
    if row["unnoted"]:
        await note_key_use(database, principal)
    return principal


def settle(visitor: Visitor, row: Record | None) -> Principal:
    """Who the row of the statement that looked up a visitor says it is, and that it may do this.

    Raises Unauthenticated for what opens nothing, and Forbidden.
    """
    if visitor.principal is None:
        if row is None:
            raise Unauthenticated
        visitor.principal = _principal(row, visitor.remote, is_key=visitor.is_key)
        visitor.unnoted = row["unnoted"]
    visitor.require(visitor.principal)
    return visitor.principal


async def note_key_use(database: Database, principal: Principal) -> None:
    """Notes that a key was just used, which costs one request a minute and key a small write and its commit."""
    assert principal.actor_id is not None, "a key has a number"
    key_id = principal.actor_id

    async def work(connection: Connection) -> None:
        await tokens.note_key_use(connection, principal.company_id, key_id)

    await database.statement(work)


def admit(claim: Claim, row: Record | None) -> Record:
    """The row of the statement that looked up a claim, if the claim holds.

    Raises Unauthenticated for a token that opens nothing, NotFound for one of another application, and Forbidden for
    one without the scope.
    """
    if row is None:
        raise Unauthenticated
    if row["application_id"] != claim.application_id:
        raise NotFound(APPLICATION_UNKNOWN)
    if not admits(row["scopes"], claim.need):
        raise Forbidden
    return row


async def admitted(connection: Connection, claim: Claim) -> Principal:
    """Who shows this claim, for an operation of several statements. Raises what `admit` raises."""
    row = admit(claim, await tokens.find_caller(connection, claim.digest, is_key=False))
    return _principal(row, claim.remote, is_key=False)


def _principal(row: Record, remote: str | None, *, is_key: bool) -> Principal:
    if is_key:
        return Principal(
            row["company_id"],
            ActorType.API_KEY,
            row["caller_id"],
            remote=remote,
            role=KEY_ROLE,
            rate_limit=row["rate_limit"],
        )
    return Principal(
        row["company_id"],
        ActorType.API_TOKEN,
        row["caller_id"],
        application_id=row["application_id"],
        scopes=frozenset(row["scopes"]),
        remote=remote,
        rate_limit=row["rate_limit"],
    )


async def create_company(
    principal: Principal, database: Database, name: str, *, parent_id: int | None, webhook_secret: str
) -> tuple[int, int]:
    """A tenant with its default application and what signs its callbacks; returns both ids.

    The principal's own company is ignored: only the command line makes companies. Raises NotFound for the parent.
    """

    async def work(connection: Connection) -> tuple[int, int]:
        company_id = await companies.create(connection, name, parent_id)
        application_id = await applications.create(connection, company_id, "Default", is_default=True)
        await companies.create_secret(connection, company_id, webhook_secret)
        maker = replace(principal, company_id=company_id)
        await audit_events.record(connection, maker, "company.create", ("company", company_id), details={"name": name})
        return company_id, application_id

    return await database.transaction(work)


async def add_webhook_secret(principal: Principal, database: Database, secret: str) -> None:
    """One more secret of the principal's company; the two newest sign. Raises NotFound for the company."""

    async def work(connection: Connection) -> None:
        await companies.create_secret(connection, principal.company_id, secret)
        await audit_events.record(connection, principal, "webhook_secret.create", ("company", principal.company_id))

    await database.transaction(work)


async def create_application(principal: Principal, database: Database, name: str) -> int:
    """One more application of the principal's company. Raises NotFound when there is no such company."""

    async def work(connection: Connection) -> int:
        application_id = await applications.create(connection, principal.company_id, name)
        await audit_events.record(
            connection, principal, "application.create", ("application", application_id), details={"name": name}
        )
        return application_id

    return await database.transaction(work)


async def create_token(
    principal: Principal,
    database: Database,
    application_id: int,
    *,
    name: str,
    scopes: Collection[str],
    expires_at: datetime | None,
    random_text: Callable[[int], str],
) -> NewCredential:
    """A bearer token of one application, whose scopes and end never change.

    Raises Invalid for no scope or an unknown one, NotFound for the application.
    """
    if not scopes:
        raise Invalid("at least one is needed", "scope")
    if problems := complaints(scopes):
        raise Invalid(" ".join(problems), "scope")
    secret = new_credential(TOKEN_PREFIX, random_text)

    async def work(connection: Connection) -> NewCredential:
        if await applications.find_company(connection, application_id) != principal.company_id:
            raise NotFound(APPLICATION_UNKNOWN)
        token_id = await tokens.create_token(
            connection,
            company_id=principal.company_id,
            application_id=application_id,
            name=name,
            prefix=secret[:PREFIX_LENGTH],
            digest=credential_digest(secret),
            scopes=set(scopes),
            expires_at=expires_at,
        )
        details = {"name": name, "scopes": sorted(set(scopes))}
        await audit_events.record(connection, principal, "token.create", ("token", token_id), details=details)
        return NewCredential(token_id, secret)

    return await database.transaction(work)


async def create_key(
    principal: Principal, database: Database, *, name: str, random_text: Callable[[int], str]
) -> NewCredential:
    """An API key of the principal's company. Raises NotFound when there is no such company."""
    secret = new_credential(API_KEY_PREFIX, random_text)

    async def work(connection: Connection) -> NewCredential:
        key_id = await tokens.create_key(
            connection,
            company_id=principal.company_id,
            name=name,
            prefix=secret[:PREFIX_LENGTH],
            digest=credential_digest(secret),
        )
        await audit_events.record(connection, principal, "key.create", ("key", key_id), details={"name": name})
        return NewCredential(key_id, secret)

    return await database.transaction(work)


async def revoke_token(principal: Principal, database: Database, token_id: int) -> bool:
    """Closes a token from this commit on; False if there is none to close."""
    return await _change(principal, database, "token", token_id, "revoke", tokens.revoke_token)


async def set_token_active(principal: Principal, database: Database, token_id: int, *, active: bool) -> bool:
    """Switches a token off, or on again, from this commit on; False if there is none, or it was revoked."""

    async def switch(connection: Connection, number: int) -> int | None:
        return await tokens.set_active(connection, number, active=active)

    return await _change(principal, database, "token", token_id, "activate" if active else "deactivate", switch)


async def revoke_key(principal: Principal, database: Database, key_id: int) -> bool:
    """Closes an API key from this commit on; False if there is none to close."""
    return await _change(principal, database, "key", key_id, "revoke", tokens.revoke_key)


async def revoke_application(principal: Principal, database: Database, application_id: int) -> int:
    """Closes every token of an application from this commit on; returns how many. Raises NotFound."""

    async def work(connection: Connection) -> int:
        company_id = await applications.find_company(connection, application_id)
        if company_id is None:
            raise NotFound(APPLICATION_UNKNOWN)
        closed = await tokens.revoke_tokens(connection, company_id, application_id)
        actor = replace(principal, company_id=company_id)
        subject, details = ("application", application_id), {"tokens": closed}
        await audit_events.record(connection, actor, "application.revoke", subject, details=details)
        return closed

    return await database.transaction(work)


async def revoke_company(principal: Principal, database: Database) -> dict[str, int]:
    """Closes everything that opens the principal's company from this commit on, and says how many of each.

    What is made afterwards opens it again. Raises NotFound.
    """

    async def work(connection: Connection) -> dict[str, int]:
        company_id = principal.company_id
        if await applications.find_default(connection, company_id) is None:
            raise NotFound(COMPANY_UNKNOWN)
        closed = {
            "tokens": await tokens.revoke_tokens(connection, company_id, None),
            "keys": await tokens.revoke_keys(connection, company_id),
            "users": await users.close_all(connection, company_id),
            "oauth-clients": await oauth_clients.revoke_all(connection, company_id),
        }
        subject = ("company", company_id)
        await audit_events.record(connection, principal, "company.revoke", subject, details=closed)
        return closed

    return await database.transaction(work)


async def set_rate_limit(principal: Principal, database: Database, requests: int | None) -> None:
    """How often the principal's company may ask in a minute: 0 is any number, None what the installation allows.

    Raises NotFound.
    """

    async def work(connection: Connection) -> None:
        if not await companies.set_rate_limit(connection, principal.company_id, requests):
            raise NotFound(COMPANY_UNKNOWN)
        subject, details = ("company", principal.company_id), {"requests": requests}
        await audit_events.record(connection, principal, "company.rate_limit", subject, details=details)

    await database.transaction(work)


async def find_application_company(database: Database, application_id: int) -> int:
    """Whose an application is, for the command line. Raises NotFound."""
    async with database.connection() as connection:
        company_id = await applications.find_company(connection, application_id)
    if company_id is None:
        raise NotFound(APPLICATION_UNKNOWN)
    return company_id


async def list_companies(database: Database) -> list[Record]:
    async with database.connection() as connection:
        return await companies.list_all(connection)


async def list_applications(database: Database, company_id: int) -> list[Record]:
    async with database.connection() as connection:
        return await applications.list_of(connection, company_id)


async def list_tokens(database: Database, application_id: int) -> list[Record]:
    async with database.connection() as connection:
        return await tokens.list_tokens(connection, application_id)


async def list_keys(database: Database, company_id: int) -> list[Record]:
    async with database.connection() as connection:
        return await tokens.list_keys(connection, company_id)


async def find_company(database: Database, name: str) -> int | None:
    """The oldest company of that name."""
    async with database.connection() as connection:
        return await companies.find_by_name(connection, name)


async def find_default_application(database: Database, company_id: int) -> int:
    """The application every company is born with. Raises NotFound for an unknown company."""
    async with database.connection() as connection:
        application_id = await applications.find_default(connection, company_id)
    if application_id is None:
        raise NotFound(COMPANY_UNKNOWN)
    return application_id


async def _change(
    principal: Principal,
    database: Database,
    noun: str,
    credential_id: int,
    verb: str,
    change: Callable[[Connection, int], Awaitable[int | None]],
) -> bool:
    async def work(connection: Connection) -> bool:
        company_id = await change(connection, credential_id)
        if company_id is None:
            return False
        actor = replace(principal, company_id=company_id)
        await audit_events.record(connection, actor, f"{noun}.{verb}", (noun, credential_id))
        return True

    return await database.transaction(work)
