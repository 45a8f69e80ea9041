"""How long a deploy takes over the Patchworks dialect: one of a kept version, and one of a Draft, which leaves another
Draft behind. Sixteen clients, each with flows of its own; the load comes from the bench's own process.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp
import asyncpg

from bench.report import Judge, milliseconds, print_table, quantile
from bench.roles import running_api
from bench.rounds import SETTLE_SECONDS
from bench.servers import Servers
from bench.tenants import Tenant, load_versions, make_tenant, write_documents
from core.domain.contents import empty_develop
from core.operations import access
from core.store.database import Connection, Database, open_database

CLIENTS = 16
FLOWS = 64
MOST_P99_SECONDS = 0.015

PAST = "2026-01-01T00:00:00Z"
ANY_NUMBER = 1_000_000
"""Requests a minute that the company may make: they are counted, and none is refused."""


@dataclass(frozen=True, slots=True)
class Place:
    """A flow with two kept versions of about 2 kB."""

    flow_id: int
    versions: tuple[int, int]


class Client:
    """Deploys in its own flows, one at a time; `waits` in seconds."""

    def __init__(self, session: aiohttp.ClientSession, places: Sequence[Place]) -> None:
        self._session = session
        self._places = places
        self.waits: list[float] = []

    async def deploy_kept(self, times: int) -> None:
        """The two versions of each flow by turns."""
        for number in range(times):
            place = self._places[number % len(self._places)]
            await self._deploy(place.flow_id, place.versions[number // len(self._places) % 2])

    async def deploy_drafts(self, times: int) -> None:
        for number in range(times):
            flow_id = self._places[number % len(self._places)].flow_id
            path = f"/api/v1/flows/{flow_id}/versions?filter[status]=Draft&fields[versions]=id"
            async with self._session.get(path) as answer:
                (draft,) = (await answer.json())["data"]
            await self._deploy(flow_id, draft["id"])

    async def _deploy(self, flow_id: int, version_id: int) -> None:
        began = time.perf_counter()
        path = f"/api/v1/flows/{flow_id}/versions/{version_id}"
        async with self._session.put(path, json={"deployed_at": PAST}) as answer:
            said = await answer.json()
        self.waits.append(time.perf_counter() - began)
        assert said["data"]["is_deployed"], said


async def measure(servers: Servers, *, smoke: bool) -> None:
    """Prints the table; raises AssertionError if a deploy did not, or a flow has not exactly one deployed version."""
    times = 8 if smoke else 250
    connection = await asyncpg.connect(servers.settings.database_url)
    try:
        async with open_database(servers.settings, role="bench", size=2) as database:
            tenant = await make_tenant(database, "Bench")
            await access.set_rate_limit(tenant.principal, database, ANY_NUMBER)
            await write_documents(connection, seed=5)
            places = [await _make_place(connection, database, tenant, number) for number in range(FLOWS)]
            await connection.execute("VACUUM (ANALYZE)", timeout=SETTLE_SECONDS)
            async with running_api(servers) as site:
                rows = [
                    await _run("a kept version", site.url, tenant, places, times, drafts=False, smoke=smoke),
                    await _run("a Draft", site.url, tenant, places, times, drafts=True, smoke=smoke),
                ]
            await _check(connection, tenant)
    finally:
        await connection.close()
    print_table(
        f"Deploys over {FLOWS} flows by {CLIENTS} clients at once, ms",
        ("of", "deploys", "a second", "p50", "p99", f"p99 <= {MOST_P99_SECONDS * 1000:.0f}"),
        rows,
    )


async def _make_place(connection: Connection, database: Database, tenant: Tenant, number: int) -> Place:
    flow_id = await tenant.make_flow(database, f"Flow {number}")
    await load_versions(connection, "flow_versions", tenant.company_id, flow_id, 2)
    content = empty_develop()
    await connection.execute(
        "INSERT INTO flow_versions (company_id, flow_id, iteration, status, body, digest, created_by_type,"
        " updated_by_type) VALUES ($1, $2, 3, 'Draft', $3, $4, 'cli', 'cli')",
        tenant.company_id,
        flow_id,
        content.body,
        content.digest,
    )
    await connection.execute("UPDATE flows SET next_iteration = 4 WHERE id = $1", flow_id)
    rows = await connection.fetch(
        "SELECT id FROM flow_versions WHERE flow_id = $1 AND status <> 'Draft' ORDER BY id", flow_id
    )
    first, second = (row["id"] for row in rows)
    return Place(flow_id, (first, second))


async def _run(
    name: str, url: str, tenant: Tenant, places: Sequence[Place], times: int, *, drafts: bool, smoke: bool
) -> tuple[str, ...]:
    async with aiohttp.ClientSession(url, headers={"Authorization": tenant.key}) as session:
        clients = [Client(session, places[number::CLIENTS]) for number in range(CLIENTS)]
        for warming in (True, False):
            for client in clients:
                client.waits.clear()
            count = times // 4 if warming else times
            began = time.perf_counter()
            await asyncio.gather(
                *(client.deploy_drafts(count) if drafts else client.deploy_kept(count) for client in clients)
            )
            seconds = time.perf_counter() - began
    waits = [wait for client in clients for wait in client.waits]
    late = quantile(waits, 0.99)
    return (
        name,
        f"{len(waits):,}",
        f"{len(waits) / seconds:,.0f}",
        milliseconds(quantile(waits, 0.50)),
        milliseconds(late),
        Judge(judges=not smoke)(late <= MOST_P99_SECONDS),
    )


async def _check(connection: Connection, tenant: Tenant) -> None:
    deployed = await connection.fetchval(
        "SELECT count(*) FROM flow_versions WHERE company_id = $1 AND status = 'Deployed'", tenant.company_id
    )
    assert deployed == FLOWS, f"{deployed} deployed versions in {FLOWS} flows"
