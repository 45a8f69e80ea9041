"""What a job is about, item by item: the accepted set in chunks, and what could not be removed."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from core.domain.jobs import CHUNK_SIZE, FailedItem, Job, JobItem, Outcome, Reason
from core.store.database import Connection
from core.store.queries import query

_LIST_FAILURES = query("job_items.list_failures")
_RECORD_FAILURES = query("job_items.record_failures")
_READ_PAIRS = query("job_items.read_pairs")
_LIST_ITEMS = query("job_items.list_items")
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
    rows = await connection.fetch(_LIST_FAILURES, job_id, limit, 0)
    return tuple(FailedItem(row["version_id"], row["name"], Reason(row["reason"])) for row in rows)


async def list_items(connection: Connection, job: Job, *, first: int, last: int) -> list[JobItem]:
    """Items `first` to `last` of a deletion's set, counted from 0, in id order.

    Those the job has not looked at are still to come, or were never attempted if it has ended.
    """
    rows = await connection.fetch(_LIST_ITEMS, job.id, first, last, CHUNK_SIZE, job.company_id)
    return [_item(row, reached=row["place"] < job.position, ended=job.status.terminal) for row in rows]


async def list_failed(connection: Connection, job_id: int, *, limit: int, offset: int) -> list[JobItem]:
    """The failed items of a job, by version."""
    rows = await connection.fetch(_LIST_FAILURES, job_id, limit, offset)
    return [JobItem(row["version_id"], row["name"], Outcome.FAILED, Reason(row["reason"])) for row in rows]


def _item(row: asyncpg.Record, *, reached: bool, ended: bool) -> JobItem:
    reason = Reason(row["reason"]) if row["reason"] else None
    if not reached:
        reason = Reason.NOT_ATTEMPTED if ended else None
    done = Outcome.REMOVED if reached else Outcome.PENDING
    return JobItem(row["version_id"], row["name"], Outcome.FAILED if reason else done, reason)
