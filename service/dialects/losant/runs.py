"""What Losant's `flow` and `flowVersion` tell of runs, and its virtual button."""

from __future__ import annotations

from datetime import timedelta

from core.domain.errors import Invalid
from core.domain.runs import JSON_TYPE, check_payload
from core.domain.tallies import Whose
from core.operations import starts, tallies
from core.operations.starts import Press
from core.operations.tallies import Period
from core.store.starts import Payload
from schemas.tallies import instant_of, render_errors, render_log, render_stats
from service.calls import Answer, Call
from service.dialects.losant.flows import flow_of
from service.dialects.losant.versions import version_of
from service.keys import idempotency_key


async def read_flow_stats(call: Call) -> Answer:
    return await _stats(call, _of_flow(call))


async def read_version_stats(call: Call) -> Answer:
    return await _stats(call, _of_version(call))


async def list_flow_errors(call: Call) -> Answer:
    return await _errors(call, _of_flow(call))


async def list_version_errors(call: Call) -> Answer:
    return await _errors(call, _of_version(call))


async def list_flow_log(call: Call) -> Answer:
    return await _log(call, _of_flow(call))


async def list_version_log(call: Call) -> Answer:
    return await _log(call, _of_version(call))


async def press_button(call: Call) -> Answer:
    """Starts a run, which `Location` names. There are no devices to press a button on."""
    for name, key in (("deviceId", "device_id"), ("deploymentId", "deployment_id")):
        if key in call.body:
            raise Invalid("there are no devices here; a press starts a run by the flow's runner", name)
    run = await starts.press_button(
        call.principal,
        call.database,
        Press(flow_of(call), call.body["key"], call.body.get("flow_version"), _payload(call)),
        new_id=call.service.terms.new_id,
        key=idempotency_key(call),
    )
    call.service.hints.staged()
    return Answer(200, {"success": True}, {"Location": f"/api/v1/flow-runs/{run.id}"})


def _payload(call: Call) -> Payload | None:
    """As it was written."""
    text = call.document.texts.get("payload")
    if text is None:
        return None
    check_payload(text.encode())
    return Payload(text.encode(), JSON_TYPE)


def _of_flow(call: Call) -> Whose:
    return Whose(flow_of(call), call.query.get("flow_version"), of_device="device_id" in call.query)


def _of_version(call: Call) -> Whose:
    return Whose(flow_of(call), version_of(call), must_be=True, of_device="device_id" in call.query)


def _period(call: Call) -> Period:
    end = call.query["end"]
    return Period(timedelta(milliseconds=call.query["duration"]), instant_of(end) if end else None)


async def _stats(call: Call, whose: Whose) -> Answer:
    resolution = timedelta(milliseconds=call.query["resolution"])
    asked = (call.principal, call.database, whose, _period(call), resolution)
    return Answer(200, render_stats(*await tallies.sum_runs(*asked), call.query))


async def _errors(call: Call, whose: Whose) -> Answer:
    found = await tallies.list_errors(
        call.principal,
        call.database,
        whose,
        _period(call),
        descending=call.query["sort_direction"].lower() != "asc",
        limit=call.query["limit"],
    )
    return Answer(200, render_errors(*found, call.query))


async def _log(call: Call, whose: Whose) -> Answer:
    since, limit = instant_of(call.query["since"]), call.query["limit"]
    return Answer(
        200, render_log(await tallies.list_log(call.principal, call.database, whose, since=since, limit=limit))
    )
