"""Reading a company's audit trail, which leaves no event itself."""

from __future__ import annotations

import asyncpg

from core.domain.access import Principal
from core.domain.audit import AuditEvent, AuditSelection
from core.domain.errors import TooSlow
from core.operations.lists import watched
from core.store import audit_events as store
from core.store.database import Connection, Database


async def list_events(
    principal: Principal, database: Database, selection: AuditSelection, *, limit: int, offset: int
) -> tuple[list[AuditEvent], int]:
    """A page of the selected events, newest first, and how many are selected in all."""

    async def work(connection: Connection) -> tuple[list[AuditEvent], int]:
        return await store.list_page(connection, principal.company_id, selection, limit=limit, offset=offset)

    return await watched(database, work)


async def read_events(
    principal: Principal, database: Database, selection: AuditSelection, *, after: AuditEvent | None, limit: int
) -> list[AuditEvent]:
    """The selected events that follow `after`, newest first; the first of all for None. Raises TooSlow.

    Read on from the last one, the whole trail comes out, each event once, however many are added meanwhile.
    """

    async def work(connection: Connection) -> list[AuditEvent]:
        return await store.list_events(connection, principal.company_id, selection, limit=limit, after=after)

    try:
        return await watched(database, work)
    except asyncpg.QueryCanceledError:
        raise TooSlow from None
