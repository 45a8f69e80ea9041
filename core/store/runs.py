"""Stand-in until the ledger's own module arrives."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from core.domain.runs import RunStatus
from core.store.database import Connection


@dataclass(frozen=True, slots=True)
class RunEnd:
    id: int
    scheduled_for: datetime
    status: RunStatus
    reason: str | None = None
    message: str | None = None
    started_at: datetime | None = None
    result: Mapping[str, object] | None = None


async def end_runs(connection: Connection, company_id: int, ends: Sequence[RunEnd]) -> set[int]:
    if not ends:
        return set()
    rows = await connection.fetch(
        """
        UPDATE runs r
        SET status = w.status, reason = w.reason, message = w.message, result = w.result::json, due_at = NULL,
            started_at = coalesce(r.started_at, w.started_at), finished_at = clock_timestamp()
        FROM unnest($2::bigint[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::text[])
             AS w (id, scheduled_for, status, reason, message, started_at, result)
        WHERE r.company_id = $1 AND r.id = w.id AND r.scheduled_for = w.scheduled_for AND r.finished_at IS NULL
        RETURNING r.id
        """,
        company_id,
        [end.id for end in ends],
        [end.scheduled_for for end in ends],
        [end.status for end in ends],
        [end.reason for end in ends],
        [end.message for end in ends],
        [end.started_at for end in ends],
        [None if end.result is None else json.dumps(end.result) for end in ends],
    )
    return {row["id"] for row in rows}
