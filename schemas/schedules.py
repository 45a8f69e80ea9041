"""Schedules of versions: what is sent, what is returned."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from marshmallow import ValidationError

from core.domain.cron import parse_cron
from core.domain.errors import Invalid
from core.domain.schedules import Calendar, CalendarEntry
from core.domain.stored_schedules import (
    MOST_CATCHUP_SECONDS,
    MOST_PAUSE_REASON,
    UTC_NAME,
    OverlapPolicy,
    StoredSchedule,
)
from core.domain.zones import MOST_ZONE_CHARACTERS, ZONE_DATA_VERSION
from schemas.fields import Body, Flag, Judged, Text, Word, microseconds
from schemas.moments import Moment, parse_moment
from schemas.shapes import Number

MOST_ENTRIES = 100
"""Instants of one preview: a day of quarters of an hour, two years of weeks."""

ENTRIES = 10

CRON_PATTERN = r"[ \t]*[0-9*,/-]+(?:[ \t]+[0-9*,/-]+){4}[ \t]*"
"""As far as a pattern can say it: the grammar says the rest, with the field and the character."""


class CronString(Judged[str]):
    """An expression of five fields. What is wrong with one is said with its field and character."""

    def check(self, value: Any) -> None:
        if not isinstance(value, str):
            raise ValidationError("must be a string")
        try:
            parse_cron(value, may_never_fire=True)
        except Invalid as refused:
            raise ValidationError(refused.problem) from None


class SchedulePut(Body):
    """What is left out stays as it is."""

    cron_string = CronString()
    deployed_at = Moment(allow_none=True)
    timezone = Text(least=1, most=MOST_ZONE_CHARACTERS)
    overlap_policy = Word(*OverlapPolicy)
    catchup_window_seconds = Number(whole=True, least=0, most=MOST_CATCHUP_SECONDS)
    paused = Flag()
    pause_reason = Text(most=MOST_PAUSE_REASON, allow_none=True)


class SchedulePost(SchedulePut):
    cron_string = CronString(required=True)


class SchedulePreviewPost(Body):
    """`from` is now where it is left out."""

    cron_string = CronString(required=True)
    timezone = Text(least=1, most=MOST_ZONE_CHARACTERS)
    from_ = Moment(data_key="from")
    count = Number(whole=True, least=1, most=MOST_ENTRIES)


def rules_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """What a body gives of a schedule's rules, by name and as the rules hold it."""
    given = dict(body)
    if given.get("deployed_at") is not None:
        given["deployed_at"] = parse_moment(given["deployed_at"])
    if "overlap_policy" in given:
        given["overlap_policy"] = OverlapPolicy(given["overlap_policy"])
    if "catchup_window_seconds" in given:
        given["catchup_window_seconds"] = int(given["catchup_window_seconds"])  # JSON may have written 600.0
    return given


def asked_of(body: Mapping[str, Any]) -> tuple[str, str, datetime | None, int]:
    """What a preview is asked for: the expression, the zone, from when on, and how many instants."""
    start = body.get("from_")
    return (
        body["cron_string"],
        body.get("timezone", UTC_NAME),
        None if start is None else parse_moment(start),
        int(body.get("count", ENTRIES)),
    )


def render_schedule(schedule: StoredSchedule) -> dict[str, Any]:
    rules = schedule.rules
    return {
        "id": schedule.id,
        "flow_version_id": schedule.flow_version_id,
        "cron_string": rules.cron_string,
        "timezone": rules.timezone,
        "overlap_policy": rules.overlap_policy,
        "catchup_window_seconds": rules.catchup_window_seconds,
        "paused": rules.paused,
        "pause_reason": rules.pause_reason,
        "deployed_at": microseconds(rules.deployed_at),
        "created_at": microseconds(schedule.created_at),
        "updated_at": microseconds(schedule.updated_at),
    }


def render_calendar(calendar: Calendar, zone_name: str, start: datetime, end: datetime) -> dict[str, Any]:
    """The body of a preview. Without `complete` there are more instants before `until`."""
    return {
        "data": [_entry(entry) for entry in calendar.entries],
        "meta": {
            "timezone": zone_name,
            "zone_data": ZONE_DATA_VERSION,
            "from": microseconds(start),
            "until": microseconds(end),
            "complete": calendar.complete,
            "warnings": [*calendar.warnings],
        },
    }


def _entry(entry: CalendarEntry) -> dict[str, Any]:
    """`nominal` has no zone: it is what the expression says, whether or not the clocks ever show it."""
    local = entry.local.isoformat(timespec="seconds")
    nominal = entry.nominal.isoformat(timespec="seconds")
    return {
        "nominal": nominal,
        "utc": microseconds(entry.instant),
        "local": local,
        "offset": local[len(nominal) :],
        "warnings": [*entry.warnings],
    }
