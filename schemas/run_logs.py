"""Lines of a run's log as they are read."""

from __future__ import annotations

from typing import Any

import orjson

from core.domain.dispatch import KeptLine
from schemas.fields import microseconds


def render_line(line: KeptLine) -> dict[str, Any]:
    """`logged_at` is by the runner's clock; `details` are as they were sent."""
    return {
        "id": line.id,
        "received_at": microseconds(line.received_at),
        "logged_at": microseconds(line.logged_at),
        "level": line.level,
        "message": line.message,
        "details": None if line.details is None else orjson.Fragment(line.details),
    }
