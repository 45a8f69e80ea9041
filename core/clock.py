"""Time inside one process: intervals, deadlines, pauses.

What is due, leased or expired is judged by PostgreSQL's `clock_timestamp()`, never by this clock: the machines of
an installation need not agree on the time of day, only on how long a second lasts.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """What a loop or a job may ask of time."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, never going back."""

    async def sleep(self, seconds: float) -> None:
        """Waits; other tasks go on."""


class SystemClock:
    """The clock of a real process."""

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
