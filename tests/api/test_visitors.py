"""Reading flows and versions under /api/v1: who asks and what is asked for are one statement, whatever is shown."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime

import pytest
from redis.asyncio import Redis

from core.domain.flows import Flow
from core.operations import access
from core.settings import Settings
from core.store.database import Database
from service.endpoints import MOST_UNKNOWN_ADDRESS
from tests.support.api import Api, open_api
from tests.support.arrangements import make_sibling
from tests.support.people import make_person
from tests.support.tenants import Tenant
from tests.support.waiting import until

LIMIT = 4
PADDING = f"&nothing={'x' * MOST_UNKNOWN_ADDRESS}"
"""Makes an address so long that its sender is looked up before it is read."""


async def _addresses(tenant: Tenant) -> tuple[Flow, list[str]]:
    flow = await tenant.make_flow()
    version = await tenant.make_version(flow, "v1")
    at = f"/api/v1/flows/{flow.id}"
    return flow, ["/api/v1/flows", at, f"{at}/versions", f"{at}/versions/{version.id}"]


@pytest.mark.parametrize("padding", ["", PADDING], ids=["short", "long"])
async def test_a_token_sees_its_application_and_a_company_all_of_them(
    anonymous: Api, tenant: Tenant, padding: str
) -> None:
    """However it was looked up."""
    sibling = await make_sibling(tenant)
    flow, addresses = await _addresses(sibling)
    person = await make_person(tenant)
    for address in addresses:
        path = f"{address}?page=1{padding}"
        for credential in (tenant.key, person.credential, f"Bearer {sibling.token}"):
            answer = await anonymous.as_(credential).get(path)
            assert (answer.status, str(flow.id) in answer.raw.decode()) == (200, True)
        answer = await anonymous.as_(f"Bearer {tenant.token}").get(path)
        assert answer.json.get("data", []) == []
        assert answer.status == (200 if address == "/api/v1/flows" else 404)


@pytest.mark.parametrize("swapped", ["key as token", "token as key"])
async def test_a_key_is_no_token_and_a_token_no_key(anonymous: Api, tenant: Tenant, swapped: str) -> None:
    credential = f"Bearer {tenant.key}" if swapped == "key as token" else tenant.token
    _, addresses = await _addresses(tenant)
    for address in addresses:
        assert (await anonymous.as_(credential).get(address)).status == 401


@pytest.fixture
async def counted(settings: Settings, database: Database, tenant: Tenant) -> AsyncIterator[Api]:
    async with Redis.from_url(str(settings.redis_url)) as redis:
        await redis.flushall()
    async with open_api(replace(settings, rate_limit=LIMIT)) as api:
        yield api


@pytest.mark.parametrize("who", ["key", "token", "person"])
async def test_each_request_is_counted_once_whatever_becomes_of_it(counted: Api, tenant: Tenant, who: str) -> None:
    """Found, not found, wrong, refused for its scope, and then one too many."""
    reader = await tenant.make_token("flows.get")
    credentials = {"key": tenant.key, "token": f"Bearer {tenant.token}"}
    caller = counted.as_(credentials.get(who) or (await make_person(tenant)).credential)
    answers = [
        await caller.get("/api/v1/flows"),
        await caller.get("/api/v1/flows/1"),
        await caller.get("/api/v1/flows?sort=nothing"),
        await counted.as_(f"Bearer {reader.secret}").get("/api/v1/flows/1"),
        await caller.get("/api/v1/flows"),
    ]
    told = [(answer.status, answer.headers.get("X-RateLimit-Remaining")) for answer in answers]
    assert told == [(200, "3"), (404, "2"), (400, "1"), (403, "0"), (429, "0")]
    assert answers[-1].json == {"message": f"Too many requests: this company may make {LIMIT} a minute."}


async def test_the_use_of_a_key_is_noted(anonymous: Api, tenant: Tenant, database: Database) -> None:
    async def used() -> datetime | None:
        (row,) = await access.list_keys(database, tenant.company_id)
        last_used_at: datetime | None = row["last_used_at"]
        return last_used_at

    assert await used() is None
    await anonymous.as_(tenant.key).get("/api/v1/flows")
    assert await until(used, "the use is noted")
