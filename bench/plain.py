"""What the peers of the HTTP bench do with the database: rows in and out, as one would write it by hand.

The predicates are those of our own routes and so are the rows, with the flow's counter and the audit event of one that
is created; there is no token to look up and no scope to compare. The pool is ours in all that matters: its size, the
door in front, without which asyncpg lets late callers overtake early ones, and connections that are given back as they
are, without a round trip to reset them.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg

Row: TypeAlias = "asyncpg.Record"

POOL = 10
"""Connections, as many as the API has."""

_COLUMNS = """
v.id, v.flow_id AS "flowId", v.name AS version, v.enabled, v.notes, v.body,
v.created_at AS "creationDate", v.created_by_id AS "createdById", v.created_by_type AS "createdByType",
v.updated_at AS "lastUpdated", v.updated_by_id AS "lastUpdatedById", v.updated_by_type AS "lastUpdatedByType"
"""

_PAGE = f"""
SELECT {_COLUMNS} FROM flow_versions v
WHERE v.company_id = $1 AND v.flow_id = $2 AND v.status <> 'Draft'
ORDER BY v.name, v.id
LIMIT $3 OFFSET $4
"""

_COUNT = "SELECT count(*) FROM flow_versions v WHERE v.company_id = $1 AND v.flow_id = $2 AND v.status <> 'Draft'"

_ONE = f"""
SELECT {_COLUMNS}, f.flow_class AS "flowClass"
FROM flow_versions v
JOIN flows f ON f.id = v.flow_id
WHERE v.name = $3 AND v.flow_id = $2 AND f.company_id = $1 AND f.removing_since IS NULL
"""

_INSERT = f"""
WITH f AS (
    UPDATE flows SET next_iteration = next_iteration + 1
    WHERE id = $2 AND company_id = $1 AND removing_since IS NULL
    RETURNING *
), v AS (
    INSERT INTO flow_versions (company_id, flow_id, iteration, name, name_folded, status, enabled, notes, body, digest,
                               created_by_type, updated_by_type)
    SELECT $1, id, next_iteration - 1, $3::text, lower($3::text), 'Inactive', $4, $5, $6, $7, 'cli', 'cli' FROM f
    RETURNING *
), accounted AS (
    INSERT INTO audit_events (company_id, actor_type, action, subject_type, subject_id, after_digest)
    SELECT $1, 'cli', 'version.create', 'version', id, digest FROM v
)
SELECT {_COLUMNS} FROM v
"""


class _Kept(asyncpg.Connection):  # type: ignore[misc]
    """A connection that is given back as it is."""

    def get_reset_query(self) -> str:
        return ""


class Plain:
    """One company's versions behind a pool; single statements, each its own transaction."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], company_id: int) -> None:
        self._pool = pool
        self._door = asyncio.Semaphore(POOL)
        self._company_id = company_id

    async def page(self, flow_id: int, page: int, per_page: int) -> tuple[Sequence[Row], int]:
        """A page by name, counted from 0, and how many versions there are in all."""
        async with self._door, self._pool.acquire() as connection:
            rows = await connection.fetch(_PAGE, self._company_id, flow_id, per_page, page * per_page)
            total: int = await connection.fetchval(_COUNT, self._company_id, flow_id)
        return rows, total

    async def one(self, flow_id: int, name: str) -> Row | None:
        async with self._door, self._pool.acquire() as connection:
            return await connection.fetchrow(_ONE, self._company_id, flow_id, name)

    async def create(self, flow_id: int, name: str, enabled: bool, notes: str | None, body: bytes) -> Row:
        """One row; it is committed to disk when this returns."""
        digest = hashlib.sha256(body).digest()
        async with self._door, self._pool.acquire() as connection:
            return await connection.fetchrow(
                _INSERT, self._company_id, flow_id, name, enabled, notes, body.decode(), digest
            )


@asynccontextmanager
async def open_plain(url: str | None, company_id: int) -> AsyncIterator[Plain]:
    """All connections are there from the beginning."""
    async with asyncpg.create_pool(url, min_size=POOL, max_size=POOL, connection_class=_Kept) as pool:
        yield Plain(pool, company_id)
