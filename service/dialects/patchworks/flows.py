"""Patchworks' flows: those of the whole company, whatever application they are in."""

from __future__ import annotations

import orjson

from core.domain.addresses import check_callback_url
from core.domain.etags import render_etag
from core.domain.flows import FlowChange, Running
from core.operations import catalogue, deletions, flows
from core.operations.shown import Shown
from schemas.patchworks import SHOWN_FLOW
from service.calls import Answer, Call
from service.dialects.patchworks.along import flows_along
from service.dialects.patchworks.asking import is_special, listing_of, page_of, rows_of

DELETED = "The flow was deleted; a job removes its versions."

CLEARABLE = ("description", "runner_url")
"""What null takes away."""


async def list_flows(call: Call) -> Answer:
    page = await catalogue.show_company_flows(call.visitor, call.database, listing_of(call), SHOWN_FLOW)
    return page_of(call, "/flows", page, await flows_along(call, rows_of(page)) if is_special(call) else None)


async def create_flow(call: Call) -> Answer:
    shown = await catalogue.create_company_flow(
        call.principal,
        call.database,
        name=call.body["name"],
        description=call.body.get("description"),
        enabled=call.body.get("is_enabled", True),
        running=_running(call),
        template=SHOWN_FLOW,
    )
    return _answer(shown)


async def read_flow(call: Call) -> Answer:
    shown = await catalogue.show_company_flow(call.visitor, call.database, call.integer_id("flow"), SHOWN_FLOW)
    if not is_special(call):
        return _answer(shown)
    (flow,) = await flows_along(call, [orjson.loads(shown.text)])
    return Answer(200, {"data": flow}, {"ETag": render_etag(shown.revision)})


async def replace_flow(call: Call) -> Answer:
    """PUT changes what is given, and so does PATCH."""
    return await _change(call)


async def change_flow(call: Call) -> Answer:
    return await _change(call)


async def delete_flow(call: Call) -> Answer:
    """Answers at once: the flow is hidden, and a job removes what is left of it."""
    public_id = await deletions.accept_flow_deletion(
        call.principal,
        call.database,
        call.principal.application_id,
        call.integer_id("flow"),
        public_id=call.service.terms.new_id(),
        etag=call.if_match,
    )
    call.service.hints.staged()
    return Answer(200, {"message": DELETED}, {"Location": f"/api/v1/jobs/{public_id}"})


async def _change(call: Call) -> Answer:
    body = call.body
    change = FlowChange(
        name=body.get("name"),
        enabled=body.get("is_enabled"),
        description=body.get("description"),
        running=_running(call),
        cleared=frozenset(name for name in CLEARABLE if name in body and body[name] is None),
    )
    shown = await flows.change_flow(
        call.principal,
        call.database,
        call.principal.application_id,
        call.integer_id("flow"),
        change,
        SHOWN_FLOW,
        etag=call.if_match,
    )
    return _answer(shown)


def _answer(shown: Shown) -> Answer:
    return Answer(200, b'{"data":' + shown.text + b"}", {"ETag": render_etag(shown.revision)})


def _running(call: Call) -> Running:
    """Whole numbers may have been written as 3.0."""
    body, url = call.body, call.body.get("runner_url")
    priority, seconds = body.get("flow_priority"), body.get("run_timeout_seconds")
    return Running(
        None if url is None else check_callback_url(url, "runner_url"),
        None if priority is None else int(priority),
        None if seconds is None else int(seconds),
    )
