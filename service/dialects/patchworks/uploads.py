"""`POST /api/v1/flow-versions/{flow_version}/upload`: a deployed version on its way to the marketplace."""

from __future__ import annotations

from core.operations import marketplace, uploads
from core.operations.uploads import UploadRequest
from schemas.marketplace import SHOWN_ITEM, is_true
from service.calls import Answer, Call
from service.keys import idempotency_key
from service.native.waited import queued, shown, succeeded_within

QUEUED = "The flow version will be uploaded to the marketplace."


async def upload_version(call: Call) -> Answer:
    """Answers at once, or with the item where the caller prefers to wait and it is there in time."""
    request = UploadRequest(
        call.integer_id("flow_version"),
        private=is_true(call.body.get("private", True)),
        public_shelf=call.service.settings.public_shelf,
    )
    public_id = await uploads.accept_upload(
        call.principal, call.database, request, public_id=call.service.terms.new_id(), key=idempotency_key(call)
    )
    call.service.hints.staged()
    outcome = await succeeded_within(call, public_id)
    if outcome is None:
        return queued(public_id, QUEUED)
    item = await marketplace.show_item(call.principal, call.database, int(str(outcome["item_id"])), SHOWN_ITEM)
    return shown(item, {"Location": f"/api/v1/jobs/{public_id}"})
