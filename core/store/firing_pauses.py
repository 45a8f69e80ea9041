"""The switch that stops all firing, and when it was used."""

from __future__ import annotations

from datetime import datetime

import asyncpg

from core.domain.accounting import Pause
from core.store.database import Connection
from core.store.queries import query

_LIST = query("firing_pauses.list_pauses")
_BEGIN = query("firing_pauses.begin_pause")
_END = query("firing_pauses.end_pause")
_IS_PAUSED = query("firing_pauses.is_paused")


async def list_since(connection: Connection, moment: datetime) -> list[Pause]:
    """The pauses that did not end before this, oldest first."""
    return [Pause(row["began_at"], row["ended_at"]) for row in await connection.fetch(_LIST, moment)]


async def begin(connection: Connection, reason: str | None) -> tuple[int, datetime] | None:
    """The pause, and since when nothing is fired; None if that was so before."""
    return _named(await connection.fetchrow(_BEGIN, reason))


async def end(connection: Connection) -> tuple[int, datetime] | None:
    """The pause that is over, and since when nothing had been fired; None if everything was."""
    return _named(await connection.fetchrow(_END))


async def is_paused(connection: Connection) -> bool:
    paused: bool = await connection.fetchval(_IS_PAUSED)
    return paused


def _named(row: asyncpg.Record | None) -> tuple[int, datetime] | None:
    return row and (row["id"], row["began_at"])
