"""How long a deploy takes over the Patchworks dialect: one of a kept version, over and over in the same flows, and one
of a Draft, which leaves another Draft behind. Real HTTP requests, from a process of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
import orjson

from bench.load import Load, send
from bench.report import Judge, median, milliseconds, print_table
from bench.roles import running_api
from bench.rounds import SETTLE_SECONDS
from bench.servers import Servers
from bench.sites import Site
from bench.tenants import Tenant, load_versions, make_tenant, write_documents
from core.domain.contents import empty_develop
from core.operations import access
from core.store.database import Connection, Database, open_database

CONNECTIONS = 16
FLOWS = 64
MOST_P99_SECONDS = 0.015

BODY = orjson.dumps({"deployed_at": "2026-01-01T00:00:00Z"})
ANY_NUMBER = 1_000_000
"""Requests a minute that the company may make: they are counted, and none is refused."""


@dataclass(frozen=True, slots=True)
class Size:
    rounds: int
    deploys: int
    """In a round."""


FULL = Size(rounds=5, deploys=2_000)
SMOKE = Size(rounds=1, deploys=128)


@dataclass(frozen=True, slots=True)
class Place:
    """A version, and where it is."""

    flow_id: int
    version_id: int


async def measure(servers: Servers, *, smoke: bool) -> None:
    """Prints the table; raises AssertionError if a deploy did not, or a flow has not exactly one deployed version."""
    size = SMOKE if smoke else FULL
    connection = await asyncpg.connect(servers.settings.database_url)
    try:
        async with open_database(servers.settings, role="bench", size=2) as database:
            tenant = await make_tenant(database, "Bench")
            await access.set_rate_limit(tenant.principal, database, ANY_NUMBER)
            await write_documents(connection, seed=5)
            kept = await _make_kept(connection, database, tenant)
            drafts = await _make_drafts(connection, tenant, size.deploys * (size.rounds + 1))
            await connection.execute("VACUUM (ANALYZE)", timeout=SETTLE_SECONDS)
        async with running_api(servers) as site:
            rows = [
                _row("a kept version", await _run(servers, site, tenant, [kept] * (size.rounds + 1), size), smoke),
                _row("a Draft", await _run(servers, site, tenant, _portions(drafts, size.deploys), size), smoke),
            ]
        deployed = await connection.fetchval("SELECT count(*) FROM flow_versions WHERE status = 'Deployed'")
        assert deployed == FLOWS + len(drafts), f"{deployed} deployed versions in {FLOWS + len(drafts)} flows"
    finally:
        await connection.close()
    print_table(
        f"Deploys over {CONNECTIONS} connections, median of {size.rounds} rounds of {size.deploys:,}, ms",
        ("of", "a second", "p50", "p99", f"p99 <= {MOST_P99_SECONDS * 1000:.0f}"),
        rows,
    )


async def _run(
    servers: Servers, site: Site, tenant: Tenant, rounds: Sequence[Sequence[Place]], size: Size
) -> list[Load]:
    """The first round warms up."""
    loads = []
    for places in rounds:
        requests = [_request(tenant, place) for place in places]
        loads.append(await send(servers, site.port, requests, connections=CONNECTIONS, status=200, count=size.deploys))
    return loads[1:]


def _request(tenant: Tenant, place: Place) -> bytes:
    head = [
        f"PUT /api/v1/flows/{place.flow_id}/versions/{place.version_id} HTTP/1.1",
        "Host: bench",
        f"Authorization: {tenant.key}",
        "Content-Type: application/json",
        f"Content-Length: {len(BODY)}",
    ]
    return "\r\n".join([*head, "", ""]).encode() + BODY


def _portions(places: Sequence[Place], size: int) -> list[Sequence[Place]]:
    return [places[first : first + size] for first in range(0, len(places), size)]


def _row(name: str, loads: Sequence[Load], smoke: bool) -> tuple[str, ...]:
    late = median([load.p99_seconds for load in loads])
    return (
        name,
        f"{median([load.rate for load in loads]):,.0f}",
        milliseconds(median([load.p50_seconds for load in loads])),
        milliseconds(late),
        Judge(judges=not smoke)(late <= MOST_P99_SECONDS),
    )


async def _make_kept(connection: Connection, database: Database, tenant: Tenant) -> list[Place]:
    """Two versions of about 2 kB in each flow: the first of all flows, then the second, so that each deploy is one."""
    flows = [await tenant.make_flow(database, f"Flow {number}") for number in range(FLOWS)]
    for flow_id in flows:
        await load_versions(connection, "flow_versions", tenant.company_id, flow_id, 2)
    rows = await connection.fetch(
        "SELECT flow_id, id FROM flow_versions WHERE flow_id = ANY($1::bigint[]) ORDER BY iteration, flow_id", flows
    )
    return [Place(*row) for row in rows]


async def _make_drafts(connection: Connection, tenant: Tenant, count: int) -> list[Place]:
    """A flow for each, with nothing else in it."""
    content = empty_develop()
    rows = await connection.fetch(
        """
        WITH f AS (
            INSERT INTO flows (company_id, application_id, name, name_folded, flow_class, next_iteration,
                               created_by_type, updated_by_type)
            SELECT $1, $2, 'Draft ' || i, 'draft ' || i, 'cloud', 2, 'cli', 'cli' FROM generate_series(1, $3) AS i
            RETURNING id
        )
        INSERT INTO flow_versions (company_id, flow_id, iteration, status, body, digest, created_by_type,
                                   updated_by_type)
        SELECT $1, f.id, 1, 'Draft', $4, $5, 'cli', 'cli' FROM f
        RETURNING flow_id, id
        """,
        tenant.company_id,
        tenant.application_id,
        count,
        content.body,
        content.digest,
    )
    return [Place(*row) for row in rows]
