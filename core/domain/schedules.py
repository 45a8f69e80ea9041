"""When a schedule is due: the instants a cron expression means in a time zone, and what a change of the clocks does.

A fixed hour names local times, and each of them fires once: in an hour that is repeated at its first turn, and in a gap
later by the gap's length, so 02:30 becomes 03:30. Two local times that then meet are due once. An hour written
with `*` (or as all 24) fires in every real hour instead: in both turns of a repeated hour, and for a local time that
does not exist not at all.

Everything here depends on its arguments and on the pinned zone rules only: what a preview shows is what will be due.
Instants are whole seconds, from 1970 to the end of 2999.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from core.domain.cron import Cron, parse_cron, refuse_day
from core.domain.nominal import DAY_SECONDS, count_times, next_time
from core.domain.zones import EPOCH, Stretch, Zone, load_zone

NEVER_YEARS = 5
"""What does not fire for this long is taken not to fire at all. 29 February comes every four years until 2096."""

MOST_TIMETABLES = 16_384
"""Pairs of expression and zone kept ready, at about 1 kB each. One that fell out takes 30 microseconds to make."""

_NEVER = timedelta(days=NEVER_YEARS * 366)
_SECOND = timedelta(seconds=1)
_WALL_EPOCH = EPOCH.replace(tzinfo=None)
_HORIZON = (datetime(3000, 1, 1, tzinfo=UTC) - EPOCH) // _SECOND
_FAR = 1 << 62

_UNTOUCHED = 2 * DAY_SECONDS
"""Further than this from a change of the clocks, local times follow each other as instants do: none is a day long."""


class CalendarWarning(StrEnum):
    """What may surprise in a calendar."""

    DST_GAP = "DST_GAP"
    """A local time that does not exist: on an entry, it was moved; on the calendar only, it does not fire."""
    DST_REPEAT = "DST_REPEAT"
    """A local time that comes twice. A fixed hour fires in the first, a wildcard hour in both."""
    DST_MERGED = "DST_MERGED"
    """Two local times that meet in one instant and are due once."""
    NEVER_FIRES = "NEVER_FIRES"
    """Nothing is due within five years."""
    DOM_DOW_OR = "DOM_DOW_OR"
    """Day and weekday are both written, and either is enough."""


@dataclass(frozen=True, slots=True)
class CalendarEntry:
    """One due instant.

    `nominal` is the local time the expression names, without a zone; `merged` is the other one where two meet, of which
    `nominal` is the one that exists. `local` is what the clocks there show at `instant`, with their offset from UTC.
    """

    nominal: datetime
    instant: datetime
    local: datetime
    merged: datetime | None
    warnings: tuple[CalendarWarning, ...]

    @property
    def offset_seconds(self) -> int:
        return (self.local.utcoffset() or timedelta()) // _SECOND


@dataclass(frozen=True, slots=True)
class Calendar:
    """The due instants of a window, oldest first, and what is worth knowing about all of them.

    `complete` is False when there were more than asked for. `warnings` has those of the entries, each once.
    """

    entries: tuple[CalendarEntry, ...]
    warnings: tuple[CalendarWarning, ...]
    complete: bool


class _Due(NamedTuple):
    """A due instant in its stretch: named by the local time it has, by one that was moved from a gap, or by both."""

    at: int
    stretch: Stretch
    kept: bool
    moved: bool


@dataclass(frozen=True, slots=True)
class Timetable:
    """A cron expression in a time zone. Arguments are aware datetimes of any zone; what is returned is in UTC."""

    cron: Cron
    zone: Zone

    def next_after(self, after: datetime) -> datetime | None:
        """The first due instant later than `after`, or None when there is none before the year 3000."""
        due = self._first((after - EPOCH) // _SECOND + 1)
        return _moment(due.at) if due else None

    def instants(self, start: datetime, end: datetime, most: int) -> list[datetime]:
        """The due instants in [start, end), oldest first, at most `most` of them."""
        return [_moment(due.at) for due in islice(self._dues(start, end), most)]

    def merges(self, at: datetime) -> bool:
        """Whether two local times meet in this due instant."""
        due = self._first(_ceiling(at))
        return due is not None and due.kept and due.moved

    def count(self, start: datetime, end: datetime) -> int:
        """How many instants are due in [start, end), without going through them where the clocks are not changed."""
        at, stop = max(_ceiling(start), 0), min(_ceiling(end), _HORIZON)
        count = 0
        while at < stop and not self.cron.never_fires:
            stretch = self.zone.stretch(at)
            until = min(stretch.end, stop)
            count += count_times(self.cron, self._wall(stretch, at), until + stretch.offset)
            count += self._moved_alone(stretch, at, until)
            at = until
        return count

    def never_fires(self, after: datetime) -> bool:
        """Whether nothing is due within five years of `after`."""
        first = self.next_after(after)
        return first is None or first - after > _NEVER

    def calendar(self, start: datetime, end: datetime, most: int) -> Calendar:
        """What is due in [start, end), at most `most` entries (1 or more): the very instants that `instants` gives.

        A zone's rules for a time nobody asked about before take 0.6 ms a year to read, so the caller bounds the window.
        """
        dues = self._dues(start, end)
        entries = tuple(_entry(due) for due in islice(dues, most))
        complete = next(dues, None) is None
        seen = {warning for entry in entries for warning in entry.warnings}
        if self.never_fires(start):
            seen.add(CalendarWarning.NEVER_FIRES)
        if self.cron.either_day:
            seen.add(CalendarWarning.DOM_DOW_OR)
        if self._loses(start, end if complete else entries[-1].instant + _SECOND):
            seen.add(CalendarWarning.DST_GAP)
        return Calendar(entries, tuple(warning for warning in CalendarWarning if warning in seen), complete)

    def _dues(self, start: datetime, end: datetime) -> Iterator[_Due]:
        at, stop = _ceiling(start), _ceiling(end)
        while (due := self._first(at)) is not None and due.at < stop:
            yield due
            at = due.at + 1

    def _first(self, at: int) -> _Due | None:
        """The first due instant at or after this one."""
        at = max(at, 0)
        while at < _HORIZON and not self.cron.never_fires:
            stretch = self.zone.stretch(at)
            kept = next_time(self.cron, self._wall(stretch, at)) - stretch.offset
            moved = self._moved(stretch, at)
            due = min(kept, moved)
            if due < min(stretch.end, _HORIZON):
                return _Due(due, stretch, kept == due, moved == due)
            untouched = stretch.end - at >= _UNTOUCHED
            at = max(stretch.end, due - _UNTOUCHED) if untouched else stretch.end
        return None

    def _wall(self, stretch: Stretch, at: int) -> int:
        """The earliest local time that may still be due in this stretch at or after this instant: what a fixed hour
        fired before the clocks were put back is not due again."""
        wall = at + stretch.offset
        return wall if self.cron.wildcard_hour else max(wall, stretch.start + stretch.before)

    def _moved(self, stretch: Stretch, at: int) -> int:
        """The first instant at or after this one, in this stretch, that a local time in the gap before it moved to."""
        if self.cron.wildcard_hour or at + stretch.before >= stretch.start + stretch.offset:
            return _FAR
        wall = next_time(self.cron, at + stretch.before)
        return wall - stretch.before if wall < stretch.start + stretch.offset else _FAR

    def _moved_alone(self, stretch: Stretch, at: int, until: int) -> int:
        """How many instants in [at, until) of this stretch only a local time in the gap before it leads to."""
        count = 0
        while (at := self._moved(stretch, at)) < until:
            wall = at + stretch.offset
            count += next_time(self.cron, wall) != wall
            at += 1
        return count

    def _loses(self, start: datetime, end: datetime) -> bool:
        """Whether the clocks skip, in [start, end), a local time that a wildcard hour names."""
        at, stop = max(_ceiling(start), 0), min(_ceiling(end), _HORIZON)
        while at < stop and self.cron.wildcard_hour and not self.cron.never_fires:
            stretch = self.zone.stretch(at)
            if at == stretch.start and _skips(self.cron, stretch):
                return True
            at = stretch.end
        return False


@lru_cache(MOST_TIMETABLES)
def timetable(cron_string: str, zone_name: str) -> Timetable:
    """The timetable of a stored expression and zone, or Invalid; whether it ever fires is not asked."""
    return Timetable(parse_cron(cron_string, may_never_fire=True), load_zone(zone_name))


def check_schedule(cron_string: str, zone_name: str, now: datetime) -> Timetable:
    """The timetable of what a caller wants to store.

    Invalid naming `cron_string` or `timezone` when either is not understood, or when nothing is due within five years.
    """
    cron = parse_cron(cron_string)
    found = timetable(cron_string, zone_name)
    if found.never_fires(now):
        refuse_day(cron, f"no such day comes within {NEVER_YEARS} years")
    return found


def _entry(due: _Due) -> CalendarEntry:
    at, stretch, kept, moved = due
    shown, skipped = _wall_time(at + stretch.offset), _wall_time(at + stretch.before)
    return CalendarEntry(
        nominal=shown if kept else skipped,
        instant=_moment(at),
        local=_moment(at).astimezone(timezone(timedelta(seconds=stretch.offset))),
        merged=skipped if kept and moved else None,
        warnings=tuple(_warnings(due)),
    )


def _warnings(due: _Due) -> Iterator[CalendarWarning]:
    at, stretch, kept, moved = due
    if moved:
        yield CalendarWarning.DST_GAP
    first_turn = stretch.after < stretch.offset and at >= stretch.end - (stretch.offset - stretch.after)
    second_turn = stretch.before > stretch.offset and at < stretch.start + (stretch.before - stretch.offset)
    if first_turn or second_turn:
        yield CalendarWarning.DST_REPEAT
    if kept and moved:
        yield CalendarWarning.DST_MERGED


def _skips(cron: Cron, stretch: Stretch) -> bool:
    """Whether the expression names a local time in the gap before this stretch."""
    end = stretch.start + stretch.offset
    return stretch.before < stretch.offset and next_time(cron, stretch.start + stretch.before) < end


def _moment(at: int) -> datetime:
    return EPOCH + timedelta(seconds=at)


def _wall_time(wall: int) -> datetime:
    return _WALL_EPOCH + timedelta(seconds=wall)


def _ceiling(moment: datetime) -> int:
    """The first whole second at or after this moment."""
    return -((EPOCH - moment) // _SECOND)
