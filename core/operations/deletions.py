"""Bulk deletion from acceptance to account: the main job.

Accepting fixes the set. A batch is one transaction that fences, moves, counts and advances. Concluding accounts for
every item that is left and stages the letter and the callback, in the transaction that ends the job.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from core.domain.access import ActorType, Principal
from core.domain.errors import IdempotencyMismatch, NotFound
from core.domain.etags import ANY, Etag
from core.domain.identifiers import new_public_id
from core.domain.jobs import LEASE_SECONDS, ClaimedJob, JobKind, JobStatus, Reason
from core.domain.query import Combination
from core.operations import transitions
from core.operations.flows import FLOW_UNKNOWN
from core.settings import Settings
from core.store import (
    audit_events,
    dispatch,
    flow_storages,
    flow_versions,
    flows,
    idempotency_keys,
    job_items,
    jobs,
    mail_days,
)
from core.store.database import Connection, Database, limit_statements
from core.store.flow_versions import Preview
from core.store.idempotency_keys import Key
from core.store.jobs import HeldJob, NewJob

IDEMPOTENCY_WINDOW = timedelta(hours=48)
"""A client that was down over a night and a day can still repeat its request without a second job."""

ACCEPT_SECONDS = 20.0
"""Fixing a set of a million takes about 2 s; a statement that needs more than this will not end well."""


SAMPLE = 100
"""Versions named in a preview: AIP-165's rule of thumb."""


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
class DeletionRequest:
    """A parsed request: the query as a tree and as the text that was sent, and whom to tell."""

    query: Combination
    query_text: str
    email: str | None
    callback_url: str | None


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction of a deletion did."""

    items: int
    finished: bool


class JobLost(Exception):
    """The job has moved on to another attempt or state: this worker's transaction was rolled back."""


async def accept_deletion(
    principal: Principal,
    database: Database,
    application_id: int,
    flow_id: int,
    request: DeletionRequest,
    *,
    public_id: str,
    key: Key | None,
) -> str:
    """Fixes the set, stages the job, and returns its public id: the older job's, if the key was used before.

    Raises NotFound for the flow, IdempotencyMismatch for a key that came with another request.
    """

    async def work(connection: Connection) -> str:
        if key is not None and (taken := await idempotency_keys.take(connection, key, IDEMPOTENCY_WINDOW)):
            return await _repeat(connection, principal, key, taken)
        flow = await flows.lock(connection, principal.company_id, application_id, flow_id)
        if flow is None:
            raise NotFound(FLOW_UNKNOWN)
        arguments = {"query": request.query_text, "email": request.email, "callbackUrl": request.callback_url}
        new = NewJob(public_id, JobKind.DELETE_VERSIONS, arguments, application_id, flow_id)
        await limit_statements(connection, ACCEPT_SECONDS)
        job_id, total = await job_items.stage_with_set(connection, principal, new, request.query, flow.constants)
        if key is not None:
            await idempotency_keys.bind(connection, key, job_id)
        details = {"job": public_id, "matched": total}
        await audit_events.record(connection, principal, "versions.delete", ("flow", flow_id), details=details)
        return public_id

    return await database.transaction(work)


async def preview_deletion(
    principal: Principal, database: Database, application_id: int, flow_id: int, query: Combination
) -> Preview:
    """What a bulk delete with this query would match now. Writes nothing. Raises NotFound for the flow."""

    async def work(connection: Connection) -> Preview:
        flow = await flows.read(connection, principal.company_id, application_id, flow_id)
        if flow is None:
            raise NotFound(FLOW_UNKNOWN)
        await limit_statements(connection, ACCEPT_SECONDS)
        return await flow_versions.preview(connection, principal.company_id, flow, query, SAMPLE)

    return await database.transaction(work)


async def accept_flow_deletion(
    principal: Principal,
    database: Database,
    application_id: int | None,
    flow_id: int,
    *,
    public_id: str,
    etag: Etag = ANY,
) -> str:
    """Undeploys and hides the flow at once, and stages the job that empties it; of any application where that is None.
    Raises NotFound, PreconditionFailed."""

    async def work(connection: Connection) -> str:
        flow = await flows.lock(connection, principal.company_id, application_id, flow_id)
        if flow is None:
            raise NotFound(FLOW_UNKNOWN)
        etag.require(flow.revision)
        await transitions.undeploy(connection, principal, flow_id)
        await flows.hide(connection, principal.company_id, flow_id)
        new = NewJob(public_id, JobKind.DELETE_FLOW, {"flow": flow.name}, flow.application_id, flow_id)
        _, total = await job_items.stage_with_set(connection, principal, new, None, flow.constants)
        details = {"job": public_id, "versions": total}
        await audit_events.record(connection, principal, "flow.delete", ("flow", flow_id), details=details)
        return public_id

    return await database.transaction(work)


async def delete_batch(database: Database, job: ClaimedJob, *, limit: int, terms: Terms) -> Batch:
    """Moves up to `limit` versions of the job's set to the trash, and ends the job after the last.

    Raises JobLost, having changed nothing, when the job is no longer this worker's.
    """

    async def work(connection: Connection) -> Batch:
        held = await jobs.hold(connection, job)
        if held is None:
            raise JobLost
        if held.cancel_requested:
            await conclude(connection, held, JobStatus.CANCELLED, None, terms)
            return Batch(0, finished=True)
        ids, revisions = await job_items.read_pairs(connection, held.id, held.position, limit)
        if ids:
            await _move(connection, held, (ids, revisions), terms)
        if held.position >= (held.total or 0):
            await conclude(connection, held, JobStatus.COMPLETED, None, terms)
            return Batch(len(ids), finished=True)
        await jobs.advance(connection, held, terms.lease)
        return Batch(len(ids), finished=False)

    return await database.transaction(work)


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


async def _repeat(connection: Connection, principal: Principal, key: Key, taken: tuple[bytes, int]) -> str:
    digest, job_id = taken
    if digest != key.digest:
        raise IdempotencyMismatch
    job = await jobs.read_by_number(connection, principal.company_id, job_id)
    assert job is not None, "a key refers to its job and goes with it"
    return job.public_id


async def _move(connection: Connection, held: HeldJob, pairs: tuple[list[int], list[int]], terms: Terms) -> None:
    """Moves one batch and counts it in `held`. Locks follow the order everywhere: job, flow, versions."""
    assert held.flow_id is not None, "a deletion is about a flow"
    if held.undo_until is None:
        await jobs.stamp_undo_until(connection, held.id, terms.undo)
    await flows.lock_for_job(connection, held.company_id, held.flow_id)
    left = await flow_versions.delete_batch(
        connection,
        company_id=held.company_id,
        flow_id=held.flow_id,
        pairs=pairs,
        job_id=held.id,
        reason="flow_deleted" if held.kind is JobKind.DELETE_FLOW else "bulk_deleted",
    )
    if left:
        await job_items.record_failures(connection, held.id, left)
    held.position += len(pairs[0])
    held.removed += len(pairs[0]) - len(left)
    for item in left:
        held.count_failed(item.reason, 1)
    details = {"from": held.position - len(pairs[0]), "to": held.position, "left": len(left)}
    await audit_events.record(connection, actor_of(held), "versions.remove", ("job", held.id), details=details)


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
