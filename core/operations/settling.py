"""How the transaction of a job begins and ends, whatever the job does in between.

It begins by fencing: a job that has moved on to another attempt or state is not this worker's any more, and nothing of
what the worker does to it is kept. Whoever ends a job accounts for every item that is left and stages the letter and
the callback, in that same transaction.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from core.domain.access import ActorType, Principal
from core.domain.identifiers import new_public_id
from core.domain.jobs import LEASE_SECONDS, ClaimedJob, JobKind, JobStatus, Reason
from core.settings import Settings
from core.store import audit_events, dispatch, flow_storages, flows, jobs, mail_days
from core.store.database import Connection
from core.store.jobs import HeldJob, NewJob


@dataclass(frozen=True, slots=True)
class Terms:
    """What the installation decides about deleting, and where new public ids come from."""

    undo: timedelta
    lease: timedelta
    mail_daily_cap: int
    new_id: Callable[[], str]

    @classmethod
    def of(cls, settings: Settings, random_bytes: Callable[[int], bytes] = os.urandom) -> Terms:
        return cls(
            undo=timedelta(days=settings.undo_days),
            lease=timedelta(seconds=LEASE_SECONDS),
            mail_daily_cap=settings.mail_daily_cap,
            new_id=lambda: new_public_id(random_bytes),
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction of a job that is about many items did."""

    items: int
    finished: bool


class JobLost(Exception):
    """The job has moved on to another attempt or state: this worker's transaction was rolled back."""


async def hold(connection: Connection, job: ClaimedJob) -> HeldJob:
    """The job's row, locked, as this worker claimed it. Raises JobLost."""
    held = await jobs.hold(connection, job)
    if held is None:
        raise JobLost
    return held


async def go_on(connection: Connection, job: ClaimedJob, terms: Terms) -> HeldJob | None:
    """The same for a job that there is more to do of; None where it was told to stop, and has ended so. Raises
    JobLost."""
    held = await hold(connection, job)
    if not held.cancel_requested:
        return held
    await conclude(connection, held, JobStatus.CANCELLED, None, terms)
    return None


async def conclude(
    connection: Connection, held: HeldJob, status: JobStatus, error: tuple[str, str] | None, terms: Terms
) -> None:
    """Ends a job this transaction holds: accounts for what is left, and stages whoever wants to be told."""
    left = (held.total or 0) - held.removed - held.failed
    if left:
        held.count_failed(Reason.NOT_ATTEMPTED, left)
    await jobs.conclude(connection, held, status, error)
    if held.kind is JobKind.DISPATCH_RUNS:
        await dispatch.take_back(connection, dispatch.Batch.of(held.company_id, held.id, held.arguments))
    if held.kind is JobKind.DELETE_FLOW and status is JobStatus.COMPLETED:
        assert held.flow_id is not None, "the removal of a flow is about a flow"
        if held.undo_until is None:
            await jobs.stamp_undo_until(connection, held.id, terms.undo)
        await flows.lock_for_job(connection, held.company_id, held.flow_id)
        await flow_storages.move_to_trash(connection, held.company_id, held.flow_id, held.id)
        await flows.move_to_trash(connection, held.company_id, held.flow_id, held.id)
    await audit_events.record(
        connection,
        actor_of(held),
        f"job.{status}",
        ("job", held.id),
        details={"kind": held.kind, "removed": held.removed, "failed": held.failed},
    )
    await _stage_notifications(connection, held, terms)


async def _stage_notifications(connection: Connection, held: HeldJob, terms: Terms) -> None:
    """One letter and one callback a job, each its own job: their failures never touch this one."""
    asker = Principal(held.company_id, ActorType(held.requested_by_type), held.requested_by_id)
    about = (held.application_id, held.flow_id, held.id)
    if email := held.arguments.get("email"):
        letter = NewJob(terms.new_id(), JobKind.SEND_MAIL, {"job_id": held.id, "to": email}, *about)
        if await mail_days.count_letter(connection, held.company_id) <= terms.mail_daily_cap:
            await jobs.stage(connection, asker, letter)
        else:
            reason = f"This company's {terms.mail_daily_cap} letters of today are used up."
            await jobs.stage_refused(connection, asker, letter, "mail_daily_cap", reason)
    if url := held.arguments.get("callbackUrl"):
        callback = NewJob(terms.new_id(), JobKind.POST_CALLBACK, {"job_id": held.id, "url": url}, *about)
        await jobs.stage(connection, asker, callback)


def actor_of(held: HeldJob) -> Principal:
    """A job as the actor of what its batches change."""
    return Principal(held.company_id, ActorType.JOB, held.id)
