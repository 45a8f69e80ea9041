"""From due to ended: runs of many schedules, staged at one instant, sent by one worker to a runner on this machine.

Scheduler and worker are the real roles. The runs are written as the scheduler writes them, in one transaction with
their jobs, each of a schedule of its own whose state has to be locked and counted when the run ends. A run is over when
its end is on the disk. The peer posts as many requests of the same size with the same client and reads and writes
nothing else: what it reaches is what the client, the signature and the runner leave of this machine.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

import aiohttp
import asyncpg

from bench.children import open_child
from bench.report import Judge, median, print_table, quantile, spread
from bench.servers import Servers, settle
from bench.sites import Site, running_site, stop
from bench.tenants import Tenant, load_versions, make_tenant, write_documents
from cli.embedded.launch import Launch
from core.domain.identifiers import new_public_id
from core.domain.runs import DISPATCH_BATCH
from core.store.database import Connection, Database, open_database

LEAST_A_SECOND = 1_000

BODY_BYTES = 2_300
"""Of a request for one of the workflows of the bench; the peer's are as long."""

WEEKS = 12
"""Of runs that are kept: the ledger has a partition for each, and planning for all of them is part of the price."""

DRAIN_SECONDS = 120.0
LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Size:
    """How much: `rounds` of `runs`, of so many companies."""

    rounds: int
    runs: int
    companies: int


FULL = Size(rounds=5, runs=5_000, companies=4)
SMOKE = Size(rounds=1, runs=300, companies=2)


@dataclass(frozen=True, slots=True)
class Dispatched:
    """What a round came to, by the database's clock: runs a second from the first request to the last end, and how
    long runs took from their instant to their end."""

    a_second: float
    seconds: list[float]


async def measure(servers: Servers, *, smoke: bool) -> None:
    """Prints the tables; raises AssertionError if a run was lost, or was sent twice."""
    size = SMOKE if smoke else FULL
    open_to_loopback = replace(servers, environment={**servers.environment, "PENSTOCK_ALLOW_PRIVATE_TARGETS": "1"})
    ours: list[Dispatched] = []
    bare: list[float] = []
    async with _ground(open_to_loopback, size) as (database, connection, tenants, runner):
        await _round(database, connection, tenants, runner, size)  # every statement is prepared by then
        for _ in range(size.rounds):
            await settle(connection)
            ours.append(await _round(database, connection, tenants, runner, size))
            async with open_child(
                open_to_loopback, "bench.bare_poster", f"{runner.url}/run", str(size.runs), str(BODY_BYTES)
            ) as child:
                bare.append(size.runs / (await child.go()).seconds)
    _print(ours, bare, size, Judge(judges=not smoke))


@asynccontextmanager
async def _ground(servers: Servers, size: Size) -> AsyncIterator[tuple[Database, Connection, list[Tenant], Site]]:
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(servers.settings, role="bench", size=2))
        connection = await asyncpg.connect(servers.settings.database_url)
        stack.push_async_callback(connection.close)
        await write_documents(connection, seed=3)
        await connection.execute(
            "SELECT make_partition('runs', date_trunc('week', clock_timestamp() AT TIME ZONE 'UTC')::date - 7 * n, 7)"
            " FROM generate_series(2, $1) AS n",
            WEEKS,
        )
        runner = await stack.enter_async_context(running_site(servers, "runner", "bench.bare_runner"))
        tenants = [await _make_tenant(database, connection, number, runner) for number in range(size.companies)]
        for role in ("scheduler", "worker"):
            launch = Launch(
                role,
                (sys.executable, "-m", "cli.main", role),
                servers.environment,
                log=servers.folder / "logs" / f"{role}.log",
            )
            stack.push_async_callback(stop, await servers.ward.spawn(launch))
        yield database, connection, tenants, runner


async def _make_tenant(database: Database, connection: Connection, number: int, runner: Site) -> Tenant:
    """A company with ten flows of ten versions, all of which run at the same place."""
    tenant = await make_tenant(database, f"Bench {number}")
    for flow in range(10):
        flow_id = await tenant.make_flow(database, f"Flow {flow}")
        await load_versions(connection, "flow_versions", tenant.company_id, flow_id, 10)
    await connection.execute("UPDATE flows SET runner_url = $1", f"{runner.url}/run")
    return tenant


async def _round(
    database: Database, connection: Connection, tenants: list[Tenant], runner: Site, size: Size
) -> Dispatched:
    """Stages, waits for the last end, checks, and forgets."""
    before = await _received(runner)
    each = size.runs // len(tenants)
    async with connection.transaction():
        for tenant in tenants:
            jobs = [new_public_id(os.urandom) for _ in range(-(-each // DISPATCH_BATCH))]
            await connection.execute(_STAGE, tenant.company_id, each, DISPATCH_BATCH, jobs)
        await connection.execute("SELECT pg_notify('penstock_staged', '')")
    async with asyncio.timeout(DRAIN_SECONDS):
        await _drained(connection)
    rows = await connection.fetch(_READ)
    after = await _received(runner)
    assert len(rows) == size.runs
    assert {(row["status"], row["attempts"]) for row in rows} == {("success", 1)}
    assert after["runs"] - before["runs"] == after["requests"] - before["requests"] == size.runs
    assert await connection.fetchval("SELECT sum(active_runs) FROM schedule_states") == 0
    took = max(row["ended"] for row in rows) - min(row["begun"] for row in rows)
    await connection.execute("TRUNCATE runs, schedule_states")
    return Dispatched(size.runs / took, [row["ended"] for row in rows])


async def _drained(connection: Connection) -> None:
    while True:
        if not await connection.fetchval("SELECT count(*) FROM runs WHERE finished_at IS NULL"):
            return
        await asyncio.sleep(LOOK_SECONDS)


async def _received(runner: Site) -> dict[str, int]:
    async with aiohttp.ClientSession() as session, session.get(f"{runner.url}/received") as answer:
        received: dict[str, int] = await answer.json(content_type=None)
    return received


_STAGE = """
WITH numbered AS (
    SELECT n, v.id AS version_id, v.flow_id, v.name, v.iteration, v.revision, v.digest,
           nextval('schedules_id_seq') AS schedule_id, (n - 1) / $3::integer AS batch
    FROM generate_series(1, $2::integer) AS n
    JOIN (SELECT *, row_number() OVER (ORDER BY id) - 1 AS place FROM flow_versions WHERE company_id = $1) v
      ON v.place = n % 100
), states AS (
    INSERT INTO schedule_states (schedule_id, company_id, flow_id, flow_version_id, active_runs)
    SELECT schedule_id, $1, flow_id, version_id, 1 FROM numbered
), batches AS (
    SELECT batch, nextval(pg_get_serial_sequence('jobs', 'id')) AS job_id
    FROM (SELECT DISTINCT batch FROM numbered) AS b
), written AS (
    INSERT INTO runs (company_id, flow_id, flow_version_id, schedule_id, scheduled_for, trigger, status, version_name,
                      version_iteration, version_revision, digest, job_id)
    SELECT $1, n.flow_id, n.version_id, n.schedule_id, clock_timestamp(), 'schedule', 'queued', n.name, n.iteration,
           n.revision, n.digest, b.job_id
    FROM numbered n JOIN batches b USING (batch)
    RETURNING id, scheduled_for, job_id
)
INSERT INTO jobs (id, public_id, company_id, kind, queue, arguments, requested_by_type, deliver_at)
OVERRIDING SYSTEM VALUE
SELECT w.job_id, ($4::text[])[b.batch + 1], $1, 'dispatch_runs', 'dispatch',
       jsonb_build_object('run_ids', jsonb_agg(w.id),
                          'first_at', min(w.scheduled_for), 'last_at', max(w.scheduled_for)),
       'scheduler', clock_timestamp()
FROM written w JOIN batches b USING (job_id)
GROUP BY w.job_id, b.batch
"""
"""Runs of company $1, each of a schedule of its own, and a job for every $3 of them."""

_READ = """
SELECT status, attempts, extract(epoch FROM dispatched_at - first)::float8 AS begun,
       extract(epoch FROM finished_at - first)::float8 AS ended
FROM runs, (SELECT min(scheduled_for) AS first FROM runs) AS f
"""


def _print(ours: list[Dispatched], bare: list[float], size: Size, judge: Judge) -> None:
    rates = [one.a_second for one in ours]
    ended = [seconds for one in ours for seconds in one.seconds]
    rows = [
        ["one worker", f"{median(rates):,.0f}", spread(rates), f"{median(rates) / median(bare):.2f}",
         judge(median(rates) >= LEAST_A_SECOND)],
        ["posting alone", f"{median(bare):,.0f}", spread(bare), "1.00", ""],
    ]  # fmt: skip
    title = f"{size.runs:,} runs of {size.companies} companies due at one instant, {size.rounds} rounds"
    print_table(title, ["", "runs a second", "least-most", "ratio", f">= {LEAST_A_SECOND:,}"], rows)
    print(f"\nFrom due to ended: median {median(ended):.2f} s, p99 {quantile(ended, 0.99):.2f} s")
