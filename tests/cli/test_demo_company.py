"""The demo company of `make run`: every credential of the file opens what it says, and keeps doing so."""

from __future__ import annotations

import pytest

from cli.credentials import is_plain
from cli.demo_company import NAME, ensure_demo_company
from cli.target import operator
from core.domain.access import Role
from core.operations import access, people
from core.settings import Settings
from core.store.database import Database
from tests.support.api import Api

ADMIN = ("PENSTOCK_ADMIN_EMAIL", "PENSTOCK_ADMIN_PASSWORD")


async def company(database: Database) -> int:
    found = await access.find_company(database, NAME)
    assert found is not None
    return found


async def logs_in(api: Api, credentials: dict[str, str]) -> bool:
    email, password = (credentials[name] for name in ADMIN)
    answer = await api.post("/fabric/api/login", {"email": email, "password": password})
    if answer.status != 200:
        return False
    return (await api.as_(f"Bearer {answer.json['token']}").get("/api/v1/jobs")).status == 200


async def test_it_has_an_administrator_and_no_limit(settings: Settings, database: Database, anonymous: Api) -> None:
    made = await ensure_demo_company(settings, {})
    assert list(made)[:3] == ["PENSTOCK_API_KEY", *ADMIN]
    assert all(is_plain(value) for value in made.values())
    assert await logs_in(anonymous, made)
    (user,) = await people.list_users(database, await company(database))
    assert (user.email, user.role) == (made[ADMIN[0]], Role.ADMINISTRATOR)
    assert [row["rate_limit"] for row in await access.list_companies(database)] == [0]


async def test_what_still_opens_is_kept(settings: Settings, database: Database) -> None:
    made = await ensure_demo_company(settings, {})
    async with database.connection() as connection:
        events = await connection.fetchval("SELECT count(*) FROM audit_events")
    assert await ensure_demo_company(settings, made) == made
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM audit_events") == events


@pytest.mark.parametrize("change", ["password", "close", "delete", "forgotten"])
async def test_an_administrator_who_cannot_get_in_is_let_in_again(
    settings: Settings, database: Database, anonymous: Api, change: str
) -> None:
    made = await ensure_demo_company(settings, {})
    (user,) = await people.list_users(database, await company(database))
    if change == "password":
        await people.set_password(operator(0), database, user.id, "another password")
    elif change == "close":
        await people.close_user(operator(0), database, user.id)
    elif change == "delete":
        await people.delete_user(operator(0), database, user.id)
    again = await ensure_demo_company(settings, {} if change == "forgotten" else made)
    assert again[ADMIN[1]] != made[ADMIN[1]]
    assert not await logs_in(anonymous, made)
    assert await logs_in(anonymous, again)


async def test_a_limit_that_somebody_set_stays(settings: Settings, database: Database) -> None:
    made = await ensure_demo_company(settings, {})
    demo = await company(database)
    for limit, later in ((60, 60), (None, 0)):
        await access.set_rate_limit(operator(demo), database, limit)
        await ensure_demo_company(settings, made)
        assert [row["rate_limit"] for row in await access.list_companies(database)] == [later]
