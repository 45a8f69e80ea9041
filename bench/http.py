"""Requests a second of the real API, beside a bare server and FastAPI that answer from the same rows.

Ours is the API as `penstock api` runs it: every middleware, a real token. The bare one runs the same SQL but for the
token, and nothing else; FastAPI does the same and is there for information. Each is one process with the same pool on
the same PostgreSQL, and the load comes from one more.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg

from bench.contestants import Contestant, running_contestants
from bench.documents import write_workflow
from bench.http_cases import CASES, FIRST_PAGE, LAST_PAGE
from bench.report import Judge, milliseconds, print_table
from bench.rounds import FULL, SETTLE_SECONDS, SMOKE, Size, half, print_rates, print_waits, run_cases
from bench.servers import Servers
from bench.tenants import Tenant, load_flows, load_job_logs, load_versions, make_tenant, write_documents
from core.store.database import Connection, Database, open_database

MOST_PAGE_RATIO = 3.0
"""What the last of 200 pages may take, as a multiple of the first."""

MOST_IDLE_MIB = 60
MOST_LOADED_MIB = 80

EMPTY = '{"triggers":[],"nodes":[]}'
"""The least a version can hold: a list of these is all about its other fields."""

FILLED = {"lean": (100, EMPTY), "full": (100, None), "long": (20_000, None)}
"""The flows that are read: how many versions, and their body; None: about 2 kB, each another."""

LISTED = 120
"""Flows of a class of their own, so that a page of 100 is not all of them: each with develop content, and a version of
one name."""

LOGGED = 100
"""Ended deletions in the job log."""

WORKFLOWS = 500
"""Different ones among those that are sent."""


async def measure(servers: Servers, *, smoke: bool) -> None:
    """Prints the tables; raises if the servers do not answer alike, or not as they should."""
    size = SMOKE if smoke else FULL
    connection = await asyncpg.connect(servers.settings.database_url)
    try:
        async with _contestants(servers, connection) as contestants:
            await run_cases(connection, CASES, contestants, size)
            loaded = [contestant.site.resident_mib() for contestant in contestants]
            await _check_created(connection, contestants)
    finally:
        await connection.close()
    _print(contestants, loaded, size, Judge(judges=not smoke))


@asynccontextmanager
async def _contestants(servers: Servers, connection: Connection) -> AsyncIterator[list[Contestant]]:
    """All servers, on a company whose flows are filled."""
    async with open_database(servers.settings, role="bench", size=2) as database:
        tenant = await make_tenant(database, "Bench")
        await write_documents(connection, seed=3)
        flows = {name: await _fill(connection, database, tenant, name) for name in FILLED}
        await load_flows(connection, tenant, LISTED, flow_class="edge", version="stable")
        await load_job_logs(connection, tenant, LOGGED)
        await connection.execute("VACUUM (ANALYZE)", timeout=SETTLE_SECONDS)
        source = random.Random(4)
        workflows = [write_workflow(source) for _ in range(WORKFLOWS)]
        async with running_contestants(servers, database, tenant, flows, workflows) as contestants:
            yield contestants


async def _fill(connection: Connection, database: Database, tenant: Tenant, name: str) -> int:
    """A flow with the versions FILLED says, written by the tenant's token as if over the API; returns its id."""
    count, body = FILLED[name]
    flow_id = await tenant.make_flow(database, name)
    await load_versions(
        connection, "flow_versions", tenant.company_id, flow_id, count, token_id=tenant.token_id, body=body
    )
    return flow_id


async def _check_created(connection: Connection, contestants: Sequence[Contestant]) -> None:
    """Every version that was answered with a 201 is there."""
    for contestant in contestants:
        kept = await connection.fetchval(
            "SELECT count(*) FROM flow_versions WHERE flow_id = ANY($1::bigint[])", contestant.flows.own
        )
        assert kept == contestant.created, f"{contestant.name} kept {kept} of {contestant.created} versions"


def _print(contestants: Sequence[Contestant], loaded: Sequence[float], size: Size, judge: Judge) -> None:
    print_rates(CASES, contestants, size, judge)
    print_waits(CASES, contestants, judge)
    print_table(
        f"The last page of {FILLED['long'][0]:,} versions against the first, p50 in ms",
        ("server", "page 0", "page 199", "last/first", f"<= {MOST_PAGE_RATIO:.0f}"),
        [_page_row(contestant, judge) for contestant in contestants],
    )
    print_table(
        "Resident memory, MiB",
        ("server", "idle", f"<= {MOST_IDLE_MIB}", "after the load", f"<= {MOST_LOADED_MIB}"),
        [_memory_row(contestant, after, judge) for contestant, after in zip(contestants, loaded, strict=True)],
    )


def _page_row(contestant: Contestant, judge: Judge) -> tuple[str, ...]:
    first, last = half(contestant, FIRST_PAGE), half(contestant, LAST_PAGE)
    verdict = judge(last / first <= MOST_PAGE_RATIO) if contestant.name == "ours" else ""
    return contestant.name, milliseconds(first), milliseconds(last), f"{last / first:.2f}", verdict


def _memory_row(contestant: Contestant, after: float, judge: Judge) -> tuple[str, ...]:
    idle = contestant.idle_mib
    own = contestant.name == "ours"
    return (
        contestant.name,
        f"{idle:.0f}",
        judge(idle <= MOST_IDLE_MIB) if own else "",
        f"{after:.0f}",
        judge(after <= MOST_LOADED_MIB) if own else "",
    )
