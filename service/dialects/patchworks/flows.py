"""Patchworks' flows: those of the whole company, whatever application they are in."""

from __future__ import annotations

from typing import Any

from core.domain.addresses import check_callback_url
from core.domain.etags import render_etag
from core.domain.flows import FlowChange, Running
from core.operations import catalogue, deletions, flows
from core.operations.catalogue import Along, Entry
from core.operations.shown import Shown
from schemas.patchworks import SHOWN_FLOW, chosen, render_flow, render_version
from service.calls import Answer, Call
from service.dialects.patchworks.asking import listing_of, page_of

DELETED = "The flow was deleted; a job removes its versions."

CLEARABLE = ("description", "runner_url")
"""What null takes away."""


async def list_flows(call: Call) -> Answer:
    found, total = await catalogue.list_company_flows(call.principal, call.database, listing_of(call), _along(call))
    return page_of(call, "/flows", [_entry(call, entry) for entry in found], total)


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
    entry = await catalogue.read_company_flow(call.principal, call.database, call.integer_id("flow"), _along(call))
    return Answer(200, {"data": _entry(call, entry)}, {"ETag": render_etag(entry.flow.revision)})


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


def _along(call: Call) -> Along:
    asked = call.query["include"]
    return Along(
        versions="versions" in asked,
        latest="latestVersion" in asked,
        deployed="deployedVersion" in asked,
        versions_count="versions_count" in asked,
        versions_exist="versionsExists" in asked or "latestVersionExists" in asked,
    )


def _entry(call: Call, entry: Entry) -> dict[str, Any]:
    """A flow with what was asked for along with it; each include has its key in `_INCLUDED`."""
    fields = call.query["version_fields"]
    along: dict[str, Any] = {
        "versions": lambda: [chosen(render_version(version), fields) for version in entry.versions],
        "latestVersion": lambda: entry.latest and chosen(render_version(entry.latest), fields),
        "deployedVersion": lambda: entry.deployed and chosen(render_version(entry.deployed), fields),
        "versions_count": lambda: entry.versions_count,
        "versionsExists": lambda: entry.has_versions,
        "latestVersionExists": lambda: entry.has_versions,
        "deployedVersionExists": lambda: entry.flow.deployed_version_id is not None,
    }
    shown = chosen(render_flow(entry.flow), call.query["flow_fields"])
    return shown | {_INCLUDED[name]: along[name]() for name in call.query["include"]}


_INCLUDED = {
    "versions": "versions",
    "latestVersion": "latest_version",
    "deployedVersion": "deployed_version",
    "versions_count": "versions_count",
    "versionsExists": "versions_exists",
    "latestVersionExists": "latest_version_exists",
    "deployedVersionExists": "deployed_version_exists",
}
