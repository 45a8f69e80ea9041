"""What logging in leaves behind, what overtakes what, and what a key's use costs."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import argon2
import pytest

from core.domain.access import Role
from core.domain.bearer import LIFETIME
from core.domain.errors import AlreadyExists, Invalid, LoginFailed, NotFound, TooManyRequests, Unauthenticated
from core.domain.passwords import MOST_PASSWORD, Verdict
from core.domain.people import User
from core.operations import access, logins, people
from core.operations.logins import PATIENCE, Login
from core.store import users
from core.store.database import Database
from tests.support.people import (
    ISSUING,
    PASSWORD,
    Inline,
    client_token,
    log_in,
    make_client,
    make_person,
    make_user,
    operator,
)
from tests.support.tenants import Tenant


class Meanwhile(Inline):
    """Compares a password, and lets something happen before it tells."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()

    async def judge(self, stored: str | None, password: str) -> Verdict:
        verdict = await super().judge(stored, password)
        self.begun.set()
        await self.go_on.wait()
        return verdict


async def hash_of(database: Database, user: User) -> str:
    async with database.connection() as connection:
        stored: str = await connection.fetchval("SELECT password_hash FROM users WHERE id = $1", user.id)
    return stored


async def store_hash(database: Database, user: User, stored: str) -> None:
    async with database.connection() as connection:
        await connection.execute("UPDATE users SET password_hash = $2 WHERE id = $1", user.id, stored)


async def test_a_hash_of_other_parameters_is_renewed_by_the_next_login(tenant: Tenant, database: Database) -> None:
    user = await make_user(tenant)
    token = await log_in(database, user)
    old = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    await store_hash(database, user, old)
    with pytest.raises(LoginFailed):
        await log_in(database, user, "wrong password")
    assert await hash_of(database, user) == old, "only the right password can be hashed anew"
    await log_in(database, user)
    renewed = await hash_of(database, user)
    assert renewed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    await log_in(database, user)
    assert await hash_of(database, user) == renewed
    assert await logins.recognise(database, token, ISSUING, remote=None), "nobody has to log in again"


async def test_a_renewed_hash_does_not_overwrite_a_new_password(tenant: Tenant, database: Database) -> None:
    user = await make_user(tenant)
    await store_hash(database, user, argon2.PasswordHasher(1, 8, 1).hash(PASSWORD))
    hashing = Meanwhile()
    login = asyncio.create_task(logins.log_in(database, Login(user.email, PASSWORD, None), hashing, ISSUING))
    await hashing.begun.wait()
    await people.set_password(operator(tenant), database, user.id, "another password")
    hashing.go_on.set()
    with pytest.raises(LoginFailed):
        await login
    assert await log_in(database, user, "another password")


async def test_each_guard_holds_by_itself(tenant: Tenant, database: Database) -> None:
    """Closing raises the epoch as well, and a login looks once more before it renews a hash: neither relies on that."""
    person = await make_person(tenant)
    async with database.connection() as connection:
        await users.renew_hash(connection, tenant.company_id, person.user.id, 2, "of a later epoch")
        assert (await hash_of(database, person.user)).startswith("$argon2id$")
        await connection.execute("UPDATE users SET closed_at = clock_timestamp() WHERE id = $1", person.user.id)
    with pytest.raises(Unauthenticated):
        await logins.recognise(database, person.token, ISSUING, remote=None)


@pytest.mark.parametrize("change", ["close", "delete"])
async def test_whoever_is_closed_while_the_password_is_compared_stays_out(
    tenant: Tenant, database: Database, change: str
) -> None:
    user, hashing = await make_user(tenant), Meanwhile()
    login = asyncio.create_task(logins.log_in(database, Login(user.email, PASSWORD, None), hashing, ISSUING))
    await hashing.begun.wait()
    ended = people.close_user if change == "close" else people.delete_user
    await ended(operator(tenant), database, user.id)
    hashing.go_on.set()
    with pytest.raises(LoginFailed):
        await login


async def test_a_right_guess_among_too_many_at_once_tells_nothing(tenant: Tenant, database: Database) -> None:
    """It was made while there was patience, and is told apart when there is none: as if it had come last."""
    user, hashing = await make_user(tenant), Meanwhile()
    login = asyncio.create_task(logins.log_in(database, Login(user.email, PASSWORD, None), hashing, ISSUING))
    await hashing.begun.wait()
    for _ in range(PATIENCE.account):
        with pytest.raises(LoginFailed):
            await log_in(database, user, "wrong password")
    hashing.go_on.set()
    with pytest.raises(TooManyRequests) as refusal:
        await login
    assert 14 * 60 < refusal.value.retry_after <= 15 * 60


async def test_somebody_unknown_has_a_password_compared_all_the_same(tenant: Tenant, database: Database) -> None:
    """Otherwise the answer would come so much sooner that everybody could see who is known."""
    asked: list[str | None] = []

    class Recording(Inline):
        async def judge(self, stored: str | None, password: str) -> Verdict:
            asked.append(stored)
            return await super().judge(stored, password)

    closed = await make_user(tenant)
    await people.close_user(operator(tenant), database, closed.id)
    for name in ("nobody@example.com", closed.email):
        with pytest.raises(LoginFailed):
            await logins.log_in(database, Login(name, PASSWORD, None), Recording(), ISSUING)
    assert asked == [None, None]


async def test_the_first_login_of_an_installation_makes_its_key(tenant: Tenant, database: Database) -> None:
    assert await logins.list_signing_keys(database) == []
    user = await make_user(tenant)
    tokens = await asyncio.gather(*(log_in(database, user) for _ in range(5)))
    for token in tokens:
        who = await logins.recognise(database, token, ISSUING, remote=None)
        assert (who.company_id, who.actor_id, who.role) == (tenant.company_id, user.id, Role.MANAGER)
    assert await logins.list_signing_keys(database)


async def test_a_client_is_noted_at_most_once_a_minute(tenant: Tenant, database: Database) -> None:
    client = await make_client(await make_user(tenant), database)

    async def used() -> datetime | None:
        (listed,) = await people.list_clients(database, tenant.company_id)
        return listed.last_used_at

    assert await used() is None
    await client_token(database, client)
    first = await used()
    await client_token(database, client)
    assert first is not None
    assert await used() == first
    async with database.connection() as connection:
        await connection.execute("UPDATE oauth_clients SET last_used_at = last_used_at - interval '1 minute'")
    await client_token(database, client)
    later = await used()
    assert later is not None
    assert later > first


# Keys


async def last_use(database: Database, tenant: Tenant) -> datetime | None:
    (row,) = await access.list_keys(database, tenant.company_id)
    used: datetime | None = row["last_used_at"]
    return used


async def use(database: Database, tenant: Tenant) -> None:
    await access.authenticate(database, tenant.key, bearer=False, remote=None)


async def test_a_keys_last_use_is_noted_at_most_once_a_minute(tenant: Tenant, database: Database) -> None:
    assert await last_use(database, tenant) is None
    await asyncio.gather(*(use(database, tenant) for _ in range(40)))
    first = await last_use(database, tenant)
    assert first is not None
    for _ in range(20):
        await use(database, tenant)
    assert await last_use(database, tenant) == first
    async with database.connection() as connection:
        await connection.execute("UPDATE api_keys SET last_used_at = last_used_at - interval '59 seconds'")
        shifted = await last_use(database, tenant)
        await use(database, tenant)
        assert await last_use(database, tenant) == shifted
        await connection.execute("UPDATE api_keys SET last_used_at = last_used_at - interval '1 second'")
    await use(database, tenant)
    later = await last_use(database, tenant)
    assert later is not None
    assert later > first


async def test_a_key_that_is_being_noted_holds_up_nobody(tenant: Tenant, database: Database) -> None:
    """Somebody's note is under way and does not end: the key opens all the same, and notes nothing."""
    async with database.connection() as connection:
        busy = connection.transaction()
        await busy.start()
        await connection.execute("UPDATE api_keys SET name = name")
        async with asyncio.timeout(5):
            await use(database, tenant)
        await busy.rollback()
    assert await last_use(database, tenant) is None


async def test_an_unknown_or_revoked_key_is_not_noted(tenant: Tenant, database: Database) -> None:
    (row,) = await access.list_keys(database, tenant.company_id)
    await access.revoke_key(operator(tenant), database, row["id"])
    with pytest.raises(Unauthenticated):
        await use(database, tenant)
    assert await last_use(database, tenant) is None


# People


@pytest.mark.parametrize("password", ["", "x" * 11, "x" * (MOST_PASSWORD + 1), "x" * 12 + "\0", "x" * 12 + "\ud800"])
async def test_a_password_that_will_not_do(tenant: Tenant, database: Database, password: str) -> None:
    user = await make_user(tenant)
    with pytest.raises(Invalid, match="password: must"):
        await people.set_password(operator(tenant), database, user.id, password)
    with pytest.raises(Invalid, match="password: must"):
        await people.create_user(
            operator(tenant), database, email="new@example.com", name="New", role=Role.USER, password=password
        )
    assert await log_in(database, user)


@pytest.mark.parametrize("email", ["", "nobody", "a@b@c", "\u00fc@example.com", "a b@example.com", "a@example.com\n"])
async def test_an_address_that_will_not_do(tenant: Tenant, database: Database, email: str) -> None:
    with pytest.raises(Invalid, match="email: must"):
        await people.create_user(operator(tenant), database, email=email, name="New", role=Role.USER, password=PASSWORD)


async def test_an_address_belongs_to_one_person_of_one_company(
    tenant: Tenant, stranger: Tenant, database: Database
) -> None:
    user = await make_user(tenant, email="Only.One@example.com")
    for other in (tenant, stranger):
        with pytest.raises(AlreadyExists, match="logs in with this e-mail address already"):
            await make_user(other, email="only.one@EXAMPLE.com")
    await people.delete_user(operator(tenant), database, user.id)
    again = await make_user(stranger, email="only.one@example.com")
    assert again.id != user.id, "a number is never given twice"


async def test_nobody_of_another_company_is_found_by_address(
    tenant: Tenant, stranger: Tenant, database: Database
) -> None:
    user = await make_user(tenant)
    assert await people.find_user(database, tenant.company_id, user.email.upper()) == user
    assert await people.find_user(database, stranger.company_id, user.email) is None


async def test_changes_of_nobody_are_refused(tenant: Tenant, database: Database) -> None:
    maker = operator(tenant)
    for change in (
        people.set_password(maker, database, 999, PASSWORD),
        people.set_role(maker, database, 999, Role.USER),
        people.close_user(maker, database, 999),
        people.reopen_user(maker, database, 999),
        people.delete_user(maker, database, 999),
        people.create_client(maker, database, 999, name="x", random_text=str),
    ):
        with pytest.raises(NotFound, match="User was not found"):
            await change


async def test_closing_and_reopening_twice_changes_nothing(tenant: Tenant, database: Database) -> None:
    user = await make_user(tenant)
    assert not await people.reopen_user(operator(tenant), database, user.id)
    assert await people.close_user(operator(tenant), database, user.id)
    assert not await people.close_user(operator(tenant), database, user.id)


# A whole company


async def test_a_closed_company_is_opened_by_nothing_it_had(
    tenant: Tenant, stranger: Tenant, database: Database
) -> None:
    person, bystander = await make_person(tenant), await make_person(stranger)
    client = await make_client(person.user, database)
    robot = await client_token(database, client)
    closed = await access.revoke_company(operator(tenant), database)
    assert closed == {"tokens": 1, "keys": 1, "users": 1, "oauth-clients": 1}
    for attempt in (
        access.authenticate(database, tenant.token, bearer=True, remote=None),
        access.authenticate(database, tenant.key, bearer=False, remote=None),
        logins.recognise(database, person.token, ISSUING, remote=None),
        logins.recognise(database, robot, ISSUING, remote=None),
        client_token(database, client),
    ):
        with pytest.raises(Unauthenticated):
            await attempt
    with pytest.raises(LoginFailed):
        await log_in(database, person.user)
    assert await access.authenticate(database, stranger.token, bearer=True, remote=None)
    assert await access.authenticate(database, stranger.key, bearer=False, remote=None)
    assert await logins.recognise(database, bystander.token, ISSUING, remote=None)
    assert await access.revoke_company(operator(tenant), database) == dict.fromkeys(closed, 0)


async def test_a_closed_application_keeps_the_companys_others_open(tenant: Tenant, database: Database) -> None:
    other = await access.create_application(operator(tenant), database, "Other")
    made = await access.create_token(
        operator(tenant),
        database,
        other,
        name="t",
        scopes=["flow.get"],
        expires_at=None,
        random_text=lambda _: "x" * 43,
    )
    assert await access.revoke_application(operator(tenant), database, tenant.application_id) == 1
    with pytest.raises(Unauthenticated):
        await access.authenticate(database, tenant.token, bearer=True, remote=None)
    assert await access.authenticate(database, made.secret, bearer=True, remote=None)
    with pytest.raises(NotFound):
        await access.revoke_application(operator(tenant), database, 999)


async def test_a_rate_limit_has_bounds_and_a_company(tenant: Tenant, database: Database) -> None:
    for requests in (-1, 1_000_001):
        with pytest.raises(Invalid, match="from 0 to 1000000"):
            await access.set_rate_limit(operator(tenant), database, requests)
    with pytest.raises(NotFound):
        await access.set_rate_limit(replace(operator(tenant), company_id=999), database, 5)


def test_a_key_that_signs_no_more_verifies_longer_than_its_tokens_last() -> None:
    assert timedelta(minutes=10) <= logins.KEY_KEEP - LIFETIME
