"""What runners told of their runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import asyncpg

from core.store.database import Connection
from core.store.queries import query

_MAKE_DAYS = query("run_logs.make_days")
_DROP_DAY = query("run_logs.drop_day")


async def make_days(connection: Connection, now: datetime, ahead: int) -> int:
    """The partitions of today and of so many days after it; returns how many rows had no partition before."""
    today = now.astimezone(UTC).date()
    moved: int = await connection.fetchval(_MAKE_DAYS, [today + timedelta(days=day) for day in range(ahead + 1)])
    return moved


async def drop_day(connection: Connection, keep: timedelta) -> str | None:
    """Drops the oldest day that is past its keep time, a transaction by itself; its partition's name. None, too, where
    others use the ledger for too long."""
    try:
        name: str | None = await connection.fetchval(_DROP_DAY, keep.days)
    except asyncpg.LockNotAvailableError:
        return None
    return name
