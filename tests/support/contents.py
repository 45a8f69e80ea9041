"""What a database holds, so that a test can say that a refused request wrote nothing at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.store.database import Database


async def read_contents(database: Database) -> dict[str, str | None]:
    """Every table with the digest of its rows, the audit trail included; None for an empty one.

    Left out is what is noted of requests that are refused, too: when a key was last used, and wrong passwords.
    """
    async with database.connection() as connection:
        tables = await connection.fetch(
            "SELECT relname AS tablename FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> 'login_failures' ORDER BY 1"
        )
        parts = [
            f"SELECT '{row['tablename']}' AS name, md5(string_agg(t::text, '\n' ORDER BY t::text)) AS digest"
            f" FROM {_rows(row['tablename'])} t"
            for row in tables
        ]
        found = await connection.fetch(" UNION ALL ".join(parts))
    return {row["name"]: row["digest"] for row in found}


def _rows(table: str) -> str:
    if table == "api_keys":
        return "(SELECT id, company_id, name, prefix, digest, created_at, revoked_at FROM api_keys)"
    return f'"{table}"'


async def _read_snapshot(database: Database) -> str:
    """Which transactions that write have ended, and which are going on."""
    async with database.connection() as connection:
        snapshot: str = await connection.fetchval("SELECT pg_current_snapshot()::text")
    return snapshot


@asynccontextmanager
async def unchanged(database: Database) -> AsyncIterator[None]:
    """Fails the test if anything in the database was changed inside of the context."""
    began, before = await _read_snapshot(database), await read_contents(database)
    yield
    if await _read_snapshot(database) == began:
        return  # nobody on the whole server has committed anything: there is nothing to look for
    after = await read_contents(database)
    assert {name for name in after if after[name] != before.get(name)} == set(), "a refused request wrote something"
