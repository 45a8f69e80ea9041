"""How many letters a company caused today."""

from __future__ import annotations

from core.store.database import Connection
from core.store.queries import query

_COUNT = query("mail_days.count_letter")
_PRUNE = query("mail_days.prune_days")


async def count_letter(connection: Connection, company_id: int) -> int:
    """Counts one more letter and returns today's number, counted in UTC days."""
    number: int = await connection.fetchval(_COUNT, company_id)
    return number


async def prune(connection: Connection) -> None:
    await connection.execute(_PRUNE)
