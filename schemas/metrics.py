"""Version metrics as they read."""

from __future__ import annotations

from typing import Any

from core.domain.metrics import Metric
from schemas.fields import microseconds

MOST_WHOLE = 2**53
"""Beyond it not every whole number is a double, and those who read JSON make doubles of its numbers."""


def render_metric(metric: Metric) -> dict[str, Any]:
    """One number. Milliseconds and bytes of durations and payloads; whole ones without a fraction."""
    whole = float(metric.value).is_integer() and abs(metric.value) < MOST_WHOLE
    return {
        "flow_version_id": metric.flow_version_id,
        "type": metric.type,
        "key": metric.key,
        "interval": metric.interval,
        "period_start": microseconds(metric.period_start),
        "value": int(metric.value) if whole else float(metric.value),
    }
