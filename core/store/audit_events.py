"""The audit trail: who changed what, from where. Append-only by trigger."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from core.domain.access import Principal
from core.store.database import Connection
from core.store.queries import query

_RECORD = query("audit_events.record_event")


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
