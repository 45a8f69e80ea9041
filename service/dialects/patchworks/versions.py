"""Patchworks' flow versions, the Draft among them."""

from __future__ import annotations

import orjson

from core.domain.etags import render_etag
from core.operations import lifecycle
from core.operations.shown import Shown
from schemas.moments import parse_moment
from schemas.patchworks import SHOWN_FLOW_VERSION
from service.calls import Answer, Call
from service.dialects.patchworks.along import versions_along
from service.dialects.patchworks.asking import is_special, listing_of, page_of, rows_of

DELETED = "The flow version was deleted."


async def list_versions(call: Call) -> Answer:
    flow_id, path = call.integer_id("flow"), f"/flows/{call.integer_id('flow')}/versions"
    page = await lifecycle.show_flow_versions(
        call.visitor, call.database, flow_id, listing_of(call), SHOWN_FLOW_VERSION
    )
    return page_of(call, path, page, await versions_along(call, rows_of(page)) if is_special(call) else None)


async def create_version(call: Call) -> Answer:
    """An empty Draft, for a flow that has none."""
    asked = (call.principal, call.database, call.integer_id("flow"))
    return _answer(await lifecycle.create_draft(*asked, SHOWN_FLOW_VERSION))


async def read_version(call: Call) -> Answer:
    shown = await lifecycle.show_flow_version(call.visitor, call.database, *_place(call), SHOWN_FLOW_VERSION)
    if not is_special(call):
        return _answer(shown)
    (version,) = await versions_along(call, [orjson.loads(shown.text)])
    return Answer(200, {"data": version}, {"ETag": render_etag(shown.revision)})


async def change_version(call: Call) -> Answer:
    """`deployed_at` deploys, now or then, and null undeploys. Without it nothing changes."""
    asked = (call.principal, call.database, *_place(call))
    if "deployed_at" not in call.body:
        return _answer(await lifecycle.keep_deployment(*asked, SHOWN_FLOW_VERSION, etag=call.if_match))
    at = call.body["deployed_at"]
    instant = None if at is None else parse_moment(at)
    return _answer(await lifecycle.set_deployment(*asked, instant, SHOWN_FLOW_VERSION, etag=call.if_match))


async def delete_version(call: Call) -> Answer:
    await lifecycle.remove_version(
        call.principal, call.database, *_place(call), keep=call.service.keep, etag=call.if_match
    )
    return Answer(200, {"message": DELETED})


async def copy_version(call: Call) -> Answer:
    """Answers with the new Draft."""
    return _answer(
        await lifecycle.copy_version(
            call.principal,
            call.database,
            *_place(call),
            SHOWN_FLOW_VERSION,
            keep=call.service.keep,
            etag=call.if_match,
        )
    )


def _place(call: Call) -> tuple[int, int]:
    return call.integer_id("flow"), call.integer_id("version")


def _answer(shown: Shown) -> Answer:
    return Answer(200, b'{"data":' + shown.text + b"}", {"ETag": render_etag(shown.revision)})
