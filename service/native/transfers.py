"""Flow versions as signed files under /api/v1."""

from __future__ import annotations

from core.domain.etags import render_etag
from core.operations import transfers
from schemas.patchworks import SHOWN_FLOW
from service.calls import Answer, Call


async def export_version(call: Call) -> Answer:
    """Two exports of one version differ in who asked when, and their artifacts do not."""
    version_id = call.integer_id("version")
    made = await transfers.export_version(
        call.principal,
        call.database,
        call.integer_id("flow"),
        version_id,
        instance=call.service.settings.public_url,
    )
    return Answer(200, made.file, {"Content-Disposition": f'attachment; filename="flow-version-{version_id}.json"'})


async def import_flow(call: Call) -> Answer:
    shown = await transfers.import_flow(call.principal, call.database, call.raw_body, SHOWN_FLOW)
    return Answer(200, b'{"data":' + shown.text + b"}", {"ETag": render_etag(shown.revision)})
