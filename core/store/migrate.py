"""Brings a database to the newest schema: numbered SQL files, each applied once, in one transaction of its own.

Any number of processes may migrate at once: a transaction-level advisory lock lets one at a time look and apply.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib import resources

import asyncpg

_LOCK = 0x50454E53
"""Any number nobody else uses: "PENS" in ASCII."""

_FILE = re.compile(r"([0-9]{4})_([a-z0-9_]+)\.sql", re.ASCII)

_LEDGER = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    number      integer     NOT NULL,
    name        text        NOT NULL,
    checksum    text        NOT NULL,            -- SHA-256 of the file as it was applied
    applied_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT schema_migrations_pkey PRIMARY KEY (number)
)
"""


class MigrationError(Exception):
    """The database and the migrations of this release contradict each other; the message says where."""


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """The migrations of this release in order. Their numbers have no gaps."""
    entries = resources.files("core.store.migrations").iterdir()
    found = [
        Migration(int(match[1]), match[2], entry.read_text())
        for entry in entries
        if (match := _FILE.fullmatch(entry.name))
    ]
    found.sort(key=lambda migration: migration.number)
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise MigrationError("the migrations are not numbered 1, 2, 3 …")
    return found


async def migrate(connection: asyncpg.Connection[asyncpg.Record]) -> list[str]:
    """Applies what is missing and returns the names of what it applied.

    Raises MigrationError if an applied file was edited since, or if the database is newer than this release.
    """
    applied = []
    for migration in migrations():
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            await connection.execute(_LEDGER)
            if await _is_applied(connection, migration):
                continue
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO schema_migrations (number, name, checksum) VALUES ($1, $2, $3)",
                migration.number,
                migration.name,
                migration.checksum,
            )
            applied.append(f"{migration.number:04}_{migration.name}")
    await _refuse_newer(connection)
    return applied


async def pending(connection: asyncpg.Connection[asyncpg.Record]) -> int:
    """How many migrations of this release the database lacks."""
    known = await connection.fetchval("SELECT to_regclass('schema_migrations') IS NOT NULL")
    newest = await connection.fetchval("SELECT coalesce(max(number), 0) FROM schema_migrations") if known else 0
    return len([migration for migration in migrations() if migration.number > newest])


async def _is_applied(connection: asyncpg.Connection[asyncpg.Record], migration: Migration) -> bool:
    checksum = await connection.fetchval("SELECT checksum FROM schema_migrations WHERE number = $1", migration.number)
    if checksum is not None and checksum != migration.checksum:
        raise MigrationError(f"migration {migration.number:04}_{migration.name} was edited after it was applied")
    return checksum is not None


async def _refuse_newer(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    newest = await connection.fetchval("SELECT coalesce(max(number), 0) FROM schema_migrations")
    if newest > len(migrations()):
        raise MigrationError(f"the database is at migration {newest}, this release knows {len(migrations())}")
