"""Cron expressions read plainly, and what is due by looking at every minute a zone's clocks show.

Nothing here is shared with the code under test but the zone rules: fields become sets of numbers by splitting text, and
a gap or a repeated hour is what the sequence of local times shows.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from importlib import resources
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FAR = timedelta(hours=26)
"""Further than any change of the clocks reaches."""
BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",  # half an hour off
    "America/Havana",  # changes at midnight
    "Africa/Casablanca",  # an hour less in Ramadan
    "Asia/Kathmandu",  # never changes, 45 minutes off
    "Australia/Lord_Howe",  # changes by half an hour
    "Pacific/Apia",  # skipped 30 December 2011
    "Pacific/Chatham",
    "America/Scoresbysund",
)


# What to try


def moments(first: int, last: int) -> st.SearchStrategy[datetime]:
    """Instants of these years, to the second."""
    bounds = [(datetime(year, 1, 1, tzinfo=UTC) - EPOCH) // SECOND for year in (first, last + 1)]
    return st.integers(bounds[0], bounds[1] - 1).map(lambda seconds: EPOCH + seconds * SECOND)


@st.composite
def _part(draw: st.DrawFn, low: int, high: int) -> str:
    first = draw(st.integers(low, high))
    last = draw(st.integers(first, high))
    step = draw(st.integers(1, high - low + 1))
    forms = ["*", f"*/{step}", f"{first}", f"{first}", f"{first}-{last}", f"{first}-{last}/{step}", f"{first}/{step}"]
    return draw(st.sampled_from(forms))


@st.composite
def _field(draw: st.DrawFn, low: int, high: int) -> str:
    return ",".join(draw(st.lists(_part(low, high), min_size=1, max_size=3)))


@st.composite
def expressions(draw: st.DrawFn) -> str:
    """Any expression the grammar has. Most leave the day free and prefer early hours, where clocks are changed."""
    minute = draw(_field(0, 59))
    hour = draw(st.one_of(_field(0, 23), _field(0, 4), st.sampled_from(["*", "*/2", "0-23"])))
    free = st.just("*")
    day = draw(st.one_of(free, free, free, _field(1, 31)))
    month = draw(st.one_of(free, free, free, _field(1, 12)))
    weekday = draw(st.one_of(free, free, free, _field(0, 6)))
    return " ".join([minute, hour, day, month, weekday])


# What an expression means


@lru_cache(1_000)
def values(field: str, low: int, high: int) -> frozenset[int]:
    named: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        if span == "*":
            first, last = str(low), str(high)
        elif not last:
            last = str(high) if step else first
        named.update(range(int(first), int(last) + 1, int(step or 1)))
    return frozenset(named)


@lru_cache(1_000)
def reading(expression: str) -> Callable[[datetime], bool]:
    """What tells whether the expression names a local time."""
    fields = expression.split()
    minutes, hours, days, months, weekdays = (
        values(field, *bounds) for field, bounds in zip(fields, BOUNDS, strict=True)
    )
    either = fields[2] != "*" and fields[4] != "*"

    def names(wall: datetime) -> bool:
        if wall.minute not in minutes or wall.hour not in hours or wall.month not in months:
            return False
        day, weekday = wall.day in days, wall.isoweekday() % 7 in weekdays
        return (day or weekday) if either else (day and weekday)

    return names


def has_wildcard_hour(expression: str) -> bool:
    hour = expression.split()[1]
    return "*" in hour or len(values(hour, 0, 23)) == 24


def due_instants(expression: str, zone_name: str, start: datetime, end: datetime) -> list[datetime]:
    """What is due in [start, end), found by going through the minutes of the zone's clocks. `start` has no seconds."""
    shown = real_minutes(zone_name, start - FAR, end + FAR)
    names = reading(expression)
    due = {instant for wall, instants in shown.items() if names(wall) for instant in instants}
    if not has_wildcard_hour(expression):
        due = {instants[0] for wall, instants in shown.items() if names(wall)} | set(_moved(names, shown))
    return sorted(instant for instant in due if start <= instant < end)


@lru_cache(64)
def real_minutes(zone_name: str, start: datetime, end: datetime) -> dict[datetime, list[datetime]]:
    """Each local time there is, in the order of its first instant, with its instants in order."""
    rules = zone_rules(zone_name)
    shown: dict[datetime, list[datetime]] = {}
    instant = start
    while instant < end:
        shown.setdefault(instant.astimezone(rules).replace(tzinfo=None), []).append(instant)
        instant += MINUTE
    return shown


def _moved(names: Callable[[datetime], bool], shown: dict[datetime, list[datetime]]) -> Iterator[datetime]:
    """Where the named local times are put that the clocks skip: later by what is skipped there."""
    for wall, following in pairwise(shown):
        missing, skipped = wall + MINUTE, following - wall - MINUTE
        while missing < following:
            if names(missing) and missing + skipped in shown:
                yield shown[missing + skipped][0]
            missing += MINUTE


# Zones and where they change


@cache
def zone_rules(name: str) -> ZoneInfo:
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as rules:
        return ZoneInfo.from_file(rules, key=name)


def zone_names() -> list[str]:
    """Every name there is, but the one that stands for no zone."""
    names_there = resources.files("tzdata").joinpath("zones").read_text().split()
    return [name for name in names_there if name != "Factory"]


def distinct_zones() -> list[str]:
    """One name for each set of rules: many names are another's."""
    rules: dict[bytes, str] = {}
    for name in zone_names():
        content = resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()
        rules.setdefault(content, name)
    return sorted(rules.values())


def written_changes(name: str) -> list[tuple[int, int, int]]:
    """The changes of offset that the zone's file lists one by one: instant, offset before, offset after (RFC 9636).

    Those that go on for ever by a rule are not among them.
    """
    content = resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()
    start = 44 + _body(content, 0, 4)
    counts = struct.unpack_from(">6l", content, start + 20)
    times, types = counts[3], counts[4]
    at = start + 44
    instants = struct.unpack_from(f">{times}q", content, at)
    indices = struct.unpack_from(f">{times}B", content, at + 8 * times)
    offsets = [struct.unpack_from(">l", content, at + 9 * times + 6 * each)[0] for each in range(types)]
    seen = [offsets[0], *(offsets[index] for index in indices)]
    steps = zip(instants, seen, seen[1:], strict=False)
    return [(instant, before, after) for instant, before, after in steps if before != after]


def _body(content: bytes, start: int, width: int) -> int:
    """The length of a block's body, whose times are `width` bytes wide."""
    counts: tuple[int, ...] = struct.unpack_from(">6l", content, start + 20)
    isut, isstd, leap, times, types, chars = counts
    return times * width + times + types * 6 + chars + leap * (width + 4) + isstd + isut
