"""Ended runs that are not in the metrics yet, and the ledger that tells of all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

from asyncpg import Record

from core.domain.metrics import Ending
from core.store.database import Connection
from core.store.queries import query

_TAKE = query("run_endings.take_endings")
_DROP = query("run_endings.drop_endings")
_READ_ENDED = query("run_endings.read_ended")
_READ_GAPS = query("run_endings.read_gaps")
_FIND_HORIZON = query("run_endings.find_horizon")

_BEFORE_ALL = (datetime(1, 1, 1, tzinfo=UTC), 0)


async def take(connection: Connection, limit: int, told: int) -> list[Ending]:
    """Up to `limit` endings, the oldest first, or fewer whose runners told some `told` bytes; they are gone when this
    transaction commits, and only then."""
    rows = await connection.fetch(_TAKE, limit, told)
    return [Ending(*list(row.values())[1:]) for row in sorted(rows, key=_number)]


def _number(row: Record) -> int:
    number: int = row["id"]
    return number


async def drop(connection: Connection, company_id: int, flow_id: int, start: datetime, end: datetime) -> None:
    await connection.execute(_DROP, company_id, flow_id, start, end)


async def read_ledger(
    connection: Connection, company_id: int, flow_id: int, start: datetime, end: datetime, page: int
) -> AsyncIterator[list[Ending]]:
    """What the ledger has of a flow in [start, end), some at a time, as if it had just ended."""
    gaps = await connection.fetch(_READ_GAPS, company_id, flow_id, start, end)
    yield [Ending(*row.values()) for row in gaps]
    after, full = _BEFORE_ALL, True
    while full:
        rows = await connection.fetch(_READ_ENDED, company_id, flow_id, start, end, *after, page)
        full = len(rows) == page
        if rows:
            after = (rows[-1]["scheduled_for"], rows[-1]["id"])
        yield [Ending(*list(row.values())[2:]) for row in rows]


async def find_horizon(connection: Connection) -> datetime | None:
    """Runs that were due before this have left the ledger; None while none has."""
    found: datetime | None = await connection.fetchval(_FIND_HORIZON)
    return found
