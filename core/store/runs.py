"""The ledger: one row for each due instant that has one, and for each start by hand."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import asyncpg

from core.domain.accounting import Entry
from core.domain.runs import RunStatus, Trigger
from core.store.database import Connection
from core.store.queries import query
from core.store.rows import build

_MAKE_WEEKS = query("runs.make_weeks")
_TAKE_JOB_IDS = query("runs.take_job_ids")
_INSERT_DUE = query("runs.insert_due")
_SUPERSEDE = query("runs.supersede")
_LIST_SCHEDULES_OF = query("runs.list_schedules_of")
_LOCK_ACTIVE = query("runs.lock_active")
_END = query("runs.end_runs")
_FIND_FIRST_BUFFERED = query("runs.find_first_buffered")
_LIST_BUFFERED = query("runs.list_buffered")
_STAGE = query("runs.stage_runs")
_LIST_MISSED = query("runs.list_missed")
_REOPEN_MISSED = query("runs.reopen_missed")
_LIST_DEFAULT_WEEKS = query("runs.list_default_weeks")
_DROP_WEEK = query("runs.drop_week")


class DueRun(NamedTuple):
    """The account of one instant of a locked schedule. `job_id`: the job that is to dispatch it, if it is to begin."""

    schedule_id: int
    entry: Entry
    dst_merged: bool
    job_id: int | None


def week_of(at: datetime) -> date:
    """The Monday, in UTC, that names the partition of an instant."""
    day = at.astimezone(UTC).date()
    return day - timedelta(days=day.weekday())


async def make_weeks(connection: Connection, weeks: Collection[date]) -> int:
    """Makes the partitions that are missing; returns how many rows had to be moved into them."""
    moved: int = await connection.fetchval(_MAKE_WEEKS, sorted(weeks))
    return moved


async def list_default_weeks(connection: Connection) -> list[date]:
    """The weeks of runs that found no partition."""
    return [row["week"] for row in await connection.fetch(_LIST_DEFAULT_WEEKS)]


async def drop_week(connection: Connection, keep: timedelta) -> str | None:
    """Drops the oldest week that is past its keep time, a transaction by itself; its partition's name. None, too, where
    others use the ledger for too long."""
    try:
        name: str | None = await connection.fetchval(_DROP_WEEK, keep.days)
    except asyncpg.LockNotAvailableError:
        return None
    return name


async def take_job_ids(connection: Connection, number: int) -> list[int]:
    return [row[0] for row in await connection.fetch(_TAKE_JOB_IDS, number)]


async def insert_due(
    connection: Connection,
    runs: Sequence[DueRun],
    jobs: Sequence[tuple[int, str]],
    trigger: Trigger | None = None,
) -> int:
    """Writes the runs and the dispatch jobs, `(id, public id)`, that they name; returns how many runs were new. They
    were due by a schedule or timer, unless `trigger` says otherwise."""
    stored: int = await connection.fetchval(
        _INSERT_DUE,
        [run.schedule_id for run in runs],
        [run.entry.at for run in runs],
        [run.entry.status.value for run in runs],
        [run.entry.reason and run.entry.reason.value for run in runs],
        [run.entry.buffered for run in runs],
        [run.dst_merged for run in runs],
        [run.job_id for run in runs],
        [number for number, _ in jobs],
        [public_id for _, public_id in jobs],
        trigger,
    )
    return stored


async def supersede(connection: Connection, schedule_ids: Sequence[int]) -> list[int]:
    """Skips what waited until now; returns whose runs those were, each as often as it had one."""
    return [row["schedule_id"] for row in await connection.fetch(_SUPERSEDE, schedule_ids)]


@dataclass(frozen=True, slots=True)
class ActiveRun:
    """A run that goes on, as far as whoever ends or dispatches it has to know."""

    id: int
    scheduled_for: datetime
    schedule_id: int | None
    company_id: int
    buffered: bool = False


async def list_schedules_of(connection: Connection, places: Sequence[tuple[int, datetime]]) -> list[int]:
    """`places`: ids and instants of runs. Schedules in the order they have to be locked in."""
    rows = await connection.fetch(_LIST_SCHEDULES_OF, *_columns(places, 1), *span(at for _, at in places))
    return [row["schedule_id"] for row in rows]


async def lock_active(connection: Connection, places: Sequence[tuple[int, datetime]]) -> list[ActiveRun]:
    rows = await connection.fetch(_LOCK_ACTIVE, *_columns(places, 1), *span(at for _, at in places))
    return [build(ActiveRun, row) for row in rows]


async def end(
    connection: Connection,
    endings: Sequence[tuple[int, datetime, RunStatus, str | None, str | None, str | None, datetime | None]],
) -> None:
    """Ends locked runs: id, instant, status, reason, message, the JSON text of the result, and when it was begun."""
    ids, _, *told = _columns(endings, 7)
    await connection.execute(_END, ids, *told, *span(at for _, at, *_ in endings))


async def find_first_buffered(connection: Connection, schedule_ids: Sequence[int]) -> list[ActiveRun]:
    rows = await connection.fetch(_FIND_FIRST_BUFFERED, schedule_ids)
    return [build(ActiveRun, row, buffered=True) for row in rows]


async def list_buffered(connection: Connection, schedule_id: int) -> list[ActiveRun]:
    """Everything of a locked schedule that waits for an earlier run to end."""
    return [build(ActiveRun, row, buffered=True) for row in await connection.fetch(_LIST_BUFFERED, schedule_id)]


async def list_missed(connection: Connection, company_id: int, schedule_id: int, limit: int) -> list[datetime]:
    """The oldest missed instants of a locked schedule that have a row."""
    rows = await connection.fetch(_LIST_MISSED, company_id, schedule_id, limit)
    return [row["scheduled_for"] for row in rows]


async def reopen_missed(
    connection: Connection, company_id: int, schedule_id: int, instants: Sequence[datetime]
) -> None:
    """Makes missed instants of a locked schedule runs that wait for their turn."""
    await connection.execute(_REOPEN_MISSED, company_id, schedule_id, instants)


async def stage(
    connection: Connection, dealt: Sequence[tuple[ActiveRun, int]], jobs: Sequence[tuple[int, str]]
) -> None:
    """`dealt`: each run and the number of the job it is handed to; `jobs`: the numbers and public ids of those."""
    handed = [(run.id, number) for run, number in dealt]
    instants = span(run.scheduled_for for run, _ in dealt)
    await connection.execute(_STAGE, *_columns(handed, 2), *_columns(jobs, 2), *instants)


def _columns(rows: Sequence[tuple[object, ...]], width: int) -> list[list[object]]:
    """Rows of values as columns of them, which is what unnest takes."""
    return [[row[place] for row in rows] for place in range(width)]


def span(instants: Iterable[datetime]) -> tuple[datetime, datetime]:
    """The first and the last of them, which name the partitions that runs are in."""
    known = list(instants)
    return min(known), max(known)
