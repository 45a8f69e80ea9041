"""A database whose clock can be set, as an operator or a time server sets that of a machine, for all its sessions.

What the product reads the time with is found in the database's own schema before PostgreSQL's: only the reading is
replaced, and every statement, default and function of the product goes through it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
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
    """Each look at it, and each step, is a connection of its own, since the server may have been killed in between."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def read(self) -> datetime:
        at: datetime = await self._fetch("SELECT clock_timestamp()")
        return at

    async def step(self, by: timedelta) -> tuple[datetime, datetime]:
        """Sets it; returns what it showed before and shows now."""
        before = await self.read()
        await self._fetch("UPDATE clock SET step = step + $1", by)
        return before, await self.read()

    async def _fetch(self, statement: str, *arguments: object) -> Any:
        connection = await asyncpg.connect(self._url)
        try:
            return await connection.fetchval(statement, *arguments)
        finally:
            await connection.close()
