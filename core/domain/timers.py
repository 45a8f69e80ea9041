"""Timer triggers of a version's content, as far as they are due like schedules.

A timer says `seconds`, or `cron` and perhaps `tz`. Content is stored as it was sent, so there may be anything in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from core.domain.cron import parse_cron
from core.domain.errors import Invalid
from core.domain.stored_schedules import UTC_NAME
from core.domain.zones import load_zone

MOST_TIMER_SECONDS = 366 * 86_400
"""Whoever waits longer than a year between two runs has a cron expression for it."""


@dataclass(frozen=True, slots=True)
class Timer:
    """When a timer is due: by an expression in a zone, or every so many seconds."""

    key: str
    cron_string: str | None
    timezone: str
    every_seconds: int | None


def read_timer(key: str, seconds: float | None, cron: str | None, zone: str | None) -> Timer | None:
    """The timer that this configuration means, or None where that is nothing we understand.

    Seconds are rounded up to whole ones. Of both, the seconds count.
    """
    if seconds is not None:
        every = math.ceil(seconds) if math.isfinite(seconds) else 0
        return Timer(key, None, UTC_NAME, every) if 1 <= every <= MOST_TIMER_SECONDS else None
    if cron is None:
        return None
    try:
        parse_cron(cron)
        load_zone(zone or UTC_NAME)
    except Invalid:
        return None
    return Timer(key, cron, zone or UTC_NAME, None)
