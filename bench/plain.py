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
from dataclasses import dataclass
from typing import TypeAlias

import asyncpg

Row: TypeAlias = "asyncpg.Record"
Found: TypeAlias = "tuple[Sequence[Row], int]"

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

_MATCHING = """
v.company_id = $1 AND v.flow_id = $2 AND v.status <> 'Draft' AND v.enabled = $3 AND starts_with(v.name, $4)
"""
_PAGE_MATCHING = f"SELECT {_COLUMNS} FROM flow_versions v WHERE {_MATCHING} ORDER BY v.name, v.id LIMIT $5 OFFSET $6"
_COUNT_MATCHING = f"SELECT count(*) FROM flow_versions v WHERE {_MATCHING}"

_FLOWS = "f.company_id = $1 AND f.application_id = $2 AND f.removing_since IS NULL AND f.flow_class = $3"
_PAGE_FLOWS = f"""
SELECT f.id, f.application_id AS "applicationId", f.name, f.description, f.flow_class AS "flowClass", f.enabled,
       f.created_at AS "creationDate", f.created_by_id AS "createdById", f.created_by_type AS "createdByType",
       f.updated_at AS "lastUpdated", f.updated_by_id AS "lastUpdatedById", f.updated_by_type AS "lastUpdatedByType",
       d.id AS "defaultVersionId", v.body
FROM flows f
LEFT JOIN flow_versions d ON d.flow_id = f.id AND d.status = 'Deployed'
LEFT JOIN flow_versions v ON v.flow_id = f.id AND v.status = 'Draft'
WHERE {_FLOWS}
ORDER BY f.name COLLATE "C", f.id
LIMIT $4 OFFSET $5
"""
_COUNT_FLOWS = f"SELECT count(*) FROM flows f WHERE {_FLOWS}"

_NAMESAKES = f"flow_versions v JOIN flows f ON f.id = v.flow_id WHERE {_FLOWS} AND v.name = $4"
_PAGE_NAMESAKES = f'SELECT {_COLUMNS} FROM {_NAMESAKES} ORDER BY f.name COLLATE "C", v.id LIMIT $5 OFFSET $6'
_COUNT_NAMESAKES = f"SELECT count(*) FROM {_NAMESAKES}"

_COMPANY_FLOW = """
f.id, f.name, f.description, f.enabled AS is_enabled, f.flow_class, f.runner_url, f.flow_priority,
f.run_timeout_seconds, f.revision, f.created_at, f.updated_at
"""
_OF_COMPANY = "flows f WHERE f.company_id = $1 AND f.removing_since IS NULL"
_PAGE_OF_COMPANY = f"SELECT {_COMPANY_FLOW} FROM {_OF_COMPANY} ORDER BY f.id LIMIT $2 OFFSET $3"
_COUNT_OF_COMPANY = f"SELECT count(*) FROM {_OF_COMPANY}"
_ONE_OF_COMPANY = f"SELECT {_COMPANY_FLOW} FROM {_OF_COMPANY} AND f.id = $2"

_VIEW = """
v.id, v.flow_id, f.name AS flow_name, f.flow_priority, v.iteration, v.name, v.status,
v.status = 'Deployed' AS is_deployed, v.status = 'Draft' AS is_editable, v.enabled AS is_enabled, v.notes, v.revision,
encode(v.digest, 'hex') AS digest, coalesce(v.deployed_at, v.deploy_at) AS deployed_at, v.last_deployed_at,
v.created_at, v.updated_at
"""
_VIEWED = """
flows f JOIN flow_versions v ON v.flow_id = f.id
WHERE f.company_id = $1 AND f.id = $2 AND f.removing_since IS NULL
"""
_PAGE_VIEWED = f"SELECT {_VIEW} FROM {_VIEWED} ORDER BY v.iteration DESC LIMIT $3 OFFSET $4"
_COUNT_VIEWED = f"SELECT count(*) FROM {_VIEWED}"
_ONE_VIEWED = f"SELECT {_VIEW} FROM {_VIEWED} AND v.id = $3"

_JOBS = """
jobs j WHERE j.company_id = $1 AND j.application_id = $2 AND j.parent_id IS NULL
         AND j.kind IN ('delete_versions', 'delete_flow')
"""
_PAGE_JOBS = f"""
SELECT j.id, j.public_id AS "jobId", j.application_id AS "applicationId", j.kind, j.status, j.arguments,
       j.requested_by_id AS "requestedById", j.requested_by_type AS "requestedByType",
       j.total, j.removed, j.failed, j.error_code AS "errorCode", j.error_message AS "errorMessage",
       j.created_at AS "runQueuedAt", j.started_at AS "runStartedAt", j.finished_at AS "runCompletedAt"
FROM {_JOBS}
ORDER BY j.created_at, j.id
LIMIT $3 OFFSET $4
"""
_COUNT_JOBS = f"SELECT count(*) FROM {_JOBS}"


class _Kept(asyncpg.Connection):  # type: ignore[misc]
    """A connection that is given back as it is."""

    def get_reset_query(self) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class Pages:
    """Which page of a list, counted from 0."""

    page: int
    size: int

    @property
    def bounds(self) -> tuple[int, int]:
        return self.size, self.page * self.size


class Plain:
    """One company's things behind a pool; single statements, each its own transaction.

    A list is the rows of its page, and how many there are in all.
    """

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], company_id: int) -> None:
        self._pool = pool
        self._door = asyncio.Semaphore(POOL)
        self._company_id = company_id

    async def versions(self, pages: Pages, flow_id: int) -> Found:
        """Those of a flow, by name."""
        return await self._list(_PAGE, _COUNT, pages, flow_id)

    async def matching(self, pages: Pages, flow_id: int, enabled: bool, prefix: str) -> Found:
        """Those of them whose name begins so."""
        return await self._list(_PAGE_MATCHING, _COUNT_MATCHING, pages, flow_id, enabled, prefix)

    async def flows(self, pages: Pages, application_id: int, flow_class: str) -> Found:
        """Those of an application, by name, with their develop contents."""
        return await self._list(_PAGE_FLOWS, _COUNT_FLOWS, pages, application_id, flow_class)

    async def namesakes(self, pages: Pages, application_id: int, flow_class: str, name: str) -> Found:
        """The versions of one name in all flows of an application, by the name of the flow."""
        return await self._list(_PAGE_NAMESAKES, _COUNT_NAMESAKES, pages, application_id, flow_class, name)

    async def job_logs(self, pages: Pages, application_id: int) -> Found:
        """The deletions of an application, oldest first."""
        return await self._list(_PAGE_JOBS, _COUNT_JOBS, pages, application_id)

    async def company_flows(self, pages: Pages) -> Found:
        """Those of the whole company, oldest first, without any content."""
        return await self._list(_PAGE_OF_COMPANY, _COUNT_OF_COMPANY, pages)

    async def company_flow(self, flow_id: int) -> Row | None:
        return await self._one(_ONE_OF_COMPANY, flow_id)

    async def views(self, pages: Pages, flow_id: int) -> Found:
        """The versions of a flow, its Draft among them, the newest first, without their content."""
        return await self._list(_PAGE_VIEWED, _COUNT_VIEWED, pages, flow_id)

    async def view(self, flow_id: int, version_id: int) -> Row | None:
        return await self._one(_ONE_VIEWED, flow_id, version_id)

    async def one(self, flow_id: int, name: str) -> Row | None:
        return await self._one(_ONE, flow_id, name)

    async def _one(self, statement: str, *asked: object) -> Row | None:
        async with self._door, self._pool.acquire() as connection:
            return await connection.fetchrow(statement, self._company_id, *asked)

    async def _list(self, page: str, count: str, pages: Pages, *asked: object) -> Found:
        async with self._door, self._pool.acquire() as connection:
            rows = await connection.fetch(page, self._company_id, *asked, *pages.bounds)
            total: int = await connection.fetchval(count, self._company_id, *asked)
        return rows, total

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
