"""What Losant's clients say and are told of runs: sums by interval, errors, a log, and the press of a virtual button.

Source: Losant's endpoint table and its published schemas flowStats, flowErrors, flowLog and virtualButtonPress.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from marshmallow import ValidationError, fields

from core.domain.identifiers import hex_id
from core.domain.tallies import MOST_ENTRIES, EndedRun, Narrowed, RunError, Tally, Window
from core.domain.versions import DEVELOP, MOST_NAME
from schemas.fields import Anything, Body, Count, HexId, Query, Text, Word
from schemas.lists import DIRECTIONS
from schemas.moments import EARLIEST, LATEST

MOST_BUTTON = 1_024
"""Characters of a trigger's key; none has more."""

DAY = 86_400_000
HOUR = 3_600_000

LONGEST = 100 * 366 * DAY
"""Milliseconds. Runs are kept for two years at most, so nobody means more."""

LAST = (LATEST - EARLIEST) // timedelta(milliseconds=1) - 1

_DIGITS = re.compile(r"[0-9]{1,15}", re.ASCII)


class Milliseconds(fields.Field[int]):
    """A whole number of milliseconds in a query string, in ASCII digits, within bounds: of a length, or since 1970."""

    def __init__(self, *, least: int, most: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.least, self.most = least, most

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        if not _DIGITS.fullmatch(str(value)) or not self.least <= int(value) <= self.most:
            raise ValidationError(f"must be a whole number of milliseconds from {self.least} to {self.most}")
        return int(value)


class PeriodQuery(Query):
    """An `end` of 0 is now. No run here is of a device, so a `device_id` leaves none."""

    duration = Milliseconds(least=1, most=LONGEST, load_default=DAY)
    end = Milliseconds(least=0, most=LAST, load_default=0)
    device_id = HexId(data_key="deviceId")


class VersionStatsQuery(PeriodQuery):
    resolution = Milliseconds(least=1, most=LONGEST, load_default=HOUR)


class VersionErrorsQuery(PeriodQuery):
    limit = Count(least=1, most=MOST_ENTRIES, load_default=25)
    sort_direction = Word(*DIRECTIONS, load_default="desc", data_key="sortDirection")


class LogQuery(Query):
    limit = Count(least=1, most=MOST_ENTRIES, load_default=1)
    since = Milliseconds(least=0, most=LAST, load_default=0)


class FlowStatsQuery(VersionStatsQuery):
    flow_version = Text(least=1, most=MOST_NAME, data_key="flowVersion")


class FlowErrorsQuery(VersionErrorsQuery):
    flow_version = Text(least=1, most=MOST_NAME, data_key="flowVersion")


class VirtualButtonPress(Body):
    """`meta` is taken and goes nowhere: no source says what it is for."""

    key = Text(most=MOST_BUTTON, required=True)
    payload = Anything(allow_none=True)
    meta = Anything(allow_none=True)
    flow_version = Text(least=1, most=MOST_NAME, data_key="flowVersion")
    device_id = HexId(data_key="deviceId")
    deployment_id = HexId(data_key="deploymentId")


def instant_of(milliseconds: int) -> datetime:
    return EARLIEST + timedelta(milliseconds=milliseconds)


def render_stats(
    narrowed: Narrowed, window: Window, tallies: Sequence[Tally], asked: Mapping[str, Any]
) -> dict[str, Any]:
    """`asked` are the parameters."""
    metrics = [_tallied(tally.at, tally.runs, tally.completed, tally.failed, tally.took) for tally in tallies]
    return {**_narrowed(narrowed, window, asked), "resolution": asked["resolution"], "metrics": metrics}


def render_errors(
    narrowed: Narrowed, window: Window, errors: Sequence[RunError], asked: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        **_narrowed(narrowed, window, asked),
        "limit": asked["limit"],
        "sortDirection": asked["sort_direction"] or "desc",
        "errors": [_error(error) for error in errors],
    }


def render_log(runs: Sequence[tuple[EndedRun, Sequence[RunError]]]) -> list[dict[str, Any]]:
    """An entry a run. What ran the develop content has its word for an id, as in Losant's own example."""
    return [
        {
            "flowVersionId": DEVELOP if run.version_name is None else hex_id(run.flow_version_id),
            **_tallied(run.finished_at, 1, int(run.has_completed), int(run.has_failed), run.took),
            "errors": [_error(error) for error in errors],
        }
        for run, errors in runs
    ]


def _narrowed(narrowed: Narrowed, window: Window, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What an answer repeats of what it was asked, as far as something was asked."""
    shown = {
        "flowVersion": narrowed.name,
        "flowVersionId": None if narrowed.version_id is None else hex_id(narrowed.version_id),
        "deviceId": asked.get("device_id"),
        "start": _dated(window.start),
        "end": _dated(window.end),
    }
    return {name: value for name, value in shown.items() if value is not None}


def _tallied(at: datetime, runs: int, completed: int, failed: int, took: timedelta) -> dict[str, Any]:
    wall = round(took.total_seconds() * 1_000)
    return {"time": _dated(at), "runCount": runs, "pathsCompleted": completed, "pathsFailed": failed, "wallTime": wall}


def _error(error: RunError) -> dict[str, Any]:
    """The time is when the run ended: a runner's own clock is no order."""
    run = error.run
    version = {"flowVersion": run.version_name, "flowVersionId": hex_id(run.flow_version_id)}
    node = {"nodeId": error.node_id, "nodeLabel": error.node_label}
    return {
        "time": _dated(run.finished_at),
        **({"flowVersion": DEVELOP} if run.version_name is None else version),
        **{name: value for name, value in node.items() if value is not None},
        "error": {"name": error.name, "message": error.message},
    }


def _dated(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
