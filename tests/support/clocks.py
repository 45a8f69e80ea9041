"""A database whose clock can be set, as an operator or a time server sets that of a machine, for all its sessions.

What the product reads the time with is found in the database's own schema before PostgreSQL's: only the reading is
replaced, and every statement, default and function of the product goes through it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlsplit

import asyncpg

from core.store.migrate import migrate

_INSTALL = """
CREATE TABLE clock (step interval NOT NULL);
INSERT INTO clock VALUES ('0');
CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
AS 'SELECT pg_catalog.clock_timestamp() + step FROM public.clock';
ALTER DATABASE "{name}" SET search_path = public, pg_catalog;
"""


async def migrate_with_clock(url: str) -> None:
    """Makes an empty database one of the product, with a clock that `Clock` sets."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_INSTALL.format(name=urlsplit(url).path[1:]))
    finally:
        await connection.close()
    connection = await asyncpg.connect(url)
    try:
        await migrate(connection)
    finally:
        await connection.close()


class Clock:
    """`async with Clock(url) as clock:`. It keeps a session of its own."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def __aenter__(self) -> Clock:
        self._connection = await asyncpg.connect(self._url)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()

    async def read(self) -> datetime:
        at: datetime = await self._connection.fetchval("SELECT clock_timestamp()")
        return at

    async def step(self, by: timedelta) -> tuple[datetime, datetime]:
        """Sets it; returns what it showed before and shows now."""
        before = await self.read()
        await self._connection.execute("UPDATE public.clock SET step = step + $1", by)
        return before, await self.read()
