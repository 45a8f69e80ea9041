"""Is it up, is it ready: without a token, and telling the two apart when PostgreSQL is away."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from core.settings import Settings
from core.store.database import Database
from tests.support.api import Api, open_api
from tests.support.logs import Logs
from tests.support.machinery import Machinery
from tests.support.paths import flows_path, versions_path
from tests.support.tenants import Tenant
from tests.support.wire import Wire

SHUT_SECONDS = 10.0


async def test_a_running_service_is_up_and_ready(anonymous: Api) -> None:
    for path, body in {
        "/healthz": {"status": "ok"},
        "/readyz": {"status": "ready", "database": "ok"},
    }.items():
        for credential in (None, "Bearer nonsense"):
            answer = await anonymous.as_(credential).get(path)
            assert (answer.status, answer.json) == (200, body)
            assert answer.headers["Cache-Control"] == "no-cache"
        assert (await anonymous.send("HEAD", path)).status == 200
        assert (await anonymous.post(path)).status == 405


async def test_a_schema_of_another_release_is_not_ready(anonymous: Api, database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute("DELETE FROM schema_migrations")
    answer = await anonymous.get("/readyz")
    assert answer.status == 503
    assert answer.json["status"] == "unavailable"
    assert "migrations are missing" in answer.json["database"]
    assert (await anonymous.get("/healthz")).status == 200


async def test_without_its_database_it_is_up_but_not_ready(settings: Settings, tenant: Tenant, logs: Logs) -> None:
    """Requests are turned away in the shape of their dialect, to be tried again, and nothing counts as our fault."""
    assert settings.database_url is not None
    async with AsyncExitStack() as line, AsyncExitStack() as stack:
        wire = await line.enter_async_context(Wire(settings.database_url))
        anonymous = await stack.enter_async_context(open_api(replace(settings, database_url=wire.url)))
        api = anonymous.as_(f"Bearer {tenant.token}")
        assert (await anonymous.get("/readyz")).status == 200
        assert (await api.get(flows_path(tenant))).status == 200

        await line.aclose()
        answer = await anonymous.get("/readyz")
        assert (answer.status, answer.json["status"]) == (503, "unavailable")
        assert (await anonymous.get("/healthz")).status == 200
        losants, native = await api.get(flows_path(tenant)), await api.get("/api/v1/jobs")
        message = "The database cannot be reached; try again."
        assert (losants.status, losants.json) == (503, {"type": "ServiceUnavailable", "message": message})
        assert (native.status, native.json) == (503, {"message": message})
        assert losants.headers["Retry-After"] == native.headers["Retry-After"] == "1"
    assert logs.of("The database cannot be reached; a request was turned away.")


async def test_a_caller_that_hangs_up_is_not_taken_for_a_lost_database(
    anonymous: Api, tenant: Tenant, logs: Logs
) -> None:
    host, _, port = anonymous.url.removeprefix("http://").partition(":")
    head = (
        f"POST {flows_path(tenant)} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100\r\n"
        f"Authorization: Bearer {tenant.token}\r\nExpect: 100-continue\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(head.encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 100")
    writer.write(b'{"name":')
    await writer.drain()
    writer.transport.abort()
    for _ in range(3):  # requests that come later are answered later
        assert (await anonymous.as_(f"Bearer {tenant.token}").get(flows_path(tenant))).json["items"] == []
    assert not logs.events


SECRET = b"pnt_neverlogthis"

GARBLED = {
    "a header with NUL": b"GET /healthz HTTP/1.1\r\nAuthorization: Bearer " + SECRET + b"\0\r\n\r\n",
    "a header without colon": b"GET /healthz HTTP/1.1\r\n" + SECRET + b"\r\n\r\n",
    "no HTTP": SECRET + b"\r\n\r\n",
    "a long address": b"GET /" + SECRET * 1_000 + b" HTTP/1.1\r\n\r\n",
    "a broken length": b"POST /healthz HTTP/1.1\r\nContent-Length: " + SECRET + b"\r\n\r\n",
    "a broken chunk": b"POST /healthz HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + SECRET + b"\r\n",
}


@pytest.mark.parametrize("title", GARBLED)
async def test_what_is_no_http_is_refused_and_not_logged(
    anonymous: Api, title: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is the sender's mistake, anyone can make it as often as they like, and its bytes may hold a token."""
    host, _, port = anonymous.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(GARBLED[title])
    assert (await reader.readline()).startswith(b"HTTP/1.0 400")
    await reader.read()
    writer.close()
    assert not caplog.records


@pytest.mark.parametrize("attempt", range(3))
async def test_an_api_that_has_just_accepted_a_job_stops_promptly(
    settings: Settings, tenant: Tenant, machinery: Machinery, attempt: int
) -> None:
    """Its hint to the relay is on the way at that moment, to a Redis it has never spoken to."""
    del attempt
    flow = await tenant.make_flow()
    async with asyncio.timeout(SHUT_SECONDS) as patience:
        async with open_api(settings) as anonymous:
            api = anonymous.as_(f"Bearer {tenant.token}")
            assert (await api.post(f"{versions_path(tenant, flow)}/delete", {"query": {}})).status == 202
    assert not patience.expired()
    await machinery.drain()


async def test_without_redis_jobs_are_accepted_all_the_same(
    settings: Settings, tenant: Tenant, machinery: Machinery, logs: Logs
) -> None:
    """The relay finds them by itself; Redis only hurries it."""
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 1)
    async with asyncio.timeout(SHUT_SECONDS) as patience:
        async with open_api(replace(settings, redis_url="redis://127.0.0.1:9/0")) as anonymous:
            api = anonymous.as_(f"Bearer {tenant.token}")
            assert (await anonymous.get("/readyz")).status == 200
            for _ in range(2):
                assert (await api.post(f"{versions_path(tenant, flow)}/delete", {"query": {}})).status == 202
    assert not patience.expired()
    assert len(logs.of("Redis cannot be reached; staged jobs wait for the relay's own beat.")) <= 1
    await machinery.drain()
    assert await tenant.names(flow) == []
