"""Bulk deletion from acceptance to account: the main job.

Accepting fixes the set. A batch is one transaction that fences, moves, counts and advances; the last one ends the job.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.domain.access import Principal
from core.domain.errors import NotFound
from core.domain.etags import ANY, Etag
from core.domain.jobs import ClaimedJob, JobKind, JobStatus
from core.domain.query import Combination
from core.operations import transitions
from core.operations.flows import FLOW_UNKNOWN
from core.operations.repeats import IDEMPOTENCY_WINDOW, repeat
from core.operations.settling import Batch, Terms, actor_of, conclude, go_on
from core.store import (
    audit_events,
    flow_versions,
    flows,
    idempotency_keys,
    job_items,
    jobs,
)
from core.store.database import Connection, Database, limit_statements
from core.store.flow_versions import Preview
from core.store.idempotency_keys import Key
from core.store.jobs import HeldJob, NewJob

ACCEPT_SECONDS = 20.0
"""Fixing a set of a million takes about 2 s; a statement that needs more than this will not end well."""

SAMPLE = 100
"""Versions named in a preview: AIP-165's rule of thumb."""


@dataclass(frozen=True, slots=True)
class DeletionRequest:
    """A parsed request: the query as a tree and as the text that was sent, and whom to tell."""

    query: Combination
    query_text: str
    email: str | None
    callback_url: str | None


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
            return await repeat(connection, principal, key, taken)
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
        held = await go_on(connection, job, terms)
        if held is None:
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
