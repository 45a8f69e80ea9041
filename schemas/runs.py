"""Runs: what a start may say, and how a run reads."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson

from core.domain.runs import Run
from schemas.fields import Anything, Body, microseconds


class StartPost(Body):
    """`payload` is whatever the runner is to get."""

    payload = Anything(allow_none=True)


def render_whole_run(run: Run) -> dict[str, Any]:
    """`data` of one run, with what its runner said."""
    said = {"result": run.result, "late_result": run.late_result}
    return render_run(run) | {name: text and orjson.loads(text) for name, text in said.items()}


def render_run(run: Run) -> dict[str, Any]:
    """A run in a list."""
    return {
        "id": run.id,
        "flow_id": run.flow_id,
        "flow_version_id": run.flow_version_id,
        "schedule_id": run.schedule_id,
        "scheduled_for": microseconds(run.scheduled_for),
        "trigger": run.trigger,
        "trigger_key": run.trigger_key,
        "status": run.status,
        "reason": run.reason,
        "message": run.message,
        "attempts": run.attempts,
        "started_at": microseconds(run.started_at),
        "finished_at": microseconds(run.finished_at),
        "duration_ms": milliseconds(run.duration),
        "lateness_ms": milliseconds(run.lateness),
        "digest": run.digest.hex(),
        "retry_of": run.retry_of,
        "dst_merged": run.dst_merged,
    }


def milliseconds(span: timedelta | None) -> int | None:
    return None if span is None else round(span.total_seconds() * 1_000)
