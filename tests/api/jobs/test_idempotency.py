"""Idempotency-Key: a request that is sent again finds the job of the first one, for 48 hours."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from core.domain.flows import Flow
from core.operations import jobs
from core.store.database import Database
from tests.api.cases import assert_answer, assert_error
from tests.support.api import Api, Reply
from tests.support.arrangements import make_sibling
from tests.support.contents import unchanged
from tests.support.machinery import Machinery
from tests.support.paths import flow_path, versions_path
from tests.support.tenants import Tenant
from tests.support.trash import empty_trash

pytestmark = pytest.mark.leaves_jobs

BODY: dict[str, Any] = {"query": {"version": {"$startsWith": "v"}}}


@pytest.fixture
async def flow(tenant: Tenant) -> Flow:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 2)
    return flow


async def ask(api: Api, tenant: Tenant, flow: Flow, key: str, body: Any = None, query: str = "") -> Reply:
    path = f"{versions_path(tenant, flow)}/delete{query}"
    return await api.post(path, body or BODY, headers={"Idempotency-Key": key})


async def count_jobs(database: Database) -> int:
    async with database.connection() as connection:
        count: int = await connection.fetchval("SELECT count(*) FROM jobs WHERE kind = 'delete_versions'")
    return count


async def test_the_same_request_gets_the_same_answer_and_writes_nothing(
    api: Api, tenant: Tenant, flow: Flow, database: Database
) -> None:
    first = await ask(api, tenant, flow, "a key")
    assert first.status == 202
    async with unchanged(database):
        for _ in range(2):
            again = await ask(api, tenant, flow, "a key")
            assert (again.status, again.raw) == (first.status, first.raw)
            assert again.headers["Location"] == first.headers["Location"]
            assert again.headers["Retry-After"] == first.headers["Retry-After"]


async def test_it_still_does_when_the_job_is_done_and_the_flow_is_gone(
    api: Api, tenant: Tenant, flow: Flow, machinery: Machinery, database: Database
) -> None:
    """That is what a client that was down needs: what became of its request, not an error about today."""
    first = await ask(api, tenant, flow, "a key")
    await machinery.drain()
    await tenant.make_version(flow, "v-new")
    async with unchanged(database):
        assert (await ask(api, tenant, flow, "a key")).raw == first.raw
    assert await tenant.names(flow) == ["v-new"], "what came later is not in the set"
    await api.delete(flow_path(tenant, flow))
    await machinery.drain()
    async with unchanged(database):
        assert (await ask(api, tenant, flow, "a key")).raw == first.raw


async def test_another_request_under_a_used_key_is_422(
    api: Api, tenant: Tenant, flow: Flow, database: Database
) -> None:
    """Other in one blank of the body, in the address or in a parameter."""
    await ask(api, tenant, flow, "a key")
    other = await tenant.make_flow()
    respelled = b'{ "query":{"version":{"$startsWith":"v"}}}'
    path = f"{versions_path(tenant, flow)}/delete"
    async with unchanged(database):
        for answer in (
            await ask(api, tenant, flow, "a key", {"query": {}}),
            await ask(api, tenant, flow, "a key", {**BODY, "email": "ops@example.com"}),
            await api.post(path, raw=respelled, headers={"Idempotency-Key": "a key"}),
            await ask(api, tenant, other, "a key"),
            await ask(api, tenant, flow, "a key", query="?_links=true"),
        ):
            assert_error(answer, 422, "Validation", "This Idempotency-Key was used with another request.")


async def test_a_key_belongs_to_the_token_that_sent_it(
    anonymous: Api, api: Api, tenant: Tenant, stranger: Tenant, flow: Flow, database: Database
) -> None:
    """Another token's is another key, even with the same request in the same application."""
    second = anonymous.as_(f"Bearer {(await tenant.make_token('all.Application')).secret}")
    sibling = await make_sibling(tenant)
    answers = [
        await ask(api, tenant, flow, "a key"),
        await ask(second, tenant, flow, "a key"),
        await ask(anonymous.as_(f"Bearer {sibling.token}"), sibling, await sibling.make_flow(), "a key"),
        await ask(anonymous.as_(f"Bearer {stranger.token}"), stranger, await stranger.make_flow(), "a key"),
    ]
    assert [answer.status for answer in answers] == [202] * 4
    assert len({answer.json["jobId"] for answer in answers}) == 4
    assert await count_jobs(database) == 4


async def test_two_at_once_are_one_job(api: Api, tenant: Tenant, flow: Flow, database: Database) -> None:
    for number in range(5):
        answers = await asyncio.gather(*(ask(api, tenant, flow, f"key {number}") for _ in range(4)))
        assert {answer.status for answer in answers} == {202}
        assert len({answer.raw for answer in answers}) == 1
    assert await count_jobs(database) == 5


async def test_of_two_different_ones_at_once_one_is_refused(
    api: Api, tenant: Tenant, flow: Flow, database: Database
) -> None:
    answers = await asyncio.gather(
        ask(api, tenant, flow, "a key"), ask(api, tenant, flow, "a key", {"query": {"version": "v1"}})
    )
    assert sorted(answer.status for answer in answers) == [202, 422]
    assert await count_jobs(database) == 1


async def test_a_refused_request_does_not_use_its_key_up(api: Api, tenant: Tenant, flow: Flow) -> None:
    unknown = await tenant.make_flow()
    await api.delete(flow_path(tenant, unknown))
    assert (await ask(api, tenant, unknown, "a key")).status == 404
    assert (await ask(api, tenant, flow, "a key", {"query": {"nonsense": 1}})).status == 400
    assert (await ask(api, tenant, flow, "a key")).status == 202


async def age(database: Database, hours: float) -> None:
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE idempotency_keys SET created_at = created_at - $1::interval", timedelta(hours=hours)
        )


async def test_a_key_lasts_48_hours_and_is_then_free(api: Api, tenant: Tenant, flow: Flow, database: Database) -> None:
    first = await ask(api, tenant, flow, "a key")
    await age(database, 47.9)
    assert (await ask(api, tenant, flow, "a key")).raw == first.raw
    await age(database, 0.2)
    second = await ask(api, tenant, flow, "a key", {"query": {}})
    assert (second.status, await count_jobs(database)) == (202, 2)
    assert second.json["jobId"] != first.json["jobId"]
    assert (await ask(api, tenant, flow, "a key", {"query": {}})).raw == second.raw


async def test_a_key_goes_with_its_job(
    api: Api, tenant: Tenant, flow: Flow, machinery: Machinery, database: Database
) -> None:
    """With a keep time under 48 hours: what is forgotten cannot be answered with."""
    first = await ask(api, tenant, flow, "a key")
    await machinery.drain()
    await empty_trash(database)
    assert await jobs.expire_jobs(database, older_than=timedelta(0), limit=10) == 1
    again = await ask(api, tenant, flow, "a key")
    assert again.status == 202
    assert again.json["jobId"] != first.json["jobId"]


@pytest.mark.parametrize("key", ["x", "0", 'a key, with: all "~" sorts!', "x" * 255])
async def test_a_key_is_any_printable_ascii(api: Api, tenant: Tenant, flow: Flow, key: str) -> None:
    first = await ask(api, tenant, flow, key)
    assert (first.status, (await ask(api, tenant, flow, key)).raw) == (202, first.raw)


@pytest.mark.parametrize("key", ["", "x" * 256, "x" * 5000, "\u00e9", "a\tb", "\u0661", "\U0001f600"])
async def test_a_key_that_is_none_is_refused(
    api: Api, tenant: Tenant, flow: Flow, database: Database, key: str
) -> None:
    async with unchanged(database):
        answer = await ask(api, tenant, flow, key)
    assert_error(answer, 400, "Validation", "Idempotency-Key: must be 1 to 255 printable ASCII characters")


async def test_without_a_key_every_request_is_new(api: Api, tenant: Tenant, flow: Flow, database: Database) -> None:
    path = f"{versions_path(tenant, flow)}/delete"
    answers = [await api.post(path, BODY) for _ in range(2)]
    assert len({answer.json["jobId"] for answer in answers}) == 2
    assert_answer(answers[0], 202, {"success": True, "jobQueued": True, "jobId": answers[0].json["jobId"]})
