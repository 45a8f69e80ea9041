"""Losant's `flows` and `flow`."""

from __future__ import annotations

import orjson

from core.domain import languages
from core.domain.contents import DevelopChange, pick
from core.domain.etags import render_etag
from core.domain.flows import Flow, FlowChange, PaletteEntry
from core.domain.identifiers import hex_id, parse_hex_id
from core.operations import deletions, flows, versions
from core.operations.custom_nodes import list_palette
from schemas.custom_nodes import render_custom_node
from schemas.losant import joined, render_flow, render_page
from service.calls import Answer, Call
from service.dialects.losant.extras import custom_nodes_of, linker_of, links_of, version_template
from service.dialects.losant.lists import envelope_of, order_of, selection_of


def application_of(call: Call) -> int:
    return call.hex_id("applicationId")


def flow_of(call: Call) -> int:
    return call.hex_id("flowId")


async def list_flows(call: Call) -> Answer:
    application_id = application_of(call)
    selection = await selection_of(call, languages.FLOWS)
    found, total = await flows.list_flows(
        call.principal,
        call.database,
        application_id,
        selection,
        order_of(call),
        all_versions=call.query["all_versions"],
    )
    custom_nodes = await custom_nodes_of(call, flow_ids=[flow.id for flow in found])
    link = linker_of(call, "flow")
    envelope = envelope_of(call, len(found), total, applicationId=hex_id(application_id))
    if not call.query.get("query"):  # what a query has narrowed is of no single class
        envelope["flowClass"] = call.query["flow_class"]
    page = render_page(b",".join([joined(render_flow(flow), link(flow.id)) for flow in found]), **envelope)
    return Answer(200, joined(page, links_of(call, "flows"), custom_nodes))


async def list_namesakes(call: Call) -> Answer:
    """The versions of one name. `develop` and `default` name none."""
    application_id = application_of(call)
    selection = await selection_of(call, languages.NAMESAKES)
    found = await versions.show_namesakes(
        call.principal,
        call.database,
        application_id,
        call.query["version"],
        selection,
        order_of(call),
        version_template(call),
    )
    custom_nodes = await custom_nodes_of(call, version_ids=found.ids)
    envelope = envelope_of(call, len(found.ids), found.total, applicationId=hex_id(application_id))
    return Answer(200, joined(render_page(found.items, **envelope), links_of(call, "flowsByVersion"), custom_nodes))


async def read_palette(call: Call) -> Answer:
    """What a flow can use beside the nodes its runner knows: the application's own custom nodes."""
    found = await list_palette(call.principal, call.database, application_of(call))
    shown = {"customNodes": [render_custom_node(node) for node in found], "applicationId": hex_id(application_of(call))}
    return Answer(200, joined(orjson.dumps(shown), links_of(call, "palette")))


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
    return await _answer(call, 201, flow)


async def read_flow(call: Call) -> Answer:
    flow = await flows.read_flow(call.principal, call.database, application_of(call), flow_of(call))
    return await _answer(call, 200, flow)


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
    return await _answer(call, 200, flow)


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


async def _answer(call: Call, status: int, flow: Flow) -> Answer:
    """One flow with all it was asked for."""
    custom_nodes = await custom_nodes_of(call, flow_ids=[flow.id])
    shown = joined(render_flow(flow), links_of(call, "flow", flow.id), custom_nodes)
    return Answer(status, shown, {"ETag": render_etag(flow.revision)})


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
