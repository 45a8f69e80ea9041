"""Gaps of the ledger: instants in a row that were not run, as one account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from asyncpg import Record

from core.domain.accounting import Gap
from core.domain.dues import CronDues, Dues, EveryDues
from core.domain.runs import Reason
from core.store.database import Connection
from core.store.queries import query
from core.store.rows import build

_INSERT = query("run_gaps.insert_gaps")
_PRUNE = query("run_gaps.prune_gaps")
_LIST = query("run_gaps.list_gaps")
_COUNT = query("run_gaps.count_gaps")
_LIST_MISSED = query("run_gaps.list_missed_gaps")
_DELETE = query("run_gaps.delete_gap")
_SHORTEN = query("run_gaps.shorten_gap")
_COUNT_MISSED = query("run_gaps.count_missed")


@dataclass(frozen=True, slots=True)
class StoredGap:
    """A gap as it is kept, with what its instants were due by."""

    id: int
    schedule_id: int
    flow_version_id: int
    gap: Gap
    dues: Dues
    cron_string: str | None
    timezone: str
    every_seconds: int | None
    created_at: datetime


async def insert(connection: Connection, gaps: Sequence[tuple[int, Gap]]) -> None:
    """`gaps`: of which locked schedule, and what."""
    await connection.execute(
        _INSERT,
        [schedule_id for schedule_id, _ in gaps],
        [gap.first for _, gap in gaps],
        [gap.until for _, gap in gaps],
        [gap.instants for _, gap in gaps],
        [gap.reason.value for _, gap in gaps],
    )


async def prune(connection: Connection, keep: timedelta, limit: int) -> int:
    """Ends gaps past their keep time; returns how many."""
    return int((await connection.execute(_PRUNE, keep, limit)).rpartition(" ")[2])


async def list_page(
    connection: Connection, company_id: int, schedule_id: int, *, limit: int, offset: int
) -> tuple[list[StoredGap], int]:
    """A page of a schedule's gaps, the newest first, and how many it has."""
    rows = await connection.fetch(_LIST, company_id, schedule_id, limit, offset)
    total: int = await connection.fetchval(_COUNT, company_id, schedule_id)
    return [_gap_of(row) for row in rows], total


async def list_missed(connection: Connection, company_id: int, schedule_id: int, limit: int) -> list[StoredGap]:
    """The oldest gaps of a locked schedule that are to be made up for."""
    return [_gap_of(row) for row in await connection.fetch(_LIST_MISSED, company_id, schedule_id, limit)]


async def take_from(
    connection: Connection, company_id: int, stored: StoredGap, taken: int, rest: datetime | None
) -> None:
    """Removes the first `taken` instants of a gap; `rest` is the first one left, None if none is."""
    if rest is None:
        await connection.execute(_DELETE, company_id, stored.id)
    else:
        await connection.execute(_SHORTEN, company_id, stored.id, rest, stored.gap.instants - taken, taken)


async def count_missed(connection: Connection, company_id: int, schedule_id: int) -> int:
    number: int = await connection.fetchval(_COUNT_MISSED, company_id, schedule_id)
    return number


def _gap_of(row: Record) -> StoredGap:
    every: int | None = row["every_seconds"]
    return build(
        StoredGap,
        row,
        gap=Gap(row["first_at"], row["until_at"], row["instants"], Reason(row["reason"])),
        dues=CronDues(row["cron_string"], row["timezone"]) if every is None else EveryDues(every),
    )
