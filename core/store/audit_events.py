"""The audit trail: who changed what, from where. Append-only by trigger."""

from __future__ import annotations

from collections.abc import Mapping

import asyncpg
import orjson

from core.domain.access import Principal
from core.domain.audit import AuditEvent, AuditSelection
from core.store.database import Connection
from core.store.lists import QUERY
from core.store.predicates import compile_query
from core.store.queries import query
from core.store.rows import build
from core.store.subjects import AUDIT_EVENTS

_RECORD = query("audit_events.record_event")
_LIST = query("audit_events.list_events")
_COUNT = query("audit_events.count_events")


async def record(
    connection: Connection,
    principal: Principal,
    action: str,
    subject: tuple[str, int],
    *,
    before: bytes | None = None,
    after: bytes | None = None,
    details: Mapping[str, object] | None = None,
) -> None:
    """Adds one event, in the transaction of the change it speaks of. `before` and `after` are content digests."""
    await connection.execute(
        _RECORD,
        principal.company_id,
        principal.actor_type,
        principal.actor_id,
        principal.remote,
        action,
        *subject,
        before,
        after,
        orjson.dumps(details or {}).decode(),
    )


async def list_events(
    connection: Connection,
    company_id: int,
    selection: AuditSelection,
    *,
    limit: int,
    offset: int = 0,
    after: AuditEvent | None = None,
) -> list[AuditEvent]:
    """The selected events, newest first; only those that follow `after`, if it is given."""
    found = compile_query(selection.conditions, first=8, subject=AUDIT_EVENTS)
    rows = await connection.fetch(
        _LIST.replace(QUERY, found.sql),
        company_id,
        selection.since,
        selection.until,
        after and after.at,
        after and after.id,
        limit,
        offset,
        *found.parameters,
    )
    return [_event(row) for row in rows]


async def list_page(
    connection: Connection, company_id: int, selection: AuditSelection, *, limit: int, offset: int
) -> tuple[list[AuditEvent], int]:
    """A page of the selected events, newest first, and how many are selected in all.

    A page that ends the list tells; after any other, the count is a statement of its own.
    """
    events = await list_events(connection, company_id, selection, limit=limit, offset=offset)
    if len(events) < limit and (events or not offset):
        return events, offset + len(events)
    found = compile_query(selection.conditions, first=4, subject=AUDIT_EVENTS)
    asked = (company_id, selection.since, selection.until)
    return events, await connection.fetchval(_COUNT.replace(QUERY, found.sql), *asked, *found.parameters)


def _event(row: asyncpg.Record) -> AuditEvent:
    return build(AuditEvent, row, details=orjson.loads(row["details"]))
