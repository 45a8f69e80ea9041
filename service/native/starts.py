"""Runs that somebody asks for under /api/v1: started, run again, stopped; and what runners say of them."""

from __future__ import annotations

from core.domain.documents import parse_json
from core.domain.errors import Invalid
from core.domain.runs import JSON_TYPE, Run, check_payload
from core.operations import starts
from core.operations.starts import Start
from core.store.starts import Payload
from core.threads import computed
from schemas.reports import report_of
from schemas.run_logs import render_line
from schemas.runs import render_whole_run
from service.calls import Answer, Call
from service.keys import idempotency_key
from service.native.paging import Paging

_LONGEST_TYPE = 255


async def start_flow(call: Call) -> Answer:
    """The deployed version. `payload` goes to the runner as it was written."""
    return await _start(call, _given(call), None)


async def start_version(call: Call) -> Answer:
    """Any version, the Draft included."""
    return await _start(call, _given(call), call.integer_id("version"))


async def start_flow_raw(call: Call) -> Answer:
    """The deployed version, with the body itself as the payload: JSON, or a text of any other kind."""
    return await _start(call, await _raw(call), None)


async def start_version_raw(call: Call) -> Answer:
    return await _start(call, await _raw(call), call.integer_id("version"))


async def retry_run(call: Call) -> Answer:
    run = await starts.retry_run(
        call.principal,
        call.database,
        call.integer_id("run"),
        new_id=call.service.terms.new_id,
        key=idempotency_key(call),
    )
    return _begun(call, run)


async def stop_run(call: Call) -> Answer:
    run = await starts.stop_run(call.principal, call.database, call.integer_id("run"), new_id=call.service.terms.new_id)
    call.service.hints.staged()
    return Answer(200, {"data": render_whole_run(run)})


async def report_run(call: Call) -> Answer:
    """The run as it is afterwards: one that had ended before is as it was."""
    run = await starts.report_run(call.principal, call.database, call.integer_id("run"), report_of(call.body))
    call.service.hints.staged()  # what waited for its end may begin
    return Answer(200, {"data": render_whole_run(run)})


async def list_run_logs(call: Call) -> Answer:
    run_id, asked = call.integer_id("run"), Paging.of(call)
    found, total = await starts.list_run_logs(
        call.principal, call.database, run_id, limit=asked.limit, offset=asked.offset
    )
    return asked.answer(call, f"/flow-runs/{run_id}/flow-run-logs", [render_line(line) for line in found], total)


async def _start(call: Call, payload: Payload | None, version_id: int | None) -> Answer:
    run = await starts.start_run(
        call.principal,
        call.database,
        Start(call.integer_id("flow"), version_id, payload),
        new_id=call.service.terms.new_id,
        key=idempotency_key(call),
    )
    return _begun(call, run)


def _begun(call: Call, run: Run) -> Answer:
    call.service.hints.staged()
    return Answer(202, {"data": render_whole_run(run)}, {"Location": f"/api/v1/flow-runs/{run.id}"})


def _given(call: Call) -> Payload | None:
    text = call.document.texts.get("payload")
    if text is None:
        return None
    check_payload(text.encode())
    return Payload(text.encode(), JSON_TYPE)


async def _raw(call: Call) -> Payload | None:
    raw, kind = call.raw_body, call.headers.get("Content-Type", JSON_TYPE)
    return await computed(len(raw), lambda: _payload(raw, kind))


def _payload(raw: bytes, content_type: str) -> Payload | None:
    """Raises Invalid for what is neither JSON, where it says so, nor text; TooLarge."""
    if not raw:
        return None
    kind = content_type.partition(";")[0].strip().lower()[:_LONGEST_TYPE]
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise Invalid("the body must be UTF-8") from None
    if "\0" in text:
        raise Invalid("the body must not contain NUL")
    if kind == JSON_TYPE:
        parse_json(text, "payload")
    check_payload(raw)
    return Payload(raw, kind)
