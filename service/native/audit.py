"""The audit trail under /api/v1, for administrators: by page, or as lines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson

from core.domain.audit import AuditEvent, AuditSelection
from core.domain.languages import AUDIT_EVENTS
from core.domain.query import Combination, Condition, Group, Operator
from core.operations import audit
from schemas.audit import render_event
from service.calls import Answer, Call, Stream
from service.native.jobs import LINES, NDJSON
from service.native.paging import Paging


async def list_events(call: Call) -> Answer | Stream:
    """A page as JSON, or everything selected as one JSON object a line where the caller accepts that."""
    selection = _selection(call)
    if NDJSON in call.headers.get("Accept", ""):
        first = await audit.read_events(call.principal, call.database, selection, after=None, limit=LINES)
        return Stream(NDJSON, _lines(call, selection, first))
    asked = Paging.of(call)
    found, total = await audit.list_events(
        call.principal, call.database, selection, limit=asked.limit, offset=asked.offset
    )
    return asked.answer(call, "/audit-events", [render_event(event) for event in found], total)


async def _lines(call: Call, selection: AuditSelection, events: list[AuditEvent]) -> AsyncIterator[bytes]:
    while events:
        yield b"".join(orjson.dumps(render_event(event), option=orjson.OPT_APPEND_NEWLINE) for event in events)
        if len(events) < LINES:
            return
        events = await audit.read_events(call.principal, call.database, selection, after=events[-1], limit=LINES)


def _selection(call: Call) -> AuditSelection:
    conditions = tuple(_condition(name, call.query[name]) for name in AUDIT_EVENTS if call.query.get(name))
    return AuditSelection(Combination(Group.AND, conditions), call.query.get("since"), call.query.get("until"))


def _condition(field: str, values: list[Any]) -> Condition:
    """One value is asked for as such: the rows of the index it leads to are in order."""
    if len(values) == 1:
        return Condition(field, Operator.EQ, values[0])
    return Condition(field, Operator.IN, tuple(values))
