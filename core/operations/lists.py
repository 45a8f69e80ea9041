"""What bounds every list that a caller can narrow."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from core.domain.query import Condition, Selection, parts_of
from core.store.database import Connection, Database, limit_statements

LIST_SECONDS = 5.0
"""A query that has to read more bodies than this allows is stopped and says so: 20,000 of 2 kB take well under a
second."""

PLAIN_CONDITIONS = 4
"""So many comparisons of a row's own columns take a microsecond or two: 100,000 rows are read in 0.2 s, whatever is
compared, so watching over them would cost more than it could save."""

Result = TypeVar("Result")


async def listed(database: Database, selection: Selection, work: Callable[[Connection], Awaitable[Result]]) -> Result:
    """Runs `work`, which reads a list narrowed so, and watches over it if that may take long."""
    if not _is_plain(selection):
        return await watched(database, work)
    async with database.connection() as connection:
        return await work(connection)


async def watched(database: Database, work: Callable[[Connection], Awaitable[Result]]) -> Result:
    """Runs `work`, each of whose statements is stopped after LIST_SECONDS; asyncpg then raises QueryCanceledError."""

    async def bounded(connection: Connection) -> Result:
        await limit_statements(connection, LIST_SECONDS)
        return await work(connection)

    return await database.transaction(bounded)


def _is_plain(selection: Selection) -> bool:
    """Globs are not: with many stars in one, the time to compare grows faster than the texts do."""
    parts = list(parts_of(selection))
    return len(parts) <= PLAIN_CONDITIONS and all(isinstance(part, Condition) for part in parts)
