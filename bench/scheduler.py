"""How fast what is due is fired: claimed, accounted for in the ledger, its next instant found, dispatch staged, all of
it durable.

Everything is due at one instant, which has just come when the scheduler is told to go. Lateness is read from the rows:
written - due, both the database's clock; the commit follows within the claim, which takes 0.1 s. The peer, APScheduler
3 with its job store in the same PostgreSQL, starts its function in a thread and writes no row for it.

A scheduler and its session of PostgreSQL take turns, so one keeps one core busy, and two of them two: where something
else takes the second core, two are as fast as one.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg

from bench.children import Child, Took, open_child
from bench.report import Judge, median, print_table
from bench.servers import Servers, settle
from bench.tenants import make_tenant
from core.store.database import Connection, open_database
from worker.loops import run_scheduler
from worker.scheduler import Scheduler
from worker.wakeup import Wakeup

LOOK_SECONDS, LOOKS = 0.2, 50

PER_VERSION = 100
COMPANIES = 10
HOURS = 20
"""Hours of the day that expressions name, beginning with the one after the next: whatever is fired is not due again
before the bench is over."""

LEAD_SECONDS = 3
"""From writing down when everything is due until then: for 100,000 rows it takes a second."""

LEAST_FIRES = 15_000
LEAST_RATIO = 15
LEAST_FIRST_SIGHT, LEAST_AGAIN = 4_000, 8_000
LEAST_OF_TWO = 1.3
MOST_LATE_SECONDS, MOST_LATE_SMALL_SECONDS, MOST_LATE_IDLE_SECONDS = 7.0, 1.0, 0.05
MOST_RSS_MIB = 150
MOST_BACK_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Size:
    """How much: `due` schedules at once and a tenth of it, `distinct` with an expression each, `peer` jobs of the peer,
    over so many rounds; `idle` schedules at an edge `edges` times; `outage` minute schedules behind by eight hours."""

    rounds: int
    due: int
    distinct: int
    peer: int
    idle: int
    edges: int
    outage: int


FULL = Size(rounds=3, due=100_000, distinct=20_000, peer=5_000, idle=100, edges=20, outage=10_000)
SMOKE = Size(rounds=1, due=1_000, distinct=300, peer=100, idle=20, edges=2, outage=50)


@dataclass(slots=True)
class Round:
    """What firing `fires` of them took, and how late the rows were."""

    fires: int
    seconds: float
    p50: float
    p99: float
    peak_kib: int

    @property
    def rate(self) -> float:
        return self.fires / self.seconds


async def measure(servers: Servers, *, smoke: bool) -> None:
    size, judge = (SMOKE if smoke else FULL), Judge(judges=not smoke)
    connection = await asyncpg.connect(servers.settings.database_url)
    try:
        found: dict[str, list[Round]] = {}
        for _ in range(size.rounds):
            for name, one in (await _round(servers, connection, size)).items():
                found.setdefault(name, []).append(one)
        _print(found, judge)
        await _measure_idle(servers, connection, size, judge)
        await _measure_outage(servers, connection, size, judge)
    finally:
        await connection.close()


async def _round(servers: Servers, connection: Connection, size: Size) -> dict[str, Round]:
    """Everybody once, one after the other."""
    few = size.due // 10
    found = {"one scheduler, all": await _fire(servers, connection, size.due)}
    found["two schedulers, all"] = await _fire(servers, connection, size.due, schedulers=2)
    found["APScheduler 3"] = await _peer(servers, connection, size.peer)
    found["one scheduler, a tenth"] = await _fire(servers, connection, few)
    found["all distinct, first"], found["all distinct, again"] = await _fire_twice(servers, connection, size.distinct)
    return found


async def _fire(servers: Servers, connection: Connection, due: int, schedulers: int = 1) -> Round:
    await _load(servers, connection, due, distinct=False)
    async with AsyncExitStack() as stack:
        children = [
            await stack.enter_async_context(open_child(servers, "bench.firing_child", "1")) for _ in range(schedulers)
        ]
        return await _tick(connection, children, due)


async def _fire_twice(servers: Servers, connection: Connection, due: int) -> tuple[Round, Round]:
    """The second time the expressions are known."""
    await _load(servers, connection, due, distinct=True)
    async with open_child(servers, "bench.firing_child", "2") as child:
        first = await _tick(connection, [child], due)
        await child.ready()
        await connection.execute("TRUNCATE runs")
        return first, await _tick(connection, [child], due)


async def _tick(connection: Connection, children: list[Child], due: int) -> Round:
    """Makes everything due at one instant, says go when it has come, and checks that it was done."""
    await settle(connection)
    began = await connection.fetchval(
        "SELECT date_trunc('second', clock_timestamp()) + make_interval(secs => $1)", LEAD_SECONDS
    )
    await connection.execute("UPDATE schedule_states SET next_due = $1", began)
    left = await connection.fetchval("SELECT extract(epoch FROM $1::timestamptz - clock_timestamp())::float8", began)
    assert left > 0, "writing down when everything is due took too long"
    await asyncio.sleep(left)
    took: list[Took] = await asyncio.gather(*(child.go() for child in children))
    row = await connection.fetchrow(
        "SELECT count(*) AS runs, count(job_id) AS staged,"
        " percentile_disc(ARRAY[0.5, 0.99])"
        " WITHIN GROUP (ORDER BY extract(epoch FROM created_at - $1)::float8) AS late,"
        " (SELECT sum(jsonb_array_length(arguments -> 'run_ids')) FROM jobs WHERE kind = 'dispatch_runs') AS handed"
        " FROM runs WHERE scheduled_for = $1",
        began,
    )
    assert row["runs"] == row["staged"] == due, f"{row['runs']} of {due} fired"
    assert row["handed"] >= due
    peak = max(one.peak_kib or 0 for one in took)
    return Round(due, max(one.seconds for one in took), row["late"][0], row["late"][1], peak)


async def _peer(servers: Servers, connection: Connection, jobs: int) -> Round:
    await connection.execute("DROP TABLE IF EXISTS bench_apscheduler")
    async with open_child(servers, "bench.apscheduler_child", str(jobs)) as child:
        took = await child.go()
    return Round(jobs, took.seconds, took.seconds / 2, took.seconds, took.peak_kib or 0)


async def _load(servers: Servers, connection: Connection, due: int, *, distinct: bool) -> None:
    """So many live schedules and nothing else: of every minute of most of a day, or each with an expression of its
    own."""
    await connection.execute("TRUNCATE runs, run_gaps, schedule_states, schedules, flow_versions, flows, jobs CASCADE")
    async with open_database(servers.settings, role="bench", size=1) as database:
        tenants = [await make_tenant(database, f"Company {number}") for number in range(COMPANIES)]
    await connection.execute(
        "INSERT INTO flows (company_id, application_id, name, created_by_type, updated_by_type)"
        " SELECT ($1::bigint[])[1 + n % $3], ($2::bigint[])[1 + n % $3], 'flow ' || n, 'cli', 'cli'"
        " FROM generate_series(0, $4 - 1) AS n",
        [tenant.company_id for tenant in tenants],
        [tenant.application_id for tenant in tenants],
        COMPANIES,
        math.ceil(due / PER_VERSION),
    )
    await connection.execute(
        "INSERT INTO flow_versions (company_id, flow_id, iteration, name, name_folded, status, body, digest,"
        " created_by_type, updated_by_type, deployed_at)"
        " SELECT company_id, id, 1, 'v1', 'v1', 'Deployed', '{}', sha256('x'), 'cli', 'cli', now() FROM flows"
    )
    time = f"n % 60 || ' ' || (extract(hour FROM now() AT TIME ZONE 'UTC')::integer + 2 + n / 60 % {HOURS}) % 24"
    days = f"1 + n / 60 / {HOURS} % 28 || ' * ' || n / 60 / {HOURS} / 28 % 7" if distinct else "'* * *'"
    await connection.execute(
        "INSERT INTO schedules (company_id, flow_id, flow_version_id, cron_string, timezone, overlap_policy,"
        " catchup_window_seconds, paused, deployed_at, created_by_type, updated_by_type)"
        f" SELECT v.company_id, v.flow_id, v.id, {time} || ' ' || {days}, 'UTC', 'allow', 600, false, now(), 'cli',"
        " 'cli'"
        " FROM (SELECT row_number() OVER (ORDER BY id) - 1 AS place, * FROM flow_versions) AS v"
        f" CROSS JOIN LATERAL (SELECT v.place * {PER_VERSION} + k AS n"
        f" FROM generate_series(0, {PER_VERSION} - 1) AS k) AS s"
        " WHERE n < $1",
        due,
    )
    await connection.execute(
        "INSERT INTO schedule_states (schedule_id, company_id, flow_id, flow_version_id, live_since, next_due)"
        " SELECT id, company_id, flow_id, flow_version_id, now() - interval '1 day', 'infinity' FROM schedules"
    )
    await connection.execute("UPDATE schedule_states SET next_due = now() + interval '1 day'")


def _print(found: dict[str, list[Round]], judge: Judge) -> None:
    rate = {name: median([one.rate for one in rounds]) for name, rounds in found.items()}
    p99 = {name: median([one.p99 for one in rounds]) for name, rounds in found.items()}
    peer, one = rate["APScheduler 3"], rate["one scheduler, all"]
    peak = max(round_.peak_kib for name, rounds in found.items() if name != "APScheduler 3" for round_ in rounds) / 1024
    rows = [
        [
            name, f"{rounds[0].fires:,}", f"{rate[name]:,.0f}", f"{rate[name] / peer:.1f}",
            f"{median([one.p50 for one in rounds]):.2f}", f"{p99[name]:.2f}",
        ]
        for name, rounds in found.items()
    ]  # fmt: skip
    head = ["all due at one instant", "fires", "fires/s", "x APScheduler 3", "late p50 s", "late p99 s"]
    print_table(f"Medians of {len(found['APScheduler 3'])} rounds", head, rows)
    all_late, few_late = p99["one scheduler, all"], p99["one scheduler, a tenth"]
    verdicts = [
        [f"one scheduler >= {LEAST_FIRES:,} fires/s", f"{one:,.0f}", judge(one >= LEAST_FIRES)],
        [f"... >= {LEAST_RATIO} x APScheduler 3", f"{one / peer:.1f}", judge(one / peer >= LEAST_RATIO)],
        [f"p99 late, all <= {MOST_LATE_SECONDS:.0f} s", f"{all_late:.2f}", judge(all_late <= MOST_LATE_SECONDS)],
        [f"p99 late, a tenth <= {MOST_LATE_SMALL_SECONDS:.0f} s", f"{few_late:.2f}", judge(few_late <= 1)],
        [
            f"all distinct, first sight >= {LEAST_FIRST_SIGHT:,}/s", f"{rate['all distinct, first']:,.0f}",
            judge(rate["all distinct, first"] >= LEAST_FIRST_SIGHT),
        ],
        [
            f"all distinct, again >= {LEAST_AGAIN:,}/s", f"{rate['all distinct, again']:,.0f}",
            judge(rate["all distinct, again"] >= LEAST_AGAIN),
        ],
        [
            f"two schedulers >= {LEAST_OF_TWO} x one", f"{rate['two schedulers, all'] / one:.2f}",
            judge(rate["two schedulers, all"] / one >= LEAST_OF_TWO),
        ],
        [f"most memory <= {MOST_RSS_MIB} MiB", f"{peak:.0f}", judge(peak <= MOST_RSS_MIB)],
    ]  # fmt: skip
    print_table("Targets", ["target", "measured", ""], verdicts)


async def _measure_idle(servers: Servers, connection: Connection, size: Size, judge: Judge) -> None:
    """The loop sleeps until an edge at which `idle` schedules are due; how late is the last row of nearly all edges?"""
    await _load(servers, connection, size.idle, distinct=False)
    await connection.execute("UPDATE schedules SET cron_string = '* * * * *'")
    late: list[float] = []
    async with open_database(servers.settings, role="bench", size=2) as database:
        loop = asyncio.create_task(run_scheduler(Scheduler(database), Wakeup()))
        for edge in range(size.edges):
            due = datetime.now(UTC) + timedelta(seconds=1.5)
            await connection.execute("UPDATE schedule_states SET next_due = $1", due)
            await _written(connection, size.idle * (edge + 1))
            rows = await connection.fetch(
                "SELECT extract(epoch FROM created_at - scheduled_for)::float8 FROM runs WHERE scheduled_for = $1", due
            )
            late += [row[0] for row in rows]
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
    worst = sorted(late)[int(len(late) * 0.99)]
    rows = [[f"p99 late <= {MOST_LATE_IDLE_SECONDS * 1000:.0f} ms", f"{worst * 1000:.1f}", judge(worst <= 0.05)]]
    print_table(f"From idle, {size.idle} schedules at one instant, {size.edges} times", ["target", "ms", ""], rows)


async def _written(connection: Connection, runs: int) -> None:
    """Waits until there are so many."""
    for _ in range(LOOKS):
        if await connection.fetchval("SELECT count(*) FROM runs") >= runs:
            return
        await asyncio.sleep(LOOK_SECONDS)
    raise AssertionError("what was due was not fired")


async def _measure_outage(servers: Servers, connection: Connection, size: Size, judge: Judge) -> None:
    """Minute schedules that nobody looked after for eight hours: how long until all of them are at the present?"""
    await _load(servers, connection, size.outage, distinct=False)
    await connection.execute("UPDATE schedules SET cron_string = '* * * * *'")
    await connection.execute(
        "UPDATE schedule_states SET next_due = date_trunc('minute', clock_timestamp() - interval '8 hours')"
    )
    await settle(connection)
    async with open_child(servers, "bench.firing_child", "1") as child:
        took = await child.go()
    row = await connection.fetchrow(
        "SELECT (SELECT count(*) FROM runs) AS runs, (SELECT sum(instants) FROM run_gaps)::bigint AS left_out,"
        " (SELECT count(*) FROM run_gaps) AS gaps"
    )
    assert row["gaps"] == size.outage
    assert row["runs"] + row["left_out"] >= size.outage * 481
    rows = [[f"back within {MOST_BACK_SECONDS} s", f"{took.seconds:.1f}", judge(took.seconds <= MOST_BACK_SECONDS)]]
    print_table(
        f"Eight hours' outage of {size.outage:,} minute schedules: {row['runs']:,} runs, {row['left_out']:,} in gaps",
        ["target", "seconds", ""],
        rows,
    )
