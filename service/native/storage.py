"""What was deleted from a flow's storage, under /api/v1: seen and brought back."""

from __future__ import annotations

from core.operations import storage
from schemas.jobs import render_deleted_storage
from service.calls import Answer, Call
from service.native.paging import Paging


async def list_trash(call: Call) -> Answer:
    flow_id, asked = call.integer_id("flow"), Paging.of(call)
    found, total = await storage.list_deleted_storage(
        call.principal, call.database, flow_id, limit=asked.limit, offset=asked.offset
    )
    rows = [render_deleted_storage(deleted) for deleted in found]
    return asked.answer(call, f"/flows/{flow_id}/storage/trash", rows, total)


async def restore_entry(call: Call) -> Answer:
    restored = await storage.restore_storage(
        call.principal,
        call.database,
        call.integer_id("flow"),
        call.integer_id("entry"),
        keep=call.service.keep,
    )
    return Answer(200, {"data": {"keys_count": restored.keys_count, "replaced": restored.replaced}})
