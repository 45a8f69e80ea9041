"""What the ledger says under /api/v1: runs, gaps, what is to come; and making up for what was missed."""

from __future__ import annotations

from typing import Any

from core.operations import ledger
from core.store.run_gaps import StoredGap
from schemas.fields import microseconds
from schemas.runs import render_run, render_whole_run
from schemas.schedules import render_calendar
from service.calls import Answer, Call
from service.dialects.patchworks.asking import listing_of
from service.native.paging import Paging

MOST_INSTANTS = 100
"""Instants of one gap that are written out; how many there are in all, it says."""


async def list_runs(call: Call) -> Answer:
    found, total = await ledger.list_runs(call.principal, call.database, listing_of(call))
    paging = Paging.of(call)
    return paging.answer(call, "/flow-runs", [render_run(run) for run in found], total)


async def read_run(call: Call) -> Answer:
    run = await ledger.read_run(call.principal, call.database, call.integer_id("run"))
    return Answer(200, {"data": render_whole_run(run)})


async def list_gaps(call: Call) -> Answer:
    schedule_id, asked = call.integer_id("schedule"), Paging.of(call)
    found, total = await ledger.list_gaps(
        call.principal, call.database, schedule_id, limit=asked.limit, offset=asked.offset
    )
    return asked.answer(call, f"/schedules/{schedule_id}/gaps", [_gap(gap) for gap in found], total)


async def show_calendar(call: Call) -> Answer:
    asked = (
        call.principal,
        call.database,
        call.integer_id("schedule"),
        call.query.get("start"),
        call.query["count"],
    )
    schedule, calendar, start, end = await ledger.show_calendar(*asked)
    return Answer(200, render_calendar(calendar, schedule.rules.timezone, start, end))


async def repair_schedule(call: Call) -> Answer:
    schedule_id = call.integer_id("schedule")
    repaired, left = await ledger.repair_schedule(call.principal, call.database, schedule_id)
    call.service.hints.staged()
    return Answer(202, {"data": {"schedule_id": schedule_id, "repaired": repaired, "left": left}})


def _gap(stored: StoredGap) -> dict[str, Any]:
    """`instants` has the first of them, `count` says how many there are; `until` is later than the last."""
    first, until, count, reason = stored.gap
    return {
        "id": stored.id,
        "schedule_id": stored.schedule_id,
        "flow_version_id": stored.flow_version_id,
        "from": microseconds(first),
        "until": microseconds(until),
        "count": count,
        "reason": reason,
        "cron_string": stored.cron_string,
        "timezone": stored.timezone,
        "instants": [microseconds(at) for at in stored.dues.instants(first, until, MOST_INSTANTS)],
        "created_at": microseconds(stored.created_at),
    }
