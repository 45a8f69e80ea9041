"""What the runs of a flow came to, read from the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import asyncpg

from core.domain.runs import RunStatus
from core.domain.tallies import MOST_ERROR_CHARACTERS, MOST_LINES, EndedRun, ErrorLine, Narrowed, Tally, Window
from core.store.database import Connection
from core.store.queries import query
from core.store.rows import build

_FIND_VERSION = query("tallies.find_version")
_SUM_RUNS = query("tallies.sum_runs")
_LIST_FAILED = query("tallies.list_failed")
_LIST_ENDED = query("tallies.list_ended")
_LIST_ERROR_LINES = query("tallies.list_error_lines")


async def find_version(
    connection: Connection, company_id: int, flow_id: int, version_id: int | None, name: str
) -> tuple[int, str] | None:
    """The id and the name of what goes by either."""
    row = await connection.fetchrow(_FIND_VERSION, company_id, flow_id, version_id, name)
    return (row["id"], row["name"]) if row else None


async def sum_runs(
    connection: Connection, company_id: int, narrowed: Narrowed, window: Window, resolution: timedelta
) -> list[Tally]:
    """Only the intervals in which anything ended, in no order."""
    rows = await connection.fetch(_SUM_RUNS, company_id, *_narrowing(narrowed), window.start, window.end, resolution)
    return [build(Tally, row) for row in rows]


async def list_failed(
    connection: Connection, company_id: int, narrowed: Narrowed, window: Window, *, descending: bool, limit: int
) -> list[EndedRun]:
    statement = _LIST_FAILED.replace("/* direction */", "DESC" if descending else "ASC")
    rows = await connection.fetch(statement, company_id, *_narrowing(narrowed), window.start, window.end, limit)
    return [_ended(row) for row in rows]


async def list_ended(
    connection: Connection, company_id: int, narrowed: Narrowed, since: datetime, limit: int
) -> list[EndedRun]:
    """Those that ended last, the last first."""
    rows = await connection.fetch(_LIST_ENDED, company_id, *_narrowing(narrowed), since, limit)
    return [_ended(row) for row in rows]


async def list_error_lines(
    connection: Connection, company_id: int, runs: Sequence[EndedRun]
) -> dict[int, list[ErrorLine]]:
    """The first lines that tell of errors by run, as long as logs are kept."""
    found: dict[int, list[ErrorLine]] = {}
    if runs:
        ids, ends = [run.id for run in runs], [run.finished_at for run in runs]
        rows = await connection.fetch(_LIST_ERROR_LINES, company_id, ids, ends, MOST_LINES, MOST_ERROR_CHARACTERS)
        for row in rows:
            found.setdefault(row["run_id"], []).append(build(ErrorLine, row))
    return found


def _narrowing(narrowed: Narrowed) -> tuple[int, int | None, str | None, bool]:
    return narrowed.flow_id, narrowed.version_id, narrowed.name, narrowed.is_develop


def _ended(row: asyncpg.Record) -> EndedRun:
    return build(EndedRun, row, status=RunStatus(row["status"]))
