"""Requests that wait for a job: what happens when too many do, when the job goes away, when the caller does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from core.domain.errors import Unavailable
from core.domain.identifiers import hex_id
from core.operations import jobs
from core.settings import Settings
from core.store.database import Database
from service.app import create_app, open_service
from service.watching import Watch, open_watch
from tests.support.api import Api
from tests.support.logs import Logs
from tests.support.machinery import Machinery
from tests.support.tenants import Tenant

CUT = (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)
"""What a client sees when an answer that has begun is not brought to its end."""


@asynccontextmanager
async def serving(settings: Settings, database: Database, watch: Watch) -> AsyncIterator[str]:
    """The API with this watch; yields its address."""
    async with open_service(settings) as service:
        runner = web.AppRunner(create_app(replace(service, database=database, watch=watch)), access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


async def test_when_too_many_wait_a_follower_is_told_to_poll(
    tenant: Tenant, settings: Settings, database: Database, machinery: Machinery
) -> None:
    """Before the stream begins; a job that has ended needs no waiting."""
    flow = await tenant.make_flow()
    job_id = await tenant.ask_deletion(flow)
    async with (
        serving(settings, database, Watch(database, most=0)) as url,
        aiohttp.ClientSession() as session,
    ):
        api = Api(session, url, f"Bearer {tenant.token}")
        refused = await api.get(f"/api/v1/jobs/{job_id}/events")
        assert (refused.status, refused.json) == (
            503,
            {"message": "Too many requests are waiting for jobs; poll instead."},
        )
        assert "Retry-After" in refused.headers
        await machinery.drain()
        assert (await api.get(f"/api/v1/jobs/{job_id}/events")).status == 200


async def test_when_too_many_wait_a_deletion_is_accepted_all_the_same(
    tenant: Tenant, settings: Settings, database: Database, machinery: Machinery
) -> None:
    """An error would say that it was not, and the caller would send it again."""
    flow = await tenant.make_flow()
    async with (
        serving(settings, database, Watch(database, most=0)) as url,
        aiohttp.ClientSession() as session,
    ):
        api = Api(session, url, f"Bearer {tenant.token}")
        path = f"/applications/{tenant.application}/flows/{hex_id(flow.id)}/versions/delete"
        reply = await api.post(path, {"query": {}}, headers={"Prefer": "wait=20"})
    assert reply.status == 202
    assert await jobs.find_job(database, reply.json["jobId"])
    await machinery.drain()


async def test_a_stream_whose_job_goes_away_is_cut(
    tenant: Tenant, api: Api, database: Database, machinery: Machinery, logs: Logs
) -> None:
    """It must not end like one that has told everything; whoever comes back is told what happened."""
    flow = await tenant.make_flow()
    job_id = await tenant.ask_deletion(flow)
    headers = {"Authorization": str(api.credential)}
    async with api.session.get(URL(f"{api.url}/api/v1/jobs/{job_id}/events"), headers=headers) as answer:
        assert (await answer.content.readline()).startswith(b"id: ")
        async with database.connection() as connection:
            await connection.execute("DELETE FROM jobs WHERE public_id = $1", job_id)
        with pytest.raises(CUT):
            await answer.content.read()
    assert (await api.get(f"/api/v1/jobs/{job_id}/events")).status == 404
    assert [event["cause"] for event in logs.of("A stream broke off.")] == ["NotFound"]


async def test_a_change_wakes_those_who_watch_that_job(
    tenant: Tenant, database: Database, machinery: Machinery
) -> None:
    flow = await tenant.make_flow()
    first, second = [await jobs.read_job(tenant.principal, database, await tenant.ask_deletion(flow)) for _ in range(2)]
    async with open_watch(database) as watch:
        assert await watch.changed(first.id, first.revision - 1, 20), "it had changed before"
        assert await watch.changed(2**62, 1, 20), "it is gone"
        waiting = [asyncio.create_task(watch.changed(first.id, first.revision, 20)) for _ in range(3)]
        other = asyncio.create_task(watch.changed(second.id, second.revision, 20))
        await asyncio.sleep(0)
        await jobs.cancel_job(tenant.principal, database, first.public_id, machinery.tools.terms)
        assert await asyncio.gather(*waiting) == [True] * 3
        assert not other.done()
        await jobs.cancel_job(tenant.principal, database, second.public_id, machinery.tools.terms)
        assert await other
        assert not await watch.changed(first.id, first.revision + 1, 0.01), "nothing more happens to it"


async def test_there_is_room_again_when_somebody_leaves(database: Database) -> None:
    watch = Watch(database, most=2)
    waiting = [asyncio.create_task(watch.changed(1, 1, 20)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await watch.changed(1, 1, 20)
    waiting[0].cancel()
    await asyncio.wait([waiting[0]])
    watch.require_room()
    waiting[1].cancel()
    await asyncio.wait([waiting[1]])
