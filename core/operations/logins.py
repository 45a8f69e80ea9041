"""Logging in: by password, by an OAuth client's secret, and by the token that either was given."""

from __future__ import annotations

import hmac
import math
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from asyncpg import Record

from core.domain import bearer
from core.domain.access import ActorType, Principal, Role, credential_digest
from core.domain.bearer import LIFETIME, Bearer, SigningKey
from core.domain.errors import LoginFailed, TooManyRequests, Unauthenticated
from core.domain.passwords import Verdict
from core.domain.people import digest_of_subject, folded, neighbourhood
from core.settings import Settings
from core.store import audit_events, login_failures, oauth_clients, signing_keys, users
from core.store.database import Connection, Database
from core.store.login_failures import Patience, Subjects

PATIENCE = Patience(account=10, address=100, window=timedelta(minutes=15))
"""Forty guesses an hour at one account, 400 from one address, which a whole office may share."""

KEY_KEEP = LIFETIME + timedelta(hours=1)
"""How long a signing key verifies after a newer one signs: until its last token has expired, and a little."""

CLIENT_UNKNOWN = "The client is unknown, or its secret is wrong."

_TOKEN_ID_BYTES = 12


class Hashing(Protocol):
    """Compares passwords off the event loop. Raises Unavailable when too many wait for it already."""

    async def judge(self, stored: str | None, password: str) -> Verdict:
        """As core.domain.passwords.judge."""


@dataclass(frozen=True, slots=True)
class Issuing:
    """What the installation calls itself in its tokens, and where what is random in them comes from."""

    issuer: str
    random_bytes: Callable[[int], bytes] = os.urandom
    random_text: Callable[[int], str] = secrets.token_urlsafe

    @classmethod
    def of(cls, settings: Settings) -> Issuing:
        """The issuer is the public URL: a copy of the database that runs elsewhere refuses this one's tokens."""
        return cls(settings.public_url)

    def new_key(self) -> SigningKey:
        return bearer.new_signing_key(self.random_bytes, self.random_text)


@dataclass(frozen=True, slots=True)
class Login:
    """What somebody typed, and where it came from."""

    name: str
    password: str
    remote: str | None


@dataclass(frozen=True, slots=True)
class Issued:
    """A login token and how many seconds it lasts."""

    token: str
    expires_in: int


async def log_in(database: Database, login: Login, hashing: Hashing, issuing: Issuing) -> Issued:
    """A token for whoever knows the password.

    Raises LoginFailed, the same and after the same time for an unknown name, a closed access and a wrong password;
    TooManyRequests after too many of these, decided before the password is compared and once more afterwards, so that
    guesses made at the same time do not count as one.
    """
    subjects = _subjects(login)
    async with database.connection() as connection:
        await _require_patience(connection, subjects)
        known = await users.find_login(connection, folded(login.name))
    verdict = await hashing.judge(known["password_hash"] if known else None, login.password)
    if known is None or not verdict.right:
        await _fail(database, subjects)
        raise LoginFailed

    async def work(connection: Connection) -> Issued:
        await _require_patience(connection, subjects)
        company_id, user_id, epoch = known["company_id"], known["id"], known["epoch"]
        if not await users.is_still_open(connection, company_id, user_id, epoch):
            raise LoginFailed
        if verdict.renewed is not None:
            await users.renew_hash(connection, company_id, user_id, epoch, verdict.renewed)
        await login_failures.forget_account(connection, subjects.account)
        actor = Principal(company_id, ActorType.USER, user_id, remote=login.remote)
        await audit_events.record(connection, actor, "user.login", ("user", user_id))
        return await _issue(connection, Bearer(user_id, epoch), issuing)

    return await database.transaction(work)


async def log_in_client(
    database: Database, client_id: str, secret: str, issuing: Issuing, remote: str | None
) -> Issued:
    """A token for an OAuth client. Raises Unauthenticated for an unknown one, a closed one and a wrong secret."""

    async def work(connection: Connection) -> Issued:
        found = await oauth_clients.find(connection, client_id)
        if found is None or not hmac.compare_digest(found["digest"], credential_digest(secret)):
            raise Unauthenticated(CLIENT_UNKNOWN)
        company_id, number = found["company_id"], found["id"]
        await oauth_clients.note_use(connection, company_id, number)
        actor = Principal(company_id, ActorType.OAUTH_CLIENT, number, remote=remote)
        await audit_events.record(connection, actor, "oauth_client.login", ("oauth_client", number))
        return await _issue(connection, Bearer(found["user_id"], found["epoch"], number), issuing)

    return await database.transaction(work)


async def recognise(database: Database, text: str, issuing: Issuing, *, remote: str | None) -> Principal:
    """Who shows this login token, looked up now. Raises Unauthenticated for whatever opens nothing.

    That is one that is forged, expired, or of another installation; and, from the commit that makes it so, one whose
    user is closed or deleted, or has another password, and one whose OAuth client is revoked.
    """
    shown = bearer.read(text)
    async with database.connection() as connection:
        row = await signing_keys.find_bearer(connection, shown.key_name, shown.bearer)
    if row is None:
        raise Unauthenticated
    bearer.verify(shown, row["secret"], issuer=issuing.issuer, now=row["now"])
    return _principal(shown.bearer, row, remote)


async def rotate_signing_key(principal: Principal, database: Database, issuing: Issuing) -> int:
    """Another key, which signs every token from this commit on; the older ones verify until theirs have expired."""

    async def work(connection: Connection) -> int:
        key_id = await signing_keys.create(connection, issuing.new_key())
        await audit_events.record(connection, principal, "signing_key.create", ("signing_key", key_id))
        return key_id

    return await database.transaction(work)


async def revoke_signing_key(principal: Principal, database: Database, key_id: int) -> bool:
    """Every token this key has signed opens nothing from this commit on; False if there is no such key.

    If it was the newest, the one before signs again; if it was the only one, the next login makes another.
    """

    async def work(connection: Connection) -> bool:
        if not await signing_keys.delete(connection, key_id):
            return False
        await audit_events.record(connection, principal, "signing_key.revoke", ("signing_key", key_id))
        return True

    return await database.transaction(work)


async def list_signing_keys(database: Database) -> list[Record]:
    """Newest first, without their secrets."""
    async with database.connection() as connection:
        return await signing_keys.list_all(connection)


async def prune_logins(database: Database) -> None:
    """Forgets wrong logins of windows that are over, and keys whose last token has expired."""

    async def work(connection: Connection) -> None:
        await login_failures.prune(connection, PATIENCE.window)
        await signing_keys.prune(connection, KEY_KEEP)

    await database.transaction(work)


def _principal(shown: Bearer, row: Record, remote: str | None) -> Principal:
    if row["company_id"] is None or row["client_id"] != shown.client_id:
        raise Unauthenticated
    actor = (ActorType.USER, shown.user_id)
    if shown.client_id is not None:
        actor = (ActorType.OAUTH_CLIENT, shown.client_id)
    return Principal(row["company_id"], *actor, remote=remote, role=Role(row["role"]), rate_limit=row["rate_limit"])


def _subjects(login: Login) -> Subjects:
    return Subjects(digest_of_subject(folded(login.name)), digest_of_subject(neighbourhood(login.remote)))


async def _require_patience(connection: Connection, subjects: Subjects) -> None:
    seconds = await login_failures.find_block(connection, subjects, PATIENCE)
    if seconds is not None:
        raise TooManyRequests("Too many logins have failed; try again later.", math.ceil(seconds))


async def _fail(database: Database, subjects: Subjects) -> None:
    """Counts the failure, or raises TooManyRequests if others used up the window while this password was compared."""

    async def work(connection: Connection) -> None:
        if await login_failures.count(connection, subjects, PATIENCE):
            await _require_patience(connection, subjects)

    await database.transaction(work)


async def _issue(connection: Connection, whose: Bearer, issuing: Issuing) -> Issued:
    newest = await signing_keys.find_newest(connection)
    if newest is None:
        await signing_keys.create(connection, issuing.new_key())
        newest = await signing_keys.find_newest(connection)
    assert newest is not None, "one was made in this transaction"
    key, now = newest
    token_id = issuing.random_text(_TOKEN_ID_BYTES)
    token = bearer.issue(whose, key, issuer=issuing.issuer, token_id=token_id, now=now)
    return Issued(token, int(LIFETIME.total_seconds()))
