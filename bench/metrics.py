"""What version metrics cost, and how fast they are: ending runs with and without them, rolling up, reading, storage.

Runs end as dispatch ends them, a turn's worth in a transaction and several of those at once; the other side of the
comparison is the same with a statement that tells the metrics nothing. The roll-up folds endings of many versions that
ended within a day. What is read is that day, in periods of five minutes, a page of a hundred numbers at a time, as the
API answers it but for HTTP.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import asyncpg

from bench.report import Judge, median, milliseconds, print_table, quantile, spread
from bench.servers import Servers, settle
from bench.tenants import Tenant, make_tenant
from core.domain.listings import Listing
from core.domain.metrics import Interval
from core.domain.runs import RunStatus
from core.operations import metrics
from core.operations.endings import Ending, end_runs
from core.operations.metrics import Range
from core.store import runs
from core.store.database import Connection, Database, open_database
from core.store.queries import query
from schemas.jobs import MOST_PAGE
from schemas.metrics import render_metric
from worker.roller import Roller

LEAST_SHARE = 0.90
LEAST_ROLLED = 20_000
MOST_READ_MS = 30.0

TURN = 32
"""Runs that one transaction of dispatch ends, at most, while others are under way."""

AT_ONCE = 4
"""Dispatch jobs that end runs side by side."""

RESULT = '{"status": "success", "message": null, "metrics": {}}'
"""What is kept of a run whose runner said nothing of itself."""

DAY = datetime(2026, 1, 7, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Size:
    """How much: `rounds` of ending `runs`; `endings` of `versions`, in so many `periods`, rolled up; `reads` of each
    page."""

    rounds: int
    runs: int
    endings: int
    versions: int
    periods: int
    reads: int


FULL = Size(rounds=5, runs=6_400, endings=86_400, versions=100, periods=288, reads=50)
SMOKE = Size(rounds=1, runs=320, endings=2_880, versions=10, periods=12, reads=3)

_COUNTED = query("runs.end_runs")
PLAIN_END = _COUNTED[_COUNTED.index("UPDATE runs r") : _COUNTED.index("    RETURNING")]
"""How a run ends where nobody counts it: the first half of the statement, by itself."""


async def measure(servers: Servers, *, smoke: bool) -> None:
    """Prints the tables; raises AssertionError if a run was not counted, or counted twice."""
    size, judge = (SMOKE if smoke else FULL), Judge(judges=not smoke)
    async with _ground(servers) as (database, connection, tenant, flow_id):
        await _measure_ending(database, connection, tenant, size, judge)
        await _measure_rolling(database, connection, tenant, flow_id, size, judge)
        await _measure_reading(database, tenant, flow_id, size, judge)
        await _measure_storage(connection, size)


@asynccontextmanager
async def _ground(servers: Servers) -> AsyncIterator[tuple[Database, Connection, Tenant, int]]:
    connection = await asyncpg.connect(servers.settings.database_url)
    try:
        async with open_database(servers.settings, role="bench", size=AT_ONCE + 2) as database:
            tenant = await make_tenant(database, "Bench")
            yield database, connection, tenant, await tenant.make_flow(database, "Counted")
    finally:
        await connection.close()


async def _measure_ending(database: Database, connection: Connection, tenant: Tenant, size: Size, judge: Judge) -> None:
    await _end_all(database, connection, tenant, size)  # every statement is prepared by then
    ours: list[float] = []
    plain: list[float] = []
    for number in range(size.rounds):
        for counted in (True, False) if number % 2 else (False, True):  # neither always comes first
            if counted:
                ours.append(await _end_all(database, connection, tenant, size))
                told = await connection.fetchval("SELECT count(*) FROM run_endings")
                assert told == size.runs, f"{told} of {size.runs} runs were told"
            else:
                with patch.object(runs, "_END", PLAIN_END):
                    plain.append(await _end_all(database, connection, tenant, size))
    share = median([one / other for one, other in zip(ours, plain, strict=True)])
    rows = [
        ["counted", f"{median(ours):,.0f}", spread(ours), f"{share:.2f}", judge(share >= LEAST_SHARE)],
        ["not counted", f"{median(plain):,.0f}", spread(plain), "1.00", ""],
    ]
    title = f"Ending {size.runs:,} runs, {TURN} a transaction, {AT_ONCE} at once, {size.rounds} rounds"
    print_table(title, ["", "runs a second", "least-most", "ratio", f">= {LEAST_SHARE}"], rows)


async def _end_all(database: Database, connection: Connection, tenant: Tenant, size: Size) -> float:
    """Runs a second. Each run is of a schedule of its own, whose state is locked and counted."""
    await connection.execute("TRUNCATE runs, schedule_states, run_endings")
    rows = await connection.fetch(_LOAD_RUNS, tenant.company_id, size.runs)
    await settle(connection)
    endings = [
        Ending(row["id"], row["scheduled_for"], RunStatus.SUCCESS, result=RESULT, started_at=row["scheduled_for"])
        for row in rows
    ]
    turns = [endings[first : first + TURN] for first in range(0, len(endings), TURN)]

    async def work_off() -> None:
        while turns:
            turn = turns.pop()

            async def work(connection: Connection, turn: list[Ending] = turn) -> set[int]:
                return await end_runs(connection, turn)

            assert len(await database.transaction(work)) == len(turn)

    began = time.perf_counter()
    await asyncio.gather(*(work_off() for _ in range(AT_ONCE)))
    return size.runs / (time.perf_counter() - began)


_LOAD_RUNS = """
WITH numbered AS (
    SELECT n, nextval('schedules_id_seq') AS schedule_id FROM generate_series(1, $2::integer) AS n
), states AS (
    INSERT INTO schedule_states (schedule_id, company_id, flow_id, flow_version_id, active_runs)
    SELECT schedule_id, $1, 1, 1 + n % 100, 1 FROM numbered
)
INSERT INTO runs (company_id, flow_id, flow_version_id, schedule_id, scheduled_for, trigger, status, version_iteration,
                  version_revision, digest, attempts)
SELECT $1, 1, 1 + n % 100, schedule_id, clock_timestamp(), 'schedule', 'queued', 1, 1, sha256('x'), 1 FROM numbered
RETURNING id, scheduled_for
"""


async def _measure_rolling(
    database: Database, connection: Connection, tenant: Tenant, flow_id: int, size: Size, judge: Judge
) -> None:
    """A minute of a busy installation, by one and by two; then the backlog of a whole day, which is what is read
    below."""
    rows: list[list[str]] = []
    for loops, periods in ((2, 1), (1, 1), (1, size.periods)):
        await connection.execute("TRUNCATE run_endings, version_metrics")
        ended = (size.endings, size.versions, periods, DAY)
        await connection.execute(_LOAD_ENDINGS, tenant.company_id, flow_id, *ended)
        await settle(connection)
        began = time.perf_counter()
        folded = sum(await asyncio.gather(*(_roll(Roller(database)) for _ in range(loops))))
        rate = folded / (time.perf_counter() - began)
        counted = await connection.fetchval(_COUNT_DAY)
        assert folded == counted == size.endings, f"{counted} of {size.endings} runs were counted"
        name = f"{loops} roll-up{'s' if loops > 1 else ''}, {'a minute' if periods == 1 else 'a day'}"
        rows.append([name, f"{rate:,.0f}", judge(rate >= LEAST_ROLLED) if (loops, periods) == (1, 1) else ""])
    title = f"Rolling up {size.endings:,} runs of {size.versions} versions that ended within a minute, or within a day"
    print_table(title, ["", "runs a second", f">= {LEAST_ROLLED:,}"], rows)


async def _roll(roller: Roller) -> int:
    number = 0
    while folded := (await roller.run_once()).endings:
        number += folded
    return number


_LOAD_ENDINGS = """
INSERT INTO run_endings (company_id, flow_id, flow_version_id, status, ended_at, attempts, duration_us, lateness_us)
SELECT $1, $2, 1 + n % $4::integer, CASE WHEN n % 50 = 0 THEN 'failure' ELSE 'success' END,
       $6::timestamptz + (n::bigint * $5::integer / $3::integer) * interval '5 minutes'
           + (n::float8 / $3::integer) * interval '1 minute', 1,
       (exp(2.5 + random() * 3) * 1000)::bigint, (exp(random() * 4) * 1000)::bigint
FROM generate_series(0, $3::integer - 1) AS n
"""
"""In the order in which they ended; durations of 12 ms to 3 s."""

_COUNT_DAY = """
SELECT sum(count)::bigint FROM version_metrics WHERE span = 'day' AND type = 'runs' AND key IN ('success', 'failure')
"""


async def _measure_reading(database: Database, tenant: Tenant, flow_id: int, size: Size, judge: Judge) -> None:
    asked = Range(DAY, DAY + timedelta(minutes=5 * size.periods), (Interval.FIVE_MINUTES,))
    rows = [
        await _read(database, tenant, flow_id, size, judge, asked, name, filters)
        for name, filters in (
            ("duration p95", {"type": ["duration"], "key": ["p95"]}),
            ("success", {"type": ["runs"], "key": ["success"]}),
            ("whatever there is", {}),
        )
    ]
    title = f"Reading a day of 5-minute numbers of {size.versions} versions, {MOST_PAGE} a page"
    print_table(title, ["", "numbers", "first", "middle", "last", "p99 ms", f"<= {MOST_READ_MS:.0f}"], rows)


async def _read(
    database: Database,
    tenant: Tenant,
    flow_id: int,
    size: Size,
    judge: Judge,
    asked: Range,
    name: str,
    filters: dict[str, list[str]],
) -> list[str]:
    """Medians of the first, a middle and the last page, and the p99 of all. Of half a million numbers, which is what
    there is without a filter, the first: nobody leafs through five thousand pages."""
    took: dict[int, list[float]] = {}
    _, total = await metrics.list_metrics(tenant.principal, database, flow_id, asked, Listing(MOST_PAGE, 0, filters))
    last = (total - 1) // MOST_PAGE * MOST_PAGE
    pages = [0, last // 2 // MOST_PAGE * MOST_PAGE, last] if filters else [0]
    for _ in range(size.reads):
        for offset in pages:
            began = time.perf_counter()
            found, _ = await metrics.list_metrics(
                tenant.principal, database, flow_id, asked, Listing(MOST_PAGE, offset, filters)
            )
            assert [render_metric(metric) for metric in found]
            took.setdefault(offset, []).append(time.perf_counter() - began)
    p99 = quantile([one for some in took.values() for one in some], 0.99)
    medians = [milliseconds(median(took[offset])) for offset in pages]
    return [
        name,
        f"{total:,}",
        *(medians if filters else [*medians, "", ""]),
        milliseconds(p99),
        judge(p99 * 1000 <= MOST_READ_MS),
    ]


async def _measure_storage(connection: Connection, size: Size) -> None:
    """What a version's periods take, indexes included, that ran some ten times in each of five minutes."""
    await connection.execute("VACUUM FULL version_metrics")
    rows = await connection.fetch(_SIZES)
    table = await connection.fetchval("SELECT pg_total_relation_size('version_metrics')")
    shown = []
    whole = sum(row["bytes"] for row in rows)
    month = 0.0
    for row in rows:
        periods = 30 * 86_400 / Interval(row["span"]).seconds
        each = row["bytes"] / whole * table / row["periods"]
        month += each * periods
        shown.append([row["span"], f"{row['rows']:,}", f"{each:,.0f}", f"{each * periods / 1e6:,.2f}"])
    print_table(
        "Storage of a version, indexes included", ["interval", "rows here", "bytes a period", "MB a month"], shown
    )
    print(f"\nA version that ran {size.endings // size.versions // size.periods} times in every five minutes takes"
          f" {month / 1e6:,.1f} MB a month.")  # fmt: skip


_SIZES = """
SELECT span, count(*) AS rows, sum(pg_column_size(m.*) + 28 + 80)::float8 AS bytes,
       count(DISTINCT (flow_version_id, period_start)) AS periods
FROM version_metrics m GROUP BY span ORDER BY span
"""
"""Rows with their headers, and some 80 bytes of each in the two indexes."""
