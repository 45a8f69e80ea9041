"""The switch that stops all firing, and when it was used."""

from __future__ import annotations

from datetime import datetime

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


async def begin(connection: Connection, reason: str | None) -> datetime | None:
    """Since when nothing is fired; None if that was so before."""
    since: datetime | None = await connection.fetchval(_BEGIN, reason)
    return since


async def end(connection: Connection) -> datetime | None:
    """Since when nothing had been fired; None if everything was."""
    since: datetime | None = await connection.fetchval(_END)
    return since


async def is_paused(connection: Connection) -> bool:
    paused: bool = await connection.fetchval(_IS_PAUSED)
    return paused
