"""Patchworks' flow versions, the Draft among them."""

from __future__ import annotations

from core.domain.etags import render_etag
from core.domain.versions import VersionView
from core.operations import lifecycle
from schemas.moments import parse_moment
from schemas.patchworks import chosen, render_version
from service.calls import Answer, Call
from service.dialects.patchworks.asking import listing_of, page_of

DELETED = "The flow version was deleted."


async def list_versions(call: Call) -> Answer:
    flow_id = call.integer_id("flow")
    found, total = await lifecycle.list_flow_versions(call.principal, call.database, flow_id, listing_of(call))
    rows = [chosen(render_version(version), call.query["version_fields"]) for version in found]
    return page_of(call, f"/flows/{flow_id}/versions", rows, total)


async def create_version(call: Call) -> Answer:
    """An empty Draft, for a flow that has none."""
    return _answer(await lifecycle.create_draft(call.principal, call.database, call.integer_id("flow")))


async def read_version(call: Call) -> Answer:
    version = await lifecycle.read_flow_version(call.principal, call.database, *_place(call))
    shown = chosen(render_version(version), call.query["version_fields"])
    return Answer(200, {"data": shown}, {"ETag": render_etag(version.revision)})


async def change_version(call: Call) -> Answer:
    """`deployed_at` deploys, now or then, and null undeploys. Without it nothing changes."""
    asked = (call.principal, call.database, *_place(call))
    if "deployed_at" not in call.body:
        version = await lifecycle.read_flow_version(*asked)
        call.if_match.require(version.revision)
        return _answer(version)
    at = call.body["deployed_at"]
    return _answer(await lifecycle.set_deployment(*asked, None if at is None else parse_moment(at), etag=call.if_match))


async def delete_version(call: Call) -> Answer:
    await lifecycle.remove_version(
        call.principal, call.database, *_place(call), keep=call.service.keep, etag=call.if_match
    )
    return Answer(200, {"message": DELETED})


async def copy_version(call: Call) -> Answer:
    """Answers with the new Draft."""
    return _answer(
        await lifecycle.copy_version(
            call.principal, call.database, *_place(call), keep=call.service.keep, etag=call.if_match
        )
    )


def _place(call: Call) -> tuple[int, int]:
    return call.integer_id("flow"), call.integer_id("version")


def _answer(version: VersionView) -> Answer:
    return Answer(200, {"data": render_version(version)}, {"ETag": render_etag(version.revision)})
