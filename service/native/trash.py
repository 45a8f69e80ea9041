"""A flow's trash under /api/v1: single deletions and replaced contents, seen and brought back."""

from __future__ import annotations

from core.domain.identifiers import hex_id
from core.operations import undo
from schemas.jobs import render_entry
from service.calls import Answer, Call
from service.native.paging import Paging


async def list_trash(call: Call) -> Answer:
    flow_id, asked = call.integer_id("flow"), Paging.of(call)
    found, total = await undo.list_trash(call.principal, call.database, flow_id, limit=asked.limit, offset=asked.offset)
    return asked.answer(call, f"/flows/{flow_id}/trash", [render_entry(entry) for entry in found], total)


async def restore_entry(call: Call) -> Answer:
    version_id = await undo.restore_entry(
        call.principal,
        call.database,
        call.integer_id("flow"),
        call.integer_id("entry"),
        call.service.terms,
    )
    return Answer(200, {"data": {"version_id": version_id, "hex_id": hex_id(version_id)}})
