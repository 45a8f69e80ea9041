"""The schedules of a version: seen, made, changed, deleted, and shown in advance."""

from __future__ import annotations

from core.domain.etags import render_etag
from core.domain.stored_schedules import StoredSchedule
from core.operations import schedules
from schemas.schedules import asked_of, render_calendar, render_schedule, rules_of
from service.calls import Answer, Call
from service.native.paging import Paging


async def list_schedules(call: Call) -> Answer:
    version_id, asked = call.integer_id("flow_version"), Paging.of(call)
    found, total = await schedules.list_schedules(
        call.principal, call.database, version_id, limit=asked.limit, offset=asked.offset
    )
    rows = [render_schedule(schedule) for schedule in found]
    return asked.answer(call, f"/flow-versions/{version_id}/schedules", rows, total)


async def create_schedule(call: Call) -> Answer:
    made = await schedules.create_schedule(
        call.principal, call.database, call.integer_id("flow_version"), rules_of(call.body)
    )
    return _answer(made)


async def change_schedule(call: Call) -> Answer:
    changed = await schedules.change_schedule(
        call.principal,
        call.database,
        call.integer_id("flow_version"),
        call.integer_id("schedule"),
        rules_of(call.body),
        etag=call.if_match,
    )
    return _answer(changed)


async def delete_schedule(call: Call) -> Answer:
    await schedules.delete_schedule(
        call.principal,
        call.database,
        call.integer_id("flow_version"),
        call.integer_id("schedule"),
        etag=call.if_match,
    )
    return Answer(200, {"message": "The schedule was deleted."})


async def preview_schedule(call: Call) -> Answer:
    cron_string, zone_name, start, most = asked_of(call.body)
    calendar, start, end = await schedules.preview_schedule(call.database, cron_string, zone_name, start, most)
    return Answer(200, render_calendar(calendar, zone_name, start, end))


def _answer(schedule: StoredSchedule) -> Answer:
    return Answer(200, {"data": render_schedule(schedule)}, {"ETag": render_etag(schedule.revision)})
