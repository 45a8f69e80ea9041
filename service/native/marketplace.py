"""The marketplace under /api/v1: seen, downloaded, installed, taken back."""

from __future__ import annotations

from core.domain.etags import is_known
from core.operations import installs, marketplace
from core.operations.installs import InstallRequest
from schemas.marketplace import SHOWN_ITEM, render_entry
from service.calls import Answer, Call
from service.dialects.patchworks.asking import listing_of, page_of
from service.keys import idempotency_key
from service.native.paging import Paging
from service.native.waited import queued, shown, succeeded_within

QUEUED = "The flow will be installed, disabled and with a Draft."

FOR_GOOD = "private, max-age=31536000, immutable"
"""What an item holds never changes; who may see it can, so no cache that is shared keeps it."""


async def list_items(call: Call) -> Answer:
    page = await marketplace.show_items(call.visitor, call.database, listing_of(call), SHOWN_ITEM)
    return page_of(call, "/marketplace/flows", page)


async def read_item(call: Call) -> Answer:
    return shown(await marketplace.show_item(call.principal, call.database, call.integer_id("item"), SHOWN_ITEM))


async def list_versions(call: Call) -> Answer:
    item_id, asked = call.integer_id("item"), Paging.of(call)
    page = await marketplace.show_item_versions(
        call.principal, call.database, item_id, SHOWN_ITEM, limit=asked.limit, offset=asked.offset
    )
    return page_of(call, f"/marketplace/flows/{item_id}/versions", page)


async def download_artifact(call: Call) -> Answer:
    """The signed file, byte for byte; its ETag is the artifact's digest."""
    header = call.headers.get("If-None-Match")
    file = await marketplace.read_file(
        call.principal,
        call.database,
        call.integer_id("item"),
        is_known=lambda digest: is_known(header, f'"{digest.hex()}"'),
    )
    headers = {"ETag": f'"{file.digest.hex()}"', "Cache-Control": FOR_GOOD}
    return Answer(304, b"", headers) if file.content is None else Answer(200, file.content, headers)


async def install_item(call: Call) -> Answer:
    request = InstallRequest(call.integer_id("item"), call.body.get("name"), call.body.get("force", False))
    public_id = await installs.accept_install(
        call.principal, call.database, request, public_id=call.service.terms.new_id(), key=idempotency_key(call)
    )
    call.service.hints.staged()
    outcome = await succeeded_within(call, public_id)
    if outcome is None:
        return queued(public_id, QUEUED)
    return Answer(200, {"data": dict(outcome)}, {"Location": f"/api/v1/jobs/{public_id}"})


async def yank_item(call: Call) -> Answer:
    item_id = call.integer_id("item")
    await marketplace.yank_item(call.principal, call.database, item_id, call.body["reason"])
    return shown(await marketplace.show_item(call.principal, call.database, item_id, SHOWN_ITEM))


async def list_log(call: Call) -> Answer:
    """The newest entry of a company is the signed head of its log."""
    asked = Paging.of(call)
    found, total = await marketplace.list_log(
        call.principal,
        call.database,
        call.query.get("filter_company_id") or None,
        limit=asked.limit,
        offset=asked.offset,
    )
    rows = [render_entry(entry) for entry in found]
    return asked.answer(call, "/marketplace/log", rows, total)
