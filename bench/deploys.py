"""How long a deploy takes over the Patchworks dialect: one of a kept version, over and over in the same flows, beside a
bare server that writes the same rows; one of a version that has something to fire, which is accounted for first and
begins anew; and one of a Draft, which leaves another Draft behind. Real HTTP requests, from a process of their own, the
two servers by turns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import asyncpg
import orjson

from bench.load import Load, send
from bench.report import Judge, median, milliseconds, print_table
from bench.roles import running_api
from bench.rounds import SETTLE_SECONDS
from bench.servers import Servers
from bench.sites import Site, running_site
from bench.tenants import Tenant, load_versions, make_tenant, write_documents
from core.domain.contents import empty_develop
from core.operations import access
from core.store.database import Connection, Database, open_database

CONNECTIONS = 16
FLOWS = 64
SCHEDULES = 10
"""Of each version that has any."""

MOST_P99_SECONDS = 0.015

PLAIN, BARE, TIMED, SCHEDULED, DRAFT = (
    "a kept version", "the same, bare", "one with a timer", f"one with {SCHEDULES} schedules", "a Draft",
)  # fmt: skip
KEPT = (PLAIN, TIMED, SCHEDULED)

BODY = orjson.dumps({"deployed_at": "2026-01-01T00:00:00Z"})
ANY_NUMBER = 1_000_000
"""Requests a minute that the company may make: they are counted, and none is refused."""


@dataclass(frozen=True, slots=True)
class Size:
    rounds: int
    deploys: int
    """In a round."""


FULL = Size(rounds=5, deploys=1_920)
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
            kept = {name: await _make_kept(connection, database, tenant, name) for name in KEPT}
            drafts = await _make_drafts(connection, tenant, size.deploys * (size.rounds + 1))
        async with (
            running_api(servers) as ours,
            running_site(servers, "bare", "bench.bare_http", str(tenant.company_id)) as bare,
        ):
            loads = await _run(servers, connection, tenant, ours, bare, kept, drafts, size)
        deployed = await connection.fetchval("SELECT count(*) FROM flow_versions WHERE status = 'Deployed'")
        flows = len(KEPT) * FLOWS + len(drafts)
        assert deployed == flows, f"{deployed} deployed versions in {flows} flows"
        live = await connection.fetchval("SELECT count(*) FROM schedule_states WHERE next_due IS NOT NULL")
        assert live == FLOWS * (1 + SCHEDULES), f"{live} schedules and timers are live"
    finally:
        await connection.close()
    judge = Judge(judges=not smoke)
    print_table(
        f"Deploys over {CONNECTIONS} connections, median of {size.rounds} rounds of {size.deploys:,}, ms",
        ("of", "a second", "p50", "p99", f"p99 <= {MOST_P99_SECONDS * 1000:.0f}"),
        [_row(name, loads[name], judge if name == PLAIN else None) for name in loads],
    )


async def _run(
    servers: Servers,
    connection: Connection,
    tenant: Tenant,
    ours: Site,
    bare: Site,
    kept: Mapping[str, Sequence[Place]],
    drafts: Sequence[Place],
    size: Size,
) -> dict[str, list[Load]]:
    """The first round warms up."""
    portions = [drafts[first : first + size.deploys] for first in range(0, len(drafts), size.deploys)]
    loads: dict[str, list[Load]] = {PLAIN: [], BARE: [], TIMED: [], SCHEDULED: [], DRAFT: []}
    for portion in portions:
        await connection.execute("VACUUM (ANALYZE)", timeout=SETTLE_SECONDS)
        for name in loads:
            site, prefix = (bare, "") if name == BARE else (ours, "/api/v1")
            places = portion if name == DRAFT else kept[PLAIN if name == BARE else name]
            requests = [_request(tenant, prefix, place) for place in places]
            load = await send(servers, site.port, requests, connections=CONNECTIONS, status=200, count=size.deploys)
            loads[name].append(load)
    return {name: found[1:] for name, found in loads.items()}


def _request(tenant: Tenant, prefix: str, place: Place) -> bytes:
    head = [
        f"PUT {prefix}/flows/{place.flow_id}/versions/{place.version_id} HTTP/1.1",
        "Host: bench",
        f"Authorization: {tenant.key}",
        "Content-Type: application/json",
        f"Content-Length: {len(BODY)}",
    ]
    return "\r\n".join([*head, "", ""]).encode() + BODY


def _row(name: str, loads: Sequence[Load], judge: Judge | None) -> tuple[str, ...]:
    late = median([load.p99_seconds for load in loads])
    return (
        name,
        f"{median([load.rate for load in loads]):,.0f}",
        milliseconds(median([load.p50_seconds for load in loads])),
        milliseconds(late),
        "" if judge is None else judge(late <= MOST_P99_SECONDS),
    )


async def _make_kept(connection: Connection, database: Database, tenant: Tenant, kind: str) -> list[Place]:
    """Two versions of about 2 kB in each flow: the first of all flows, then the second, so that each deploy is one."""
    flows = [await tenant.make_flow(database, f"Flow {number} of {kind}") for number in range(FLOWS)]
    for flow_id in flows:
        await load_versions(connection, "flow_versions", tenant.company_id, flow_id, 2)
    if kind != TIMED:
        await connection.execute(
            'UPDATE flow_versions SET body = replace(body::text, \'"type":"timer"\', \'"type":"webhook"\')::json'
            " WHERE flow_id = ANY($1::bigint[])",
            flows,
        )
    if kind == SCHEDULED:
        await connection.execute(
            "INSERT INTO schedules (company_id, flow_id, flow_version_id, cron_string, timezone, overlap_policy,"
            " catchup_window_seconds, paused, deployed_at, created_by_type, updated_by_type)"
            " SELECT company_id, flow_id, id, n || ' 3 * * *', 'Europe/Berlin', 'skip', 600, false, now(), 'cli', 'cli'"
            " FROM flow_versions, generate_series(1, $2) AS n WHERE flow_id = ANY($1::bigint[])",
            flows,
            SCHEDULES,
        )
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
