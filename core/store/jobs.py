"""Jobs: staged by operations, moved by the worker that holds them. Their way to that worker is in deliveries.py."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg
import orjson

from core.domain.access import Principal
from core.domain.jobs import ClaimedJob, Job, JobKind, JobStatus, Notification, Reason
from core.store.database import Connection
from core.store.queries import query
from core.store.rows import build

_STAGE = query("jobs.stage_job")
_STAGE_REFUSED = query("jobs.stage_refused_job")
_CLAIM = query("jobs.claim_job")
_HOLD = query("jobs.hold_job")
_LOCK = query("jobs.lock_job")
_READ_LOCKED = query("jobs.read_locked_job")
_STAMP_UNDO = query("jobs.stamp_undo_until")
_ADVANCE = query("jobs.advance_job")
_CONCLUDE = query("jobs.conclude_job")
_RESTAGE = query("jobs.restage_job")
_FORGET = query("jobs.forget_job")
_REQUEST_CANCEL = query("jobs.request_cancel")
_FIND_EXPIRED = query("jobs.find_expired_leases")
_READ = query("jobs.read_job")
_READ_BY_NUMBER = query("jobs.read_job_by_number")
_READ_ANYWHERE = query("jobs.read_job_anywhere")
_LIST = query("jobs.list_jobs")
_COUNT = query("jobs.count_jobs")
_LIST_RECENT = query("jobs.list_recent_jobs")
_LIST_NOTIFICATIONS = query("jobs.list_notifications")
_EXPIRE = query("jobs.expire_jobs")
_FIND_TOMBSTONE = query("jobs.find_tombstone")
_FORGET_TOMBSTONES = query("jobs.forget_tombstones")
_FIND_UNDO = query("jobs.find_undo")
_IS_UNDOABLE = query("jobs.is_undoable")
_GIVE_UP_UNDO = query("jobs.give_up_undo")
_READ_ORIGIN_KIND = query("jobs.read_origin_kind")
_READ_REVISIONS = query("jobs.read_revisions")
_RECORD_OUTCOME = query("jobs.record_outcome")


@dataclass(frozen=True, slots=True)
class NewJob:
    """What an operation stages. `public_id` comes from outside, since randomness is an argument."""

    public_id: str
    kind: JobKind
    arguments: Mapping[str, object]
    application_id: int | None = None
    flow_id: int | None = None
    parent_id: int | None = None
    total: int | None = None
    undoes: int | None = None


@dataclass(slots=True)
class HeldJob:
    """A job's row inside a transaction that has locked it: what is true of its progress now."""

    id: int
    public_id: str
    company_id: int
    application_id: int | None
    flow_id: int | None
    kind: JobKind
    total: int | None
    position: int
    removed: int
    failed: int
    reasons: dict[str, int]
    cancel_requested: bool
    undo_until: datetime | None
    arguments: Mapping[str, object]
    failures: int
    undoes: int | None
    walked: int
    requested_by_type: str
    requested_by_id: int | None

    def count_failed(self, reason: Reason, items: int) -> None:
        """Accounts for items that were not removed."""
        self.failed += items
        self.reasons[reason.value] = self.reasons.get(reason.value, 0) + items


@dataclass(frozen=True, slots=True)
class LockedJob:
    """The same for a change from outside, where the state still has to be looked at."""

    status: JobStatus
    held: HeldJob


async def stage(connection: Connection, principal: Principal, job: NewJob) -> int:
    """Writes the job beside the fact it follows from and returns its number."""
    number: int = await connection.fetchval(
        _STAGE, *_written(principal, job), job.total, job.undoes, *_asker(principal)
    )
    return number


async def stage_refused(connection: Connection, principal: Principal, job: NewJob, code: str, message: str) -> None:
    """Writes a job that must not run, with the reason why."""
    await connection.fetchval(_STAGE_REFUSED, *_written(principal, job), *_asker(principal), code, message)


async def claim(connection: Connection, job_id: int, attempt: int, lease: timedelta) -> ClaimedJob | None:
    """Moves the job to in_progress for the next attempt; None if this delivery is out of date."""
    row = await connection.fetchrow(_CLAIM, job_id, attempt, lease)
    if row is None:
        return None
    return build(ClaimedJob, row, kind=JobKind(row["kind"]), arguments=orjson.loads(row["arguments"]))


async def hold(connection: Connection, job: ClaimedJob) -> HeldJob | None:
    """The fence. None: the job has moved on to another attempt or state, and this worker must not touch anything."""
    row = await connection.fetchrow(_HOLD, job.id, job.attempt)
    return _held(row) if row else None


async def lock(connection: Connection, job_id: int, company_id: int) -> LockedJob | None:
    """Holds a job for a change from outside, then reads it in a later statement."""
    if await connection.fetchval(_LOCK, job_id, company_id) is None:
        return None
    row = await connection.fetchrow(_READ_LOCKED, job_id)
    return LockedJob(JobStatus(row["status"]), _held(row))


async def stamp_undo_until(connection: Connection, job_id: int, keep: timedelta) -> datetime:
    until: datetime = await connection.fetchval(_STAMP_UNDO, job_id, keep)
    return until


async def advance(connection: Connection, held: HeldJob, lease: timedelta) -> None:
    await connection.execute(
        _ADVANCE,
        held.id,
        held.position,
        held.removed,
        held.failed,
        orjson.dumps(held.reasons).decode(),
        lease,
        held.walked,
    )


async def conclude(connection: Connection, held: HeldJob, status: JobStatus, error: tuple[str, str] | None) -> None:
    code, message = error or (None, None)
    reasons = orjson.dumps(held.reasons).decode()
    await connection.execute(
        _CONCLUDE, held.id, status, held.removed, held.failed, reasons, code, message, held.position
    )


async def record_outcome(connection: Connection, job_id: int, outcome: Mapping[str, object]) -> None:
    """Says what a held job has come to; conclude it in the same transaction."""
    await connection.execute(_RECORD_OUTCOME, job_id, orjson.dumps(outcome).decode())


async def restage(
    connection: Connection, job_id: int, *, after: float, failures: int, error: tuple[str, str] | None
) -> None:
    """Puts a job back to the queue, due in `after` seconds, its next delivery under a new attempt."""
    code, message = error or (None, None)
    await connection.execute(_RESTAGE, job_id, after, failures, code, message)


async def forget(connection: Connection, job_id: int) -> None:
    """Removes a job that this transaction holds, without a trace."""
    await connection.execute(_FORGET, job_id)


async def find_undo(connection: Connection, job_id: int) -> str | None:
    """The public id of the job that takes this one back, if there is one."""
    public_id: str | None = await connection.fetchval(_FIND_UNDO, job_id)
    return public_id


async def is_undoable(connection: Connection, job_id: int) -> bool:
    """Whether what a locked job deleted can still come back."""
    undoable: bool = await connection.fetchval(_IS_UNDOABLE, job_id)
    return undoable


async def give_up_undo(connection: Connection, job_id: int, company_id: int) -> None:
    """Makes room for another undo of what this ended one has not brought back."""
    await connection.execute(_GIVE_UP_UNDO, job_id, company_id)


async def read_origin_kind(connection: Connection, company_id: int, job_id: int) -> JobKind:
    """The kind of the job that this one takes back or tells about; its own if it follows from none, or none is left."""
    return JobKind(await connection.fetchval(_READ_ORIGIN_KIND, company_id, job_id))


async def read_revisions(connection: Connection, job_ids: Collection[int]) -> dict[int, int]:
    """The revision of each of these jobs; those that have expired are missing."""
    return {row["id"]: row["revision"] for row in await connection.fetch(_READ_REVISIONS, list(job_ids))}


async def request_cancel(connection: Connection, job_id: int) -> None:
    await connection.execute(_REQUEST_CANCEL, job_id)


async def find_expired_leases(connection: Connection, limit: int) -> list[tuple[int, int]]:
    """(job, company) of jobs whose worker is gone, locked by this transaction."""
    return [(row["id"], row["company_id"]) for row in await connection.fetch(_FIND_EXPIRED, limit)]


async def read(connection: Connection, company_id: int, public_id: str) -> Job | None:
    row = await connection.fetchrow(_READ, company_id, public_id)
    return (await _jobs(connection, [row]))[0] if row else None


async def read_by_number(connection: Connection, company_id: int, number: int) -> Job | None:
    row = await connection.fetchrow(_READ_BY_NUMBER, company_id, number)
    return (await _jobs(connection, [row]))[0] if row else None


async def read_anywhere(connection: Connection, public_id: str) -> Job | None:
    """By public id alone: for the command line, which stands outside of all tenants."""
    row = await connection.fetchrow(_READ_ANYWHERE, public_id)
    return (await _jobs(connection, [row]))[0] if row else None


async def list_page(
    connection: Connection,
    company_id: int,
    *,
    kinds: Collection[JobKind],
    application_id: int | None,
    statuses: Collection[JobStatus] | None,
    limit: int,
    offset: int,
) -> tuple[list[Job], int]:
    """A page in order of acceptance, newest first, and how many there are."""
    wanted = list(statuses) if statuses is not None else None
    rows = await connection.fetch(_LIST, company_id, list(kinds), application_id, wanted, limit, offset)
    total: int = await connection.fetchval(_COUNT, company_id, list(kinds), application_id, wanted)
    return await _jobs(connection, rows), total


async def list_recent(connection: Connection, status: str | None, limit: int) -> list[Job]:
    """The newest jobs of all companies, for the command line."""
    return await _jobs(connection, await connection.fetch(_LIST_RECENT, status, limit))


async def expire(connection: Connection, *, older_than: timedelta, limit: int) -> int:
    """Turns jobs past their keep time into tombstones; returns how many."""
    return int((await connection.execute(_EXPIRE, older_than, limit)).rpartition(" ")[2])


async def find_tombstone(
    connection: Connection, company_id: int, *, public_id: str | None, number: int | None
) -> asyncpg.Record | None:
    """application_id and kind of a job that has expired."""
    return await connection.fetchrow(_FIND_TOMBSTONE, company_id, public_id, number)


async def forget_tombstones(connection: Connection, older_than: timedelta) -> None:
    await connection.execute(_FORGET_TOMBSTONES, older_than)


def _written(principal: Principal, job: NewJob) -> tuple[object, ...]:
    return (
        job.public_id,
        principal.company_id,
        job.application_id,
        job.flow_id,
        job.parent_id,
        job.kind,
        job.kind.queue,
        orjson.dumps(job.arguments).decode(),
    )


def _asker(principal: Principal) -> tuple[object, ...]:
    return (principal.actor_type, principal.actor_id)


def _held(row: asyncpg.Record) -> HeldJob:
    return build(
        HeldJob,
        row,
        kind=JobKind(row["kind"]),
        reasons=orjson.loads(row["reasons"]),
        arguments=orjson.loads(row["arguments"]),
    )


async def _jobs(connection: Connection, rows: Sequence[asyncpg.Record]) -> list[Job]:
    told: dict[int, list[Notification]] = {row["id"]: [] for row in rows}
    for row in await connection.fetch(_LIST_NOTIFICATIONS, list(told)) if told else []:
        arguments = orjson.loads(row["arguments"])
        told[row["parent_id"]].append(
            Notification(
                kind=JobKind(row["kind"]),
                job=row["public_id"],
                target=arguments.get("to") or arguments.get("url"),
                status=JobStatus(row["status"]),
                attempts=row["attempt"],
                error_code=row["error_code"],
                error_message=row["error_message"],
            )
        )
    return [_job(row, tuple(told[row["id"]])) for row in rows]


def _job(row: asyncpg.Record, notifications: tuple[Notification, ...]) -> Job:
    return build(
        Job,
        row,
        kind=JobKind(row["kind"]),
        status=JobStatus(row["status"]),
        attempts=row["attempt"],
        reasons=orjson.loads(row["reasons"]),
        arguments=orjson.loads(row["arguments"]),
        outcome=orjson.loads(row["outcome"]) if row["outcome"] else None,
        notifications=notifications,
    )
