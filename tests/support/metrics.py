"""Runs that end without a runner, and what the ledger itself counts: what version metrics are compared with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from core.domain.runs import Run, RunStatus
from core.operations.endings import Ending, end_runs
from core.operations.rollup import fold_endings
from core.store.database import Connection, Database
from tests.support.runs import Runnable

ALL = 10_000


async def end(
    runnable: Runnable,
    run: Run,
    status: RunStatus = RunStatus.SUCCESS,
    *,
    took: timedelta | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> None:
    """Ends a run as dispatch would. `took`: how long ago its runner had taken it."""
    told = None if metrics is None else json.dumps({"status": status, "message": None, "metrics": dict(metrics)})

    async def work(connection: Connection) -> set[int]:
        started = None
        if took is not None:
            started = await connection.fetchval("SELECT clock_timestamp() - $1::interval", took)
        return await end_runs(connection, [Ending(run.id, run.scheduled_for, status, result=told, started_at=started)])

    assert await runnable.tenant.database.transaction(work) == {run.id}


async def run_some(
    runnable: Runnable, *statuses: RunStatus, took: timedelta | None = timedelta(milliseconds=100)
) -> list[Run]:
    runs = [await runnable.start() for _ in statuses]
    for run, status in zip(runs, statuses, strict=True):
        await end(runnable, run, status, took=took)
    return runs


async def fold_all(database: Database, limit: int = ALL) -> int:
    """Folds what there is; returns how many endings that was."""
    number = 0
    while folded := (await fold_endings(database, limit)).endings:
        number += folded
    return number


async def move(database: Database, by: timedelta) -> None:
    """As if everything in the ledger had happened so much earlier; what is not folded yet, too."""
    async with database.connection() as connection:
        weeks = await connection.fetch(
            "SELECT DISTINCT date_trunc('week', (scheduled_for - $1::interval) AT TIME ZONE 'UTC')::date AS week"
            " FROM runs",
            by,
        )
        for row in weeks:
            await connection.execute("SELECT make_partition('runs', $1, 7)", row["week"])
        await connection.execute(
            "UPDATE runs SET scheduled_for = scheduled_for - $1::interval, started_at = started_at - $1::interval,"
            " finished_at = finished_at - $1::interval",
            by,
        )
        await connection.execute("UPDATE run_gaps SET created_at = created_at - $1::interval", by)
        await connection.execute("UPDATE run_endings SET ended_at = ended_at - $1::interval", by)


@dataclass(frozen=True)
class Numbers:
    """What there is of every version, interval and period: rows by their key."""

    rows: Mapping[tuple[object, ...], tuple[object, ...]]

    def of(self, interval: str, kind: str, key: str) -> Sequence[tuple[object, ...]]:
        return [row for place, row in self.rows.items() if place[1:2] + place[3:] == (interval, kind, key)]


async def stored(database: Database) -> Numbers:
    """Everything that is stored, but for what came to nothing."""
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT * FROM version_metrics WHERE count <> 0")
    return Numbers({_key(row): _value(row) for row in rows})


def _key(row: asyncpg.Record) -> tuple[object, ...]:
    return (row["flow_version_id"], row["span"], row["period_start"], row["type"], row["key"])


def _value(row: asyncpg.Record) -> tuple[object, ...]:
    return tuple(row[name] for name in ("count", "total", "squares", "least", "greatest", "buckets", "counts"))


_UNITS = {"5m": "5 minutes", "hour": "1 hour", "day": "1 day"}

_LEDGER = """
WITH accounts AS (
    SELECT flow_version_id, status, finished_at AS at, 1::bigint AS number,
           CASE WHEN status NOT IN ('skipped', 'missed') THEN finished_at - started_at END AS duration,
           CASE WHEN status NOT IN ('skipped', 'missed')
                THEN greatest(coalesce(started_at, finished_at) - scheduled_for, interval '0') END AS lateness,
           CASE WHEN status NOT IN ('skipped', 'missed') THEN attempts END AS attempts
    FROM runs WHERE finished_at IS NOT NULL
    UNION ALL
    SELECT flow_version_id, CASE reason WHEN 'missed' THEN 'missed' ELSE 'skipped' END, created_at, instants, NULL,
           NULL, NULL
    FROM run_gaps
), placed AS (
    SELECT *, date_bin($1::interval, at, 'epoch') AS period FROM accounts
)
SELECT flow_version_id, period, 'runs' AS type, status AS key, sum(number)::bigint AS count, NULL::numeric AS total
FROM placed GROUP BY 1, 2, 4
UNION ALL
SELECT flow_version_id, period, 'runs', 'attempts', sum(attempts)::bigint, NULL
FROM placed GROUP BY 1, 2 HAVING sum(attempts) > 0
UNION ALL
SELECT flow_version_id, period, 'duration', '', count(duration), sum(extract(epoch FROM duration) * 1000)
FROM placed GROUP BY 1, 2 HAVING count(duration) > 0
UNION ALL
SELECT flow_version_id, period, 'lateness', '', count(lateness), sum(extract(epoch FROM lateness) * 1000)
FROM placed GROUP BY 1, 2 HAVING count(lateness) > 0
"""


async def counted(database: Database) -> dict[tuple[object, ...], tuple[object, object]]:
    """What the ledger itself says, by plain SQL: how many, and the sum of milliseconds."""
    found: dict[tuple[object, ...], tuple[object, object]] = {}
    async with database.connection() as connection:
        for interval, unit in _UNITS.items():
            for row in await connection.fetch(_LEDGER.replace("$1::interval", f"interval '{unit}'")):
                key = (row["flow_version_id"], interval, row["period"], row["type"], row["key"])
                found[key] = (row["count"], row["total"])
    return found


async def compare(database: Database) -> tuple[int, list[object]]:
    """How many numbers the ledger has, and in which of them the metrics differ. Payloads and what runners told are left
    out."""
    expected, found = await counted(database), (await stored(database)).rows
    plain = {key: value[:2] for key, value in found.items() if key[3] in ("runs", "duration", "lateness")}
    differing: list[object] = [
        (key, expected.get(key), plain.get(key)) for key in {*expected, *plain} if expected.get(key) != plain.get(key)
    ]
    return len(expected), differing


async def oldest(database: Database) -> datetime:
    """When the first period begins that there are numbers of."""
    async with database.connection() as connection:
        start: datetime = await connection.fetchval("SELECT min(period_start) FROM version_metrics")
    return start
