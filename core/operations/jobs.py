"""What a caller, an operator and a worker can ask of jobs. Each function is one transaction."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta

from asyncpg import Record

from core.domain import job_log
from core.domain.access import Claim, Principal, enqueueable_kinds, readable_kinds
from core.domain.errors import Conflict, Forbidden, Gone, NotFound
from core.domain.identifiers import is_public_id, parse_hex_id
from core.domain.jobs import (
    DELETION_KINDS,
    MARKET_KINDS,
    MOST_FAILURES,
    NOTIFICATION_KINDS,
    SHOWN_KINDS,
    ClaimedJob,
    Job,
    JobKind,
    JobStatus,
)
from core.domain.query import Selection
from core.domain.templates import Template
from core.operations.access import admit, admitted
from core.operations.lists import listed
from core.operations.settling import Terms, conclude, go_on, hold
from core.operations.shown import Page, Shown
from core.store import audit_events, deleted_versions, deliveries, job_items, job_logs
from core.store import jobs as store
from core.store.database import Connection, Database
from core.store.jobs import HeldJob, LockedJob, NewJob
from core.store.lists import Order

JOB_UNKNOWN = "Job was not found"
"""The one answer for a job that never existed, another application's and another company's."""

UNDO_TOO_LATE = "The time in which this job could be undone is over."


async def read_job(principal: Principal, database: Database, name: str) -> Job:
    """A job by its 21 characters or, as Losant's job log does, by 24 hex digits.

    Raises Forbidden when the caller's scope lets it read no jobs at all, Gone for one that has expired, and NotFound
    for every other: unknown, another application's, another company's, of a kind the caller may not enqueue.
    """
    kinds = _kinds(principal)
    async with database.connection() as connection:
        job = await _find(connection, principal.company_id, name)
        if job is None:
            await _raise_if_expired(connection, principal, kinds, name)
    if job is None or job.kind not in kinds or not _within(principal, job.application_id):
        raise NotFound(JOB_UNKNOWN)
    return job


async def list_jobs(
    principal: Principal,
    database: Database,
    *,
    kinds: Collection[JobKind] | None,
    statuses: Collection[JobStatus] | None,
    limit: int,
    offset: int,
) -> tuple[list[Job], int]:
    """Jobs the caller may read, newest first, and how many there are; letters and callbacks only when asked for."""
    readable = _kinds(principal)
    wanted = readable & set(SHOWN_KINDS if kinds is None else kinds)
    async with database.connection() as connection:
        return await store.list_page(
            connection,
            principal.company_id,
            kinds=wanted,
            application_id=principal.application_id,
            statuses=statuses,
            limit=limit,
            offset=offset,
        )


async def show_job_log(
    claim: Claim, database: Database, selection: Selection, order: Order, template: Template
) -> Page:
    """A page of the selected entries of an application's job log. Raises what `admit` raises."""

    async def work(connection: Connection) -> Record | None:
        return await job_logs.show_page(connection, claim, job_log.NAMES, selection, order, template)

    return Page.of(admit(claim, await listed(database, selection, work)))


async def show_job_log_entry(claim: Claim, database: Database, name: str, template: Template) -> Shown:
    """An entry of an application's job log, by either form of its id.

    Raises what `admit` raises, NotFound, and Gone for an expired one.
    """
    number, public_id = _ids(name)
    async with database.connection() as connection:
        row = await job_logs.show(connection, claim, job_log.NAMES, template, number=number, public_id=public_id)
    row = admit(claim, row)
    if row["revision"] is None:
        async with database.connection() as connection:
            await _raise_if_expired(connection, await admitted(connection, claim), frozenset(DELETION_KINDS), name)
        raise NotFound(JOB_UNKNOWN)
    return Shown.of(row)


async def cancel_job(principal: Principal, database: Database, public_id: str, terms: Terms) -> Job:
    """Ends a queued job now and a running one at its next batch; what was removed stays removed.

    An undo, a letter or a callback goes by the kind of the job it follows from. Raises Forbidden when that is not the
    caller's to enqueue, and Conflict for a job that has ended and for the removal of a flow, which is hidden already
    and would be left half empty. Cancelling twice is the same as once.
    """
    job = await read_job(principal, database, public_id)

    async def work(connection: Connection) -> None:
        locked = await _lock_stoppable(connection, job)
        if await store.read_origin_kind(connection, job.company_id, job.id) not in enqueueable_kinds(principal):
            raise Forbidden
        await audit_events.record(connection, principal, "job.cancel", ("job", job.id))
        if locked.status is JobStatus.QUEUED:
            await conclude(connection, locked.held, JobStatus.CANCELLED, None, terms)
        else:
            await store.request_cancel(connection, job.id)

    await database.transaction(work)
    return await read_job(principal, database, public_id)


async def complete_job(database: Database, job: ClaimedJob, terms: Terms) -> None:
    """Ends a letter or callback that went out. Raises JobLost if the job is no longer this worker's."""

    async def work(connection: Connection) -> None:
        await conclude(connection, await hold(connection, job), JobStatus.COMPLETED, None, terms)

    await database.transaction(work)


async def yield_job(database: Database, job: ClaimedJob) -> None:
    """Gives way to other jobs: back to the queue at once, to go on where it stopped. Raises JobLost."""

    async def work(connection: Connection) -> None:
        await hold(connection, job)
        await store.restage(connection, job.id, after=0, failures=0, error=None)

    await database.transaction(work)


async def put_off_job(
    database: Database, job: ClaimedJob, error: tuple[str, str], *, after: float, terms: Terms
) -> bool:
    """After a passing failure: back to the queue in `after` seconds; False if the job has ended instead.

    It ends as cancelled if that was asked for, else, after one failure too many, as failed, or as errored if it had
    already removed something. Raises JobLost.
    """

    async def work(connection: Connection) -> bool:
        held = await go_on(connection, job, terms)
        if held is None:
            return False
        if held.failures + 1 >= MOST_FAILURES:
            await _give_up(connection, held, error, terms)
            return False
        await store.restage(connection, job.id, after=after, failures=1, error=error)
        return True

    return await database.transaction(work)


async def fail_job(database: Database, job: ClaimedJob, error: tuple[str, str], terms: Terms) -> None:
    """Ends a job that trying again cannot help. Raises JobLost."""

    async def work(connection: Connection) -> None:
        await _give_up(connection, await hold(connection, job), error, terms)

    await database.transaction(work)


async def rescue_jobs(database: Database, limit: int, terms: Terms) -> int:
    """Stages again up to `limit` jobs whose lease ran out, under a new attempt; returns how many it found.

    A job that has cost worker after worker without progress ends instead of going round for ever.
    """
    error = ("worker_lost", "The worker that held this job stopped without a word.")

    async def work(connection: Connection) -> int:
        expired = await store.find_expired_leases(connection, limit)
        for job_id, company_id in expired:
            locked = await store.lock(connection, job_id, company_id)
            assert locked is not None, "the row is locked by this transaction"
            if locked.held.failures + 1 >= MOST_FAILURES:
                await _give_up(connection, locked.held, error, terms)
            else:
                await store.restage(connection, job_id, after=0, failures=1, error=error)
        return len(expired)

    return await database.transaction(work)


async def retry_job(principal: Principal, database: Database, job: Job, public_id: str) -> str:
    """For operators: delivers a waiting job now, or stages a failed letter, callback, flow removal, upload or
    install as a new job.

    Returns the id of the job that will run. Raises Conflict for a running or completed job, and for a deletion of
    versions that has ended: its set is of its own time, so the request is to be sent again.
    """

    async def work(connection: Connection) -> str:
        locked = await store.lock(connection, job.id, job.company_id)
        if locked is None:
            raise NotFound(JOB_UNKNOWN)
        if locked.status in (JobStatus.IN_PROGRESS, JobStatus.COMPLETED):
            raise Conflict(f"This job is {locked.status}.")
        await audit_events.record(connection, principal, "job.retry", ("job", job.id))
        await deliveries.hint(connection)
        if locked.status is JobStatus.QUEUED:
            await store.restage(connection, job.id, after=0, failures=0, error=None)
            return job.public_id
        return await _stage_copy(connection, principal, locked.held, public_id)

    return await database.transaction(work)


async def discard_job(principal: Principal, database: Database, job: Job, terms: Terms) -> None:
    """For operators: ends a job of any kind but the removal of a flow, without waiting for its worker.

    Raises Conflict for a job that has ended.
    """

    async def work(connection: Connection) -> None:
        locked = await _lock_stoppable(connection, job)
        await audit_events.record(connection, principal, "job.discard", ("job", job.id))
        await conclude(connection, locked.held, JobStatus.CANCELLED, None, terms)

    await database.transaction(work)


async def list_recent_jobs(database: Database, status: str | None, limit: int) -> list[Job]:
    """For operators: the newest jobs of all companies."""
    async with database.connection() as connection:
        return await store.list_recent(connection, status, limit)


async def find_job(database: Database, public_id: str) -> Job | None:
    """For operators: a job of whatever company."""
    async with database.connection() as connection:
        return await store.read_anywhere(connection, public_id)


async def expire_jobs(database: Database, *, older_than: timedelta, limit: int) -> int:
    """Turns up to `limit` jobs that ended longer ago than `older_than` into tombstones; returns how many."""

    async def work(connection: Connection) -> int:
        return await store.expire(connection, older_than=older_than, limit=limit)

    return await database.transaction(work)


async def _lock_stoppable(connection: Connection, job: Job) -> LockedJob:
    locked = await store.lock(connection, job.id, job.company_id)
    if locked is None:
        raise NotFound(JOB_UNKNOWN)
    if locked.status.terminal:
        raise Conflict(f"This job has already ended as {locked.status}.")
    if job.kind is JobKind.DELETE_FLOW:
        raise Conflict("The removal of a flow cannot be stopped: it would leave a hidden flow half empty.")
    return locked


async def _give_up(connection: Connection, held: HeldJob, error: tuple[str, str], terms: Terms) -> None:
    status = JobStatus.ERRORED if held.removed else JobStatus.FAILED
    await conclude(connection, held, status, error, terms)


async def _stage_copy(connection: Connection, principal: Principal, held: HeldJob, public_id: str) -> str:
    if held.kind is JobKind.DELETE_VERSIONS:
        raise Conflict("A deletion that has ended is not repeated, because its set was fixed then; send it again.")
    asker = Principal(held.company_id, principal.actor_type, principal.actor_id)
    new = NewJob(public_id, held.kind, held.arguments, held.application_id, held.flow_id)
    if held.kind is JobKind.DELETE_FLOW:
        await job_items.stage_with_set(connection, asker, new, None, {})
    elif held.kind in NOTIFICATION_KINDS:
        await store.stage(connection, asker, replace(new, parent_id=int(str(held.arguments["job_id"]))))
    elif held.kind in MARKET_KINDS:
        await store.stage(connection, asker, new)
    else:
        await _stage_undo_again(connection, asker, held, new)
    return public_id


async def _stage_undo_again(connection: Connection, asker: Principal, held: HeldJob, new: NewJob) -> None:
    """For what an undo that ended early has left. It takes that one's place, since a deletion has one undo."""
    deletion_id = held.undoes
    if deletion_id is None or await store.lock(connection, deletion_id, held.company_id) is None:
        raise Conflict(UNDO_TOO_LATE)
    if not await store.is_undoable(connection, deletion_id):
        raise Conflict(UNDO_TOO_LATE)
    await store.give_up_undo(connection, held.id, held.company_id)
    left = await deleted_versions.count_of_job(connection, deletion_id)
    await store.stage(connection, asker, replace(new, total=left, undoes=deletion_id))


def _ids(name: str) -> tuple[int | None, str | None]:
    """A job's number or its public id, whichever the name is."""
    return (None, name) if is_public_id(name) else (parse_hex_id(name), None)


async def _find(connection: Connection, company_id: int, name: str) -> Job | None:
    number, public_id = _ids(name)
    if public_id is not None:
        return await store.read(connection, company_id, public_id)
    return await store.read_by_number(connection, company_id, number) if number is not None else None


async def _raise_if_expired(
    connection: Connection, principal: Principal, kinds: Collection[JobKind], name: str
) -> None:
    number, public_id = _ids(name)
    tombstone = await store.find_tombstone(connection, principal.company_id, public_id=public_id, number=number)
    if tombstone and tombstone["kind"] in kinds and _within(principal, tombstone["application_id"]):
        raise Gone


def _within(principal: Principal, application_id: int | None) -> bool:
    return principal.application_id is None or principal.application_id == application_id


def _kinds(principal: Principal) -> frozenset[JobKind]:
    kinds = readable_kinds(principal)
    if not kinds:
        raise Forbidden
    return kinds
