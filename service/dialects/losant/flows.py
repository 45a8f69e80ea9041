"""Losant's `flows` and `flow`."""

from __future__ import annotations

import orjson

from core.domain import languages
from core.domain.contents import DevelopChange, pick
from core.domain.etags import render_etag
from core.domain.flows import FlowChange, PaletteEntry
from core.domain.identifiers import hex_id, parse_hex_id
from core.operations import deletions, flows, versions
from core.operations.custom_nodes import list_palette
from core.operations.shown import Shown
from schemas.custom_nodes import render_custom_node
from schemas.losant import joined, render_page
from service.calls import Answer, Call
from service.dialects.losant.extras import custom_nodes_of, flow_template, links_of, version_template
from service.dialects.losant.lists import envelope_of, order_of, selection_of


def application_of(call: Call) -> int:
    return call.hex_id("applicationId")


def flow_of(call: Call) -> int:
    return call.hex_id("flowId")


async def list_flows(call: Call) -> Answer:
    selection = await selection_of(call, languages.FLOWS)
    found = await flows.show_flows(
        call.claim,
        call.database,
        selection,
        order_of(call),
        flow_template(call),
        all_versions=call.query["all_versions"],
    )
    custom_nodes = await custom_nodes_of(call, flow_ids=found.ids)
    envelope = envelope_of(call, len(found.ids), found.total, applicationId=hex_id(application_of(call)))
    if not call.query.get("query"):  # what a query has narrowed is of no single class
        envelope["flowClass"] = call.query["flow_class"]
    return Answer(200, joined(render_page(found.items, **envelope), links_of(call, "flows"), custom_nodes))


async def list_namesakes(call: Call) -> Answer:
    """The versions of one name. `develop` and `default` name none."""
    selection = await selection_of(call, languages.NAMESAKES)
    found = await versions.show_namesakes(
        call.claim, call.database, call.query["version"], selection, order_of(call), version_template(call)
    )
    custom_nodes = await custom_nodes_of(call, version_ids=found.ids)
    envelope = envelope_of(call, len(found.ids), found.total, applicationId=hex_id(application_of(call)))
    return Answer(200, joined(render_page(found.items, **envelope), links_of(call, "flowsByVersion"), custom_nodes))


async def read_palette(call: Call) -> Answer:
    """What a flow can use beside the nodes its runner knows: the application's own custom nodes."""
    found = await list_palette(call.claim, call.database)
    shown = {"customNodes": [render_custom_node(node) for node in found], "applicationId": hex_id(application_of(call))}
    return Answer(200, joined(orjson.dumps(shown), links_of(call, "palette")))


async def create_flow(call: Call) -> Answer:
    shown = await flows.create_flow(
        call.principal,
        call.database,
        application_of(call),
        name=call.body["name"],
        description=call.body.get("description"),
        flow_class=call.body.get("flow_class", "cloud"),
        enabled=call.body.get("enabled", True),
        template=flow_template(call),
        palette=_palette(call),
        custom_node_supports=call.body.get("custom_node_supports"),
        develop=_develop(call),
    )
    return await _answer(call, 201, shown)


async def read_flow(call: Call) -> Answer:
    shown = await flows.show_flow(call.claim, call.database, flow_of(call), flow_template(call))
    return await _answer(call, 200, shown)


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
    shown = await flows.change_flow(
        call.principal,
        call.database,
        application_of(call),
        flow_of(call),
        change,
        flow_template(call),
        etag=call.if_match,
    )
    return await _answer(call, 200, shown)


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


async def _answer(call: Call, status: int, shown: Shown) -> Answer:
    """One flow with all it was asked for."""
    custom_nodes = await custom_nodes_of(call, flow_ids=[shown.id])
    return Answer(status, joined(shown.text, custom_nodes), {"ETag": render_etag(shown.revision)})


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
