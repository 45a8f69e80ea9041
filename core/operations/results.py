"""What became of each item of a job."""

from __future__ import annotations

from core.domain.access import Principal
from core.domain.errors import NotFound
from core.domain.jobs import DELETION_KINDS, ITEM_KINDS, JobItem
from core.operations.jobs import read_job
from core.store import job_items
from core.store.database import Database


async def read_results(
    principal: Principal, database: Database, name: str, *, first: int, limit: int
) -> tuple[list[JobItem], int]:
    """Items `first`, counted from 0, to `first + limit - 1`, in id order, and how many there are.

    A deletion has one item for every version it matched; an undo has those that did not come back. Raises what
    read_job raises, and NotFound for jobs that are not about items.
    """
    job = await read_job(principal, database, name)
    if job.kind not in ITEM_KINDS:
        raise NotFound("This job has no items.")
    deletes = job.kind in DELETION_KINDS
    total = (job.total or 0) if deletes else job.failed
    if first >= total:
        return [], total
    async with database.connection() as connection:
        if deletes:
            return await job_items.list_items(connection, job, first=first, last=min(first + limit, total) - 1), total
        return await job_items.list_failed(connection, job.id, limit=limit, offset=first), total
