"""What is due, one instant after the other: of a cron expression in a zone, or every so many seconds.

A tick asks the same for thousands of schedules with the same expression, so what follows an instant is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol

from core.domain.schedules import timetable

MOST_STEPS = 32_768
"""Triples of expression, zone and instant kept ready, at about 400 bytes each: a tick of all schedules of a large
installation has some thousands. One that fell out takes 10 to 100 microseconds."""

_SECOND = timedelta(seconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Dues(Protocol):
    """A row of due instants. Aware times; what is returned is in UTC and whole seconds."""

    def following(self, at: datetime) -> datetime | None:
        """The first due instant later than this one, or None if there is none before the year 3000."""

    def merges(self, at: datetime) -> bool:
        """Whether two local times meet in this due instant."""

    def instants(self, start: datetime, end: datetime, most: int) -> list[datetime]:
        """The due instants in [start, end), oldest first, at most `most` of them."""

    def count(self, start: datetime, end: datetime) -> int:
        """How many instants are due in [start, end): arithmetic, however long that is."""


@dataclass(frozen=True, slots=True)
class CronDues:
    """What a cron expression means in a zone. Both are as stored, so they are known to be understood."""

    cron_string: str
    timezone: str

    def following(self, at: datetime) -> datetime | None:
        return _following(self.cron_string, self.timezone, at)

    def merges(self, at: datetime) -> bool:
        return self.timezone != "UTC" and _merges(self.cron_string, self.timezone, at)

    def instants(self, start: datetime, end: datetime, most: int) -> list[datetime]:
        return timetable(self.cron_string, self.timezone).instants(start, end, most)

    def count(self, start: datetime, end: datetime) -> int:
        return timetable(self.cron_string, self.timezone).count(start, end)


@dataclass(frozen=True, slots=True)
class EveryDues:
    """Every so many seconds, 1 or more, counted from 1970: whoever starts anew meets the same instants."""

    seconds: int

    def following(self, at: datetime) -> datetime | None:
        return _EPOCH + timedelta(seconds=((at - _EPOCH) // _SECOND // self.seconds + 1) * self.seconds)

    def merges(self, at: datetime) -> bool:
        return False

    def instants(self, start: datetime, end: datetime, most: int) -> list[datetime]:
        first, stop = self._ordinal(start), self._ordinal(end)
        return [_EPOCH + timedelta(seconds=n * self.seconds) for n in range(first, min(stop, first + most))]

    def count(self, start: datetime, end: datetime) -> int:
        return max(self._ordinal(end) - self._ordinal(start), 0)

    def _ordinal(self, moment: datetime) -> int:
        """Which of them is the first at or after this moment."""
        return -((_EPOCH - moment) // timedelta(seconds=self.seconds))


@lru_cache(MOST_STEPS)
def _following(cron_string: str, timezone: str, at: datetime) -> datetime | None:
    return timetable(cron_string, timezone).next_after(at)


@lru_cache(MOST_STEPS)
def _merges(cron_string: str, timezone: str, at: datetime) -> bool:
    return timetable(cron_string, timezone).merges(at)
