"""Losant's `flows` and `flow`."""

from __future__ import annotations

from core.domain.contents import DevelopChange, pick
from core.domain.etags import render_etag
from core.domain.flows import FlowChange, PaletteEntry
from core.domain.identifiers import hex_id, parse_hex_id
from core.operations import deletions, flows
from schemas.losant import render_flow, render_page
from service.calls import Answer, Call


def application_of(call: Call) -> int:
    return call.hex_id("applicationId")


def flow_of(call: Call) -> int:
    return call.hex_id("flowId")


async def list_flows(call: Call) -> Answer:
    page, per_page = call.query["page"], call.query["per_page"]
    found, total = await flows.list_flows(
        call.principal, call.database, application_of(call), page=page, per_page=per_page
    )
    body = render_page(
        b",".join([render_flow(flow) for flow in found]),
        count=len(found),
        totalCount=total,
        perPage=per_page,
        page=page,
        sortField="name",
        sortDirection="asc",
        applicationId=hex_id(application_of(call)),
    )
    return Answer(200, body)


async def create_flow(call: Call) -> Answer:
    flow = await flows.create_flow(
        call.principal,
        call.database,
        application_of(call),
        name=call.body["name"],
        description=call.body.get("description"),
        flow_class=call.body.get("flow_class", "cloud"),
        enabled=call.body.get("enabled", True),
        palette=_palette(call),
        custom_node_supports=call.body.get("custom_node_supports"),
        develop=_develop(call),
    )
    return Answer(201, render_flow(flow), {"ETag": render_etag(flow.revision)})


async def read_flow(call: Call) -> Answer:
    flow = await flows.read_flow(call.principal, call.database, application_of(call), flow_of(call))
    return Answer(200, render_flow(flow), {"ETag": render_etag(flow.revision)})


async def change_flow(call: Call) -> Answer:
    """`defaultVersionId` deploys, null undeploys; an id that cannot exist is as unknown as any other."""
    default = call.body.get("default_version_id")
    change = FlowChange(
        name=call.body.get("name"),
        enabled=call.body.get("enabled"),
        description=call.body.get("description"),
        deploy=None if default is None else parse_hex_id(default) or 0,
        undeploy="default_version_id" in call.body and default is None,
        palette=_palette(call),
        develop=_develop(call),
    )
    flow = await flows.change_flow(
        call.principal, call.database, application_of(call), flow_of(call), change, etag=call.if_match
    )
    return Answer(200, render_flow(flow), {"ETag": render_etag(flow.revision)})


async def delete_flow(call: Call) -> Answer:
    """Answers at once: the flow is hidden, and a job removes what is left of it."""
    public_id = await deletions.accept_flow_deletion(
        call.principal,
        call.database,
        application_of(call),
        flow_of(call),
        public_id=call.service.terms.new_id(),
        etag=call.if_match,
    )
    call.service.hints.staged()
    return Answer(200, {"success": True}, {"Location": f"/api/v1/jobs/{public_id}"})


def _palette(call: Call) -> PaletteEntry:
    """An icon of null takes the icon back."""
    body = call.body
    icon = (body["icon_data"] or "") if "icon_data" in body else None
    return PaletteEntry(body.get("short_description"), icon, body.get("docs_url"), body.get("category"))


def _develop(call: Call) -> DevelopChange | None:
    """What the request says about develop; None if it says nothing."""
    given = pick(call.document)
    if not given.value:
        return None
    return DevelopChange(given, len(call.raw_body), strict=call.query["strict"], keep=call.service.keep)
