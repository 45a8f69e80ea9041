"""An application's job log: jobs, as a dialect shows them. One typed function per query."""

from __future__ import annotations

from collections.abc import Collection

import asyncpg

from core.domain.access import Claim
from core.domain.query import Selection
from core.domain.templates import Template
from core.store.database import Connection
from core.store.lists import Order, page_of
from core.store.predicates import compile_query
from core.store.queries import query
from core.store.subjects import JOB_LOGS
from core.store.templates import showing

_SHOW_PAGE = query("job_logs.show_entries")
_SHOW_ENTRY = query("job_logs.show_entry")

COLUMNS = {
    "id": "j.id",
    "public_id": "j.public_id",
    "application_id": "j.application_id",
    "name": JOB_LOGS.places["name"].shown,
    "status": JOB_LOGS.places["status"].shown,
    "state": "j.status",
    "created_at": "j.created_at",
    "started_at": "j.started_at",
    "finished_at": "j.finished_at",
    "requested_by_type": "j.requested_by_type",
    "requested_by_id": "j.requested_by_id",
    "done": "j.removed + j.failed",
    "total": "j.total",
    "removed": "j.removed",
    "failed": "j.failed",
    "error_code": "j.error_code",
    "error_message": "j.error_message",
    "query": "(j.arguments ->> 'query')",
    "email": "(j.arguments ->> 'email')",
    "callback_url": "(j.arguments ->> 'callbackUrl')",
}
"""What a dialect's template of an entry of the job log can show: its word and our column. `status` and `name` are in
the words of `core/domain/job_log.py`, `state` is ours."""

_showing = showing(COLUMNS)


async def show_page(
    connection: Connection,
    claim: Claim,
    kinds: Collection[str],
    selection: Selection,
    order: Order,
    template: Template,
) -> asyncpg.Record | None:
    """A page of the selected entries of an application's job log: application_id and scopes, for admission; then items
    (JSON in UTF-8, joined by commas), ids (in this order; null for none) and total. None if the token opens nothing.
    """
    predicate = compile_query(selection, first=6, subject=JOB_LOGS)
    return await connection.fetchrow(
        page_of(_showing(_SHOW_PAGE, template), predicate, order),
        claim.digest,
        claim.application_id,
        list(kinds),
        order.limit,
        order.offset,
        *predicate.parameters,
    )


async def show(
    connection: Connection,
    claim: Claim,
    kinds: Collection[str],
    template: Template,
    *,
    number: int | None,
    public_id: str | None,
) -> asyncpg.Record | None:
    """One entry: application_id and scopes, for admission; then id and revision, which are null if there is none, and
    shown. None if the token opens nothing.
    """
    return await connection.fetchrow(_showing(_SHOW_ENTRY, template), claim.digest, list(kinds), number, public_id)
