"""The job document: one shape for the API, the callback and every other way of reading a job."""

from __future__ import annotations

from typing import Any

from core.domain.jobs import DELETION_KINDS, ITEM_KINDS, SHOWN_KINDS, Job, JobItem, JobKind, JobStatus, Notification
from core.domain.storage import DeletedStorage
from core.domain.versions import TrashEntry
from schemas.fields import Count, Query, microseconds
from schemas.filters import FilteredQuery, words

MOST_PAGE = 100


class PageQuery(Query):
    """`page` counts from 1. A `per_page` above 100 is served as 100, and `meta.per_page` says so."""

    page = Count(least=1, most=999_999_999, load_default=1)
    per_page = Count(least=1, most=999_999_999, load_default=15)


class JobsQuery(FilteredQuery, PageQuery):
    status = words("status", *JobStatus)
    kind = words("kind", *JobKind)


def render_job(job: Job, public_url: str) -> dict[str, Any]:
    """`data` of GET /api/v1/jobs/{job}. Progress is null for jobs that are not about many items; the result of
    such a job is what it has come to, if anything."""
    counted = job.total is not None
    return {
        "id": job.public_id,
        "kind": job.kind,
        "status": job.status,
        "progress": {"done": job.done, "total": job.total} if counted else None,
        "attempts": job.attempts,
        "result": _result(job) if counted else job.outcome,
        "error": _error(job.error_code, job.error_message),
        "requested_by": {"type": job.requested_by_type, "id": job.requested_by_id},
        "created_at": microseconds(job.created_at),
        "started_at": microseconds(job.started_at),
        "finished_at": microseconds(job.finished_at),
        "undo_until": microseconds(job.undo_until),
        "notifications": [_notification(notification) for notification in job.notifications],
        "links": _links(job, public_url),
    }


def render_item(item: JobItem) -> dict[str, Any]:
    """One line of a job's results."""
    return {"version_id": item.version_id, "name": item.name, "outcome": item.outcome, "reason": item.reason}


def render_entry(entry: TrashEntry) -> dict[str, Any]:
    """One entry of a flow's trash; `digest` in hexadecimal."""
    return {
        "id": entry.id,
        "version_id": entry.version_id,
        "name": entry.name,
        "reason": entry.reason,
        "revision": entry.revision,
        "digest": entry.digest.hex(),
        "deleted_at": microseconds(entry.deleted_at),
        "purge_after": microseconds(entry.purge_after),
        "job": entry.job,
    }


def render_deleted_storage(deleted: DeletedStorage) -> dict[str, Any]:
    """One deletion from a flow's storage."""
    return {
        "id": deleted.id,
        "reason": deleted.reason,
        "first_keys": deleted.first_keys,
        "keys_count": deleted.keys_count,
        "memory_used": deleted.memory_used,
        "deleted_at": microseconds(deleted.deleted_at),
        "purge_after": microseconds(deleted.purge_after),
    }


def _result(job: Job) -> dict[str, Any]:
    return {
        "matched": job.total,
        "removed": job.removed,
        "failed": job.failed,
        "reasons": dict(sorted(job.reasons.items())),
    }


def _error(code: str | None, message: str | None) -> dict[str, str | None] | None:
    return None if code is None else {"code": code, "message": message}


def _notification(notification: Notification) -> dict[str, Any]:
    return {
        "kind": notification.kind,
        "job": notification.job,
        "to": notification.target,
        "status": notification.status,
        "attempts": notification.attempts,
        "error": _error(notification.error_code, notification.error_message),
    }


def _links(job: Job, public_url: str) -> dict[str, str]:
    links = {"self": f"{public_url}/api/v1/jobs/{job.public_id}"}
    cancellable = job.kind in SHOWN_KINDS and job.kind is not JobKind.DELETE_FLOW
    if cancellable and not job.status.terminal:
        links["cancel"] = f"{links['self']}/cancel"
    if job.kind in ITEM_KINDS:
        links["results"] = f"{links['self']}/results"
    if job.kind in SHOWN_KINDS:
        links["events"] = f"{links['self']}/events"
    if job.kind in DELETION_KINDS and job.status.terminal and job.undo_until is not None:
        links["undo"] = f"{links['self']}/undo"
    return links
