"""What a job is about, item by item: the accepted set in chunks, and what could not be removed."""

from __future__ import annotations

from collections.abc import Sequence

from core.domain.jobs import CHUNK_SIZE, FailedItem, Reason
from core.store.database import Connection
from core.store.queries import query

_LIST_FAILURES = query("job_items.list_failures")
_RECORD_FAILURES = query("job_items.record_failures")
_READ_PAIRS = query("job_items.read_pairs")
_FIX_FLOW_SET = query("job_items.fix_flow_set")


async def fix_flow_set(connection: Connection, job_id: int, company_id: int, flow_id: int) -> int:
    """Stores every version of a flow, the Draft included, as the job's chunks; returns how many there are."""
    sizes = await connection.fetch(_FIX_FLOW_SET, job_id, company_id, flow_id, CHUNK_SIZE)
    return sum(row[0] for row in sizes)


async def read_pairs(connection: Connection, job_id: int, position: int, limit: int) -> tuple[list[int], list[int]]:
    """Up to `limit` (id, revision) pairs from `position` on, never beyond the end of a chunk."""
    ordinal, offset = divmod(position, CHUNK_SIZE)
    row = await connection.fetchrow(_READ_PAIRS, job_id, ordinal, offset + 1, offset + limit)
    return (row["version_ids"], row["revisions"]) if row else ([], [])


async def record_failures(connection: Connection, job_id: int, failures: Sequence[FailedItem]) -> None:
    await connection.execute(
        _RECORD_FAILURES,
        job_id,
        [failure.version_id for failure in failures],
        [failure.name for failure in failures],
        [failure.reason for failure in failures],
    )


async def list_failures(connection: Connection, job_id: int, limit: int) -> tuple[FailedItem, ...]:
    rows = await connection.fetch(_LIST_FAILURES, job_id, limit)
    return tuple(FailedItem(row["version_id"], row["name"], Reason(row["reason"])) for row in rows)
