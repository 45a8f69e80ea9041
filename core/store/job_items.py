"""What a job is about, item by item: the accepted set in chunks, and what could not be removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import asyncpg
import orjson

from core.domain.access import Principal
from core.domain.jobs import CHUNK_SIZE, FailedItem, Job, JobItem, Outcome, Reason
from core.domain.query import EVERYTHING, Combination
from core.store.database import Connection
from core.store.jobs import NewJob
from core.store.predicates import compile_query
from core.store.queries import query

_LIST_FAILURES = query("job_items.list_failures")
_RECORD_FAILURES = query("job_items.record_failures")
_READ_PAIRS = query("job_items.read_pairs")
_LIST_ITEMS = query("job_items.list_items")
_STAGE_WITH_SET = query("job_items.stage_with_set")


async def stage_with_set(
    connection: Connection,
    principal: Principal,
    job: NewJob,
    matching: Combination | None,
    constants: Mapping[str, str | None],
) -> tuple[int, int]:
    """Stages a deletion about the versions of its locked flow; returns its number and how many versions it is about.

    With a query those it matches, but never the Draft; without one all there are, the Draft included. `constants` are
    what is the same for all of them (core.domain.flows).
    """
    predicate = compile_query(EVERYTHING if matching is None else matching, first=11, constants=constants)
    if matching is not None:
        predicate.sql = f"v.status <> 'Draft' AND {predicate.sql}"
    row = await connection.fetchrow(
        _STAGE_WITH_SET.replace("/* query */ TRUE", predicate.sql),
        job.public_id,
        principal.company_id,
        job.application_id,
        job.flow_id,
        job.kind,
        job.kind.queue,
        orjson.dumps(job.arguments).decode(),
        principal.actor_type,
        principal.actor_id,
        CHUNK_SIZE,
        *predicate.parameters,
    )
    return row["id"], row["total"]


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
