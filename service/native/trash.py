"""A flow's trash under /api/v1: single deletions and replaced contents, seen and brought back."""

from __future__ import annotations

from core.domain.identifiers import hex_id
from core.operations import undo
from schemas.jobs import MOST_PAGE, render_entry
from service.calls import Answer, Call
from service.dialects.patchworks.envelope import page


async def list_trash(call: Call) -> Answer:
    flow_id = call.integer_id("flow")
    number, per_page = call.query["page"], min(call.query["per_page"], MOST_PAGE)
    found, total = await undo.list_trash(
        call.principal, call.database, flow_id, limit=per_page, offset=(number - 1) * per_page
    )
    rows = [render_entry(entry) for entry in found]
    path = f"{call.service.settings.public_url}/api/v1/flows/{flow_id}/trash"
    kept = {"per_page": str(per_page)}
    return page(rows, path=path, query=kept, number=number, per_page=per_page, total=total)


async def restore_entry(call: Call) -> Answer:
    version_id = await undo.restore_entry(
        call.principal,
        call.database,
        call.integer_id("flow"),
        call.integer_id("entry"),
        call.service.terms,
    )
    return Answer(200, {"data": {"version_id": version_id, "hex_id": hex_id(version_id)}})
