"""What was deleted from a flow's storage, under /api/v1: seen and brought back."""

from __future__ import annotations

from core.operations import storage
from schemas.jobs import MOST_PAGE, render_deleted_storage
from service.calls import Answer, Call
from service.dialects.patchworks.envelope import page


async def list_trash(call: Call) -> Answer:
    flow_id = call.integer_id("flow")
    number, per_page = call.query["page"], min(call.query["per_page"], MOST_PAGE)
    found, total = await storage.list_deleted_storage(
        call.principal, call.database, flow_id, limit=per_page, offset=(number - 1) * per_page
    )
    rows = [render_deleted_storage(deleted) for deleted in found]
    path = f"{call.service.settings.public_url}/api/v1/flows/{flow_id}/storage/trash"
    kept = {"per_page": str(per_page)}
    return page(rows, path=path, query=kept, number=number, per_page=per_page, total=total)


async def restore_entry(call: Call) -> Answer:
    restored = await storage.restore_storage(
        call.principal,
        call.database,
        call.integer_id("flow"),
        call.integer_id("entry"),
        keep=call.service.keep,
    )
    return Answer(200, {"data": {"keys_count": restored.keys_count, "replaced": restored.replaced}})
