"""Databases for tests: each as if it had just been migrated, most of them used before.

Making one takes hundreds of times as long as emptying one. One that cannot be emptied, since its schema, its settings
or the planner's statistics are others by now, is thrown away.
"""

from __future__ import annotations

import itertools
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from core.store.database import Connection
from core.store.migrate import migrate
from tests.support.waiting import until

TEMPLATE = "penstock_template"

MOST_PAGES = 48
"""A table that has grown further, with its indexes, is truncated: what is only deleted would still be read over. An
empty one has up to a dozen pages."""

LEAVING_SECONDS = 5.0
"""A session that was closed takes a moment to go, under load."""

_TABLES = """
SELECT quote_ident(c.relname) AS name, pg_total_relation_size(c.oid) / 8192 AS pages
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' ORDER BY c.oid
"""

_RESTART = "SELECT setval(seqrelid, seqstart, false) FROM pg_sequence"

_NATURE = """
SELECT
    (SELECT array_agg((c.oid, c.relname, c.reloptions)::text ORDER BY c.oid) FROM pg_class c
     WHERE c.relnamespace = 'public'::regnamespace),
    (SELECT array_agg((a.attrelid, a.attname, a.atttypid, a.attnotnull)::text ORDER BY a.attrelid, a.attnum)
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')),
    (SELECT array_agg((p.oid, p.prosrc)::text ORDER BY p.oid) FROM pg_proc p
     WHERE p.pronamespace = 'public'::regnamespace),
    (SELECT array_agg((t.oid, t.tgenabled)::text ORDER BY t.oid) FROM pg_trigger t),
    (SELECT array_agg((n.oid, n.nspname)::text ORDER BY n.oid) FROM pg_namespace n WHERE n.nspname !~ '^pg_'),
    (SELECT array_agg(c.oid ORDER BY c.oid) FROM pg_constraint c WHERE c.connamespace = 'public'::regnamespace),
    (SELECT array_agg(s.setconfig::text) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
     WHERE d.datname = current_database()),
    (SELECT count(*) FROM pg_statistic s JOIN pg_class c ON c.oid = s.starelid
     WHERE c.relnamespace = 'public'::regnamespace)
"""
"""What makes a database what it is, beside its rows. A copy has the numbers of its template."""


_OTHERS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


class Databases:
    """Those of one server; `url` leads to a database of its own, from which others are made and dropped.

    Behind a pooler sessions outlive those who used them.
    """

    def __init__(self, url: str, *, pooled: bool) -> None:
        self._url = url
        self._pooled = pooled
        self._numbers = itertools.count(1)
        self._free: list[str] = []
        self._kept: dict[str, str] = {}
        """What a migration has written, by table; it is not emptied."""
        self._nature: object = None

    async def prepare(self) -> None:
        """Makes the template, a migrated database that nobody uses. What a test measures of plans and pages is its own
        doing: nobody else vacuums in the middle of it."""
        await self._administer("ALTER SYSTEM SET autovacuum = off")
        await self._administer("SELECT pg_reload_conf()")
        await self._administer(f"CREATE DATABASE {TEMPLATE}")
        connection = await asyncpg.connect(named(self._url, TEMPLATE))
        await migrate(connection)
        for table in await connection.fetch(_TABLES):
            if await connection.fetchval(f"SELECT EXISTS (SELECT FROM {table['name']})"):
                self._kept[table["name"]] = await _rows(connection, table["name"])
        self._nature = await self._read_nature(connection)
        await connection.close()

    async def take(self) -> str:
        """The URL of a database that nobody else uses."""
        if self._free:
            return named(self._url, self._free.pop())
        name = f"test_{next(self._numbers)}"
        await self._administer(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        return named(self._url, name)

    async def give_back(self, url: str) -> None:
        """Raises AssertionError if somebody is still connected: a test has forgotten to close something."""
        name = urlsplit(url).path[1:]
        connection = await asyncpg.connect(url)
        try:
            if not self._pooled:
                await _all_gone(connection)
            await self._empty(connection)
            as_new = await self._read_nature(connection) == self._nature
        finally:
            await connection.close()
        if as_new:
            self._free.append(name)
        else:
            await self._administer(f"DROP DATABASE {name} WITH (FORCE)")

    async def _empty(self, connection: Connection) -> None:
        """Without triggers: some rows are not to be deleted by anybody else."""
        tables = [table for table in await connection.fetch(_TABLES) if table["name"] not in self._kept]
        grown = [table["name"] for table in tables if table["pages"] > MOST_PAGES]
        small = [f"DELETE FROM {table['name']}" for table in tables if table["name"] not in grown]
        large = [f"TRUNCATE {', '.join(grown)} CASCADE"] if grown else []
        await connection.execute("; ".join(["SET session_replication_role = replica", *large, *small]))
        await connection.fetch(_RESTART)

    async def _read_nature(self, connection: Connection) -> object:
        kept = {name: await _rows(connection, name) for name in self._kept}
        return tuple(await connection.fetchrow(_NATURE)), kept

    async def _administer(self, statement: str) -> None:
        connection = await asyncpg.connect(self._url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


async def _rows(connection: Connection, table: str) -> str:
    rows: str = await connection.fetchval(
        f"SELECT coalesce(string_agg(t::text, chr(10) ORDER BY t::text), '') FROM {table} t"
    )
    return rows


async def _all_gone(connection: Connection) -> None:
    async def alone() -> bool:
        return not await connection.fetchval(_OTHERS)

    await until(alone, "whoever used the database has closed their connections", LEAVING_SECONDS)


def named(url: str, database: str) -> str:
    """The URL of another database on the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))
