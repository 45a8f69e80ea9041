"""Taking deletions back: a whole job as a job of its own, single versions at once."""

from __future__ import annotations

from core.domain.access import Principal
from core.domain.errors import Conflict, NotFound
from core.domain.jobs import DELETION_KINDS, ClaimedJob, Job, JobKind, JobStatus, Reason
from core.domain.versions import TrashEntry, Version
from core.operations.firing import accounted
from core.operations.flows import FLOW_UNKNOWN
from core.operations.jobs import JOB_UNKNOWN, UNDO_TOO_LATE
from core.operations.settling import Batch, Terms, actor_of, conclude, go_on
from core.store import (
    audit_events,
    deleted_versions,
    deliveries,
    flow_storages,
    flow_versions,
    flows,
    job_items,
    jobs,
    schedules,
)
from core.store.database import Connection, Database
from core.store.jobs import HeldJob, LockedJob, NewJob

ENTRY_UNKNOWN = "Trash entry was not found"

MOST_JOBS = 100
"""Jobs one purging transaction holds; whoever wants to undo one of them waits for it."""

MOST_STORAGES = 20
"""Deletions from flows' storages that one purging transaction ends: each may hold 8 MiB."""


async def accept_undo(principal: Principal, database: Database, job: Job, *, public_id: str) -> str:
    """Stages the job that takes this one back, and returns its public id; a repeat returns the first one's.

    Accepting keeps what was deleted until the undo has ended. Raises Conflict for a job that is no deletion, has not
    ended, removed nothing, or whose time to be undone is over.
    """

    async def work(connection: Connection) -> str:
        locked = await jobs.lock(connection, job.id, job.company_id)
        if locked is None:
            raise NotFound(JOB_UNKNOWN)
        if known := await jobs.find_undo(connection, job.id):
            return known
        await _require_undoable(connection, locked)
        new = NewJob(
            public_id,
            JobKind.UNDO_DELETION,
            {"job": job.public_id},
            job.application_id,
            job.flow_id,
            total=await deleted_versions.count_of_job(connection, job.id),
            undoes=job.id,
        )
        await jobs.stage(connection, principal, new)
        await deliveries.hint(connection)
        await audit_events.record(connection, principal, "job.undo", ("job", job.id), details={"job": public_id})
        return public_id

    return await database.transaction(work)


async def restore_batch(database: Database, job: ClaimedJob, *, limit: int, terms: Terms) -> Batch:
    """Brings back up to `limit` versions, and ends the undo after the last. Raises JobLost like any batch."""

    async def work(connection: Connection) -> Batch:
        held = await go_on(connection, job, terms)
        if held is None:
            return Batch(0, finished=True)
        items = await _restore(connection, held, limit)
        if items < limit:
            _account_for_missing(held)
            await conclude(connection, held, JobStatus.COMPLETED, None, terms)
            return Batch(items, finished=True)
        await jobs.advance(connection, held, terms.lease)
        return Batch(items, finished=False)

    return await database.transaction(work)


async def list_trash(
    principal: Principal, database: Database, flow_id: int, *, limit: int, offset: int
) -> tuple[list[TrashEntry], int]:
    """A page of a flow's trash, newest first, and how many entries there are. Raises NotFound."""

    async with database.connection() as connection:
        if not await flows.is_visible(connection, principal.company_id, flow_id, principal.application_id):
            raise NotFound(FLOW_UNKNOWN)
        return await deleted_versions.list_page(connection, principal.company_id, flow_id, limit=limit, offset=offset)


async def restore_entry(principal: Principal, database: Database, flow_id: int, entry_id: int, terms: Terms) -> int:
    """Brings back one deleted version, or one replaced content, and returns the version's id.

    The content that a restored replacement replaces goes to the trash in its turn, and where schedules left with what
    returns, those that are there now go with it; a flow's develop content changes the flow as well. Raises NotFound,
    and AlreadyExists when the name was taken since.
    """

    async def work(connection: Connection) -> int:
        if await flows.lock_of_company(connection, principal.company_id, flow_id, principal.application_id) is None:
            raise NotFound(FLOW_UNKNOWN)
        entry = await deleted_versions.take(connection, principal.company_id, flow_id, entry_id)
        if entry is None:
            raise NotFound(ENTRY_UNKNOWN)
        live = await _lock_live(connection, principal, flow_id, entry["version_id"], entry["name"])
        scheduled = entry["schedules"] is not None
        company_id = principal.company_id
        async with accounted(connection, company_id, flow_id, content=True):
            if live is None:
                version_id = await deleted_versions.insert_restored(connection, entry)
            else:
                version_id = live.id
                keep = terms.undo
                await flow_versions.keep_replaced(connection, company_id, version_id, keep, with_schedules=scheduled)
                await flow_versions.replace(connection, principal, version_id, deleted_versions.content_of(entry))
            if scheduled:
                await schedules.put_back(connection, company_id, version_id, entry["schedules"])
        if entry["name"] is None:
            await flows.touch(connection, principal, flow_id)
        await audit_events.record(
            connection, principal, "version.restore", ("version", version_id), after=entry["digest"]
        )
        return version_id

    return await database.transaction(work)


async def _lock_live(
    connection: Connection, principal: Principal, flow_id: int, version_id: int, name: str | None
) -> Version | None:
    """What a restored entry takes the place of. An entry without a name is a Draft's, of which there is one at most."""
    if name is None:
        return await flow_versions.lock_draft(connection, principal.company_id, flow_id)
    return await flow_versions.lock(connection, principal.company_id, flow_id, version_id=version_id, name=None)


async def purge_trash(database: Database, limit: int) -> int:
    """Ends single entries, then what ended jobs deleted, up to about twice `limit` entries; returns how many.

    Of what was deleted from storages a few at a time; there may be more whenever anything is returned.
    """

    async def work(connection: Connection) -> int:
        purged = await deleted_versions.purge(connection, limit)
        purged += await flow_storages.purge(connection, MOST_STORAGES)
        of_jobs = 0
        for _ in range(MOST_JOBS):
            job_id = await deleted_versions.lock_purgeable(connection) if of_jobs < limit else None
            if job_id is None:
                break
            await flow_storages.purge_of_job(connection, job_id)
            of_jobs += await deleted_versions.purge_of_job(connection, job_id, limit)
        return purged + of_jobs

    return await database.transaction(work)


async def _require_undoable(connection: Connection, locked: LockedJob) -> None:
    held = locked.held
    if held.kind not in DELETION_KINDS:
        raise Conflict("Only a deletion can be undone.")
    if not locked.status.terminal:
        raise Conflict(f"This job is {locked.status}; it can be undone once it has ended.")
    if held.undo_until is None:
        raise Conflict("This job removed nothing, so there is nothing to undo.")
    if not await jobs.is_undoable(connection, held.id):
        raise Conflict(UNDO_TOO_LATE)


async def _restore(connection: Connection, held: HeldJob, limit: int) -> int:
    """One batch, counted in `held`; returns how many entries it looked at."""
    assert held.undoes is not None, "an undo takes a job back"
    assert held.flow_id is not None, "a deletion is about a flow"
    await flows.restore_of_job(connection, held.undoes)
    await flow_storages.restore_of_job(connection, held.company_id, held.undoes)
    await flows.lock_for_job(connection, held.company_id, held.flow_id)
    if not await flows.is_visible(connection, held.company_id, held.flow_id, None):
        held.count_failed(Reason.FLOW_GONE, (held.total or 0) - held.removed - held.failed)
        return 0
    batch = await deleted_versions.restore_batch(connection, held.undoes, held.walked, limit)
    if batch.left:
        await job_items.record_failures(connection, held.id, batch.left)
    held.walked, held.position = batch.last, held.position + batch.items
    held.removed += batch.items - len(batch.left)
    for item in batch.left:
        held.count_failed(item.reason, 1)
    details = {"items": batch.items, "left": len(batch.left)}
    await audit_events.record(connection, actor_of(held), "versions.restore", ("job", held.id), details=details)
    return batch.items


def _account_for_missing(held: HeldJob) -> None:
    """Entries that were there when the undo was accepted and are not now were restored one by one meanwhile."""
    missing = (held.total or 0) - held.removed - held.failed
    if missing:
        held.count_failed(Reason.GONE, missing)
