"""Who may log in for a company, and which programs act for them. Asked for at the command line only.

Users go by number alone there, so the principal's own company is taken from the user. Passwords are hashed where they
stand, which takes tens of milliseconds: nothing that answers requests may do that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from core.domain.access import (
    CLIENT_PREFIX,
    CLIENT_SECRET_PREFIX,
    Principal,
    Role,
    credential_digest,
    new_credential,
)
from core.domain.errors import NotFound
from core.domain.passwords import check_password, hash_password, judge
from core.domain.people import OAuthClient, User, check_email, digest_of_subject, folded
from core.store import audit_events, login_failures, oauth_clients, users
from core.store.database import Connection, Database

USER_UNKNOWN = "User was not found"

CLIENT_ID_BYTES = 12


@dataclass(frozen=True, slots=True)
class NewClient:
    """An OAuth client just made. `secret` is not kept anywhere: show it once."""

    id: int
    client_id: str
    secret: str


async def create_user(
    principal: Principal, database: Database, *, email: str, name: str, role: Role, password: str
) -> User:
    """Somebody of the principal's company who may log in with this address and password.

    Raises Invalid, NotFound for the company, and AlreadyExists for an address that anybody of any company logs in with.
    """
    address, password_hash = check_email(email), hash_password(check_password(password))

    async def work(connection: Connection) -> User:
        user = await users.create(
            connection,
            principal.company_id,
            email=address,
            email_folded=folded(address),
            name=name,
            role=role,
            password_hash=password_hash,
        )
        details = {"name": name, "role": role}
        await audit_events.record(connection, principal, "user.create", ("user", user.id), details=details)
        return user

    return await database.transaction(work)


async def set_password(principal: Principal, database: Database, user_id: int, password: str) -> None:
    """Another password; every token of before opens nothing from this commit on. Raises Invalid, NotFound."""
    password_hash = hash_password(check_password(password))

    async def change(connection: Connection, user: User) -> bool:
        await login_failures.forget_account(connection, digest_of_subject(folded(user.email)))
        return await users.set_password(connection, user.company_id, user.id, password_hash)

    await _change(principal, database, user_id, "user.password", change)


async def set_role(principal: Principal, database: Database, user_id: int, role: Role) -> None:
    """Another role, from this commit on, for tokens there are as well. Raises NotFound."""

    async def change(connection: Connection, user: User) -> bool:
        return await users.set_role(connection, user.company_id, user.id, role)

    await _change(principal, database, user_id, "user.role", change, {"role": role})


async def close_user(principal: Principal, database: Database, user_id: int) -> bool:
    """No login, no token of the user and none of an OAuth client opens anything from this commit on.

    False if that was so before. Raises NotFound.
    """

    async def change(connection: Connection, user: User) -> bool:
        return await users.close(connection, user.company_id, user.id)

    return await _change(principal, database, user_id, "user.close", change)


async def reopen_user(principal: Principal, database: Database, user_id: int) -> bool:
    """The user may log in again, with the old password; older tokens stay closed. False if it was open."""

    async def change(connection: Connection, user: User) -> bool:
        return await users.reopen(connection, user.company_id, user.id)

    return await _change(principal, database, user_id, "user.reopen", change)


async def delete_user(principal: Principal, database: Database, user_id: int) -> None:
    """Removes the user with its OAuth clients; the address is free again. Raises NotFound.

    What the user did stays in the audit trail under its number, which nobody else ever gets.
    """

    async def change(connection: Connection, user: User) -> bool:
        return await users.delete(connection, user.company_id, user.id)

    await _change(principal, database, user_id, "user.delete", change)


async def create_client(
    principal: Principal, database: Database, user_id: int, *, name: str, random_text: Callable[[int], str]
) -> NewClient:
    """A program that may fetch tokens with that user's role. Raises NotFound."""
    client_id = CLIENT_PREFIX + random_text(CLIENT_ID_BYTES)
    secret = new_credential(CLIENT_SECRET_PREFIX, random_text)

    async def work(connection: Connection) -> NewClient:
        user = await _find(connection, user_id)
        made = await oauth_clients.create(
            connection, user.company_id, user.id, name=name, client_id=client_id, digest=credential_digest(secret)
        )
        if made is None:
            raise NotFound(USER_UNKNOWN)
        actor = replace(principal, company_id=user.company_id)
        details = {"name": name, "user": user.id}
        await audit_events.record(connection, actor, "oauth_client.create", ("oauth_client", made.id), details=details)
        return NewClient(made.id, client_id, secret)

    return await database.transaction(work)


async def revoke_client(principal: Principal, database: Database, number: int) -> bool:
    """Neither its secret nor a token it fetched opens anything from this commit on; False if there is none to close."""

    async def work(connection: Connection) -> bool:
        company_id = await oauth_clients.revoke(connection, number)
        if company_id is None:
            return False
        actor = replace(principal, company_id=company_id)
        await audit_events.record(connection, actor, "oauth_client.revoke", ("oauth_client", number))
        return True

    return await database.transaction(work)


async def list_users(database: Database, company_id: int) -> list[User]:
    async with database.connection() as connection:
        return await users.list_of(connection, company_id)


async def list_clients(database: Database, company_id: int) -> list[OAuthClient]:
    async with database.connection() as connection:
        return await oauth_clients.list_of(connection, company_id)


async def find_user(database: Database, company_id: int, email: str) -> User | None:
    """The company's user of that address."""
    async with database.connection() as connection:
        return await users.find_by_email(connection, company_id, folded(email))


async def knows_password(database: Database, email: str, password: str) -> bool:
    """Whether somebody would get in with these; nothing is counted and no token made."""
    async with database.connection() as connection:
        known = await users.find_login(connection, folded(email))
    return judge(known["password_hash"] if known else None, password).right


async def _change(
    principal: Principal,
    database: Database,
    user_id: int,
    action: str,
    change: Callable[[Connection, User], Awaitable[bool]],
    details: dict[str, object] | None = None,
) -> bool:
    """One change of one user with its event; no event, and False, where nothing had to change."""

    async def work(connection: Connection) -> bool:
        user = await _find(connection, user_id)
        if not await change(connection, user):
            return False
        actor = replace(principal, company_id=user.company_id)
        await audit_events.record(connection, actor, action, ("user", user.id), details=details)
        return True

    return await database.transaction(work)


async def _find(connection: Connection, user_id: int) -> User:
    user = await users.find(connection, user_id)
    if user is None:
        raise NotFound(USER_UNKNOWN)
    return user
