"""When any schedule is due in any zone: against every minute the zone's clocks show, and against cronsim."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from cronsim import CronSim
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from core.domain import zones
from core.domain.schedules import CalendarWarning, timetable
from core.domain.zones import EPOCH, Stretch, load_zone
from tests.support.crons import (
    MINUTE,
    SECOND,
    ZONES,
    distinct_zones,
    due_instants,
    expressions,
    has_wildcard_hour,
    moments,
    reading,
    zone_rules,
)

DAY = timedelta(days=1)
MOST = 100_000


def changes(zone_name: str, first: int, last: int) -> Iterator[Stretch]:
    """The stretches that begin with a change of the clocks, in these years."""
    zone = load_zone(zone_name)
    instant, end = ((datetime(year, 1, 1, tzinfo=UTC) - EPOCH) // SECOND for year in (first, last + 1))
    while instant < end:
        stretch = zone.stretch(instant)
        if stretch.start == instant and stretch.before != stretch.offset:
            yield stretch
        instant = stretch.end


def moment_of(seconds: int) -> datetime:
    return EPOCH + seconds * SECOND


CHANGES = {name: [moment_of(each.start) for each in changes(name, 2005, 2040)] for name in ZONES}
FULL_HOURS = ("UTC", "Europe/Berlin", "America/New_York", "America/Havana", "Africa/Casablanca", "Asia/Kathmandu")
"""Zones that cronsim is right in: it loses times at Lord Howe, and at a change at 00:01 (St John's until 2011) it goes
on for ever."""


@st.composite
def windows(draw: st.DrawFn, zone_names: tuple[str, ...] = ZONES) -> tuple[str, datetime, datetime]:
    """A zone and thirty hours of it: around a change of its clocks more often than anywhere else."""
    zone = draw(st.sampled_from(zone_names))
    moment = draw(moments(1975, 2500)).replace(minute=0, second=0)
    if draw(st.integers(0, 3)) and CHANGES[zone]:
        moment = draw(st.sampled_from(CHANGES[zone]))
    start = moment + timedelta(hours=draw(st.integers(-28, 4)))
    return zone, start, start + timedelta(hours=30)


@settings(max_examples=200, deadline=None)
@given(expressions(), windows())
def test_it_is_what_every_minute_of_the_zone_says(expression: str, window: tuple[str, datetime, datetime]) -> None:
    zone, start, end = window
    expected = due_instants(expression, zone, start, end)
    found = timetable(expression, zone)
    assert found.instants(start, end, MOST) == expected
    assert found.count(start, end) == len(expected)
    for before, after in pairwise([start - SECOND, *expected]):
        assert found.next_after(before) == found.next_after(after - SECOND) == after


@settings(deadline=None)
@given(expressions(), windows())
def test_a_calendar_explains_each_instant(expression: str, window: tuple[str, datetime, datetime]) -> None:
    zone, start, end = window
    found, rules = timetable(expression, zone), zone_rules(zone)
    shown, names = found.calendar(start, end, MOST), reading(expression)
    assert [entry.instant for entry in shown.entries] == found.instants(start, end, MOST)
    for entry in shown.entries:
        local = entry.instant.astimezone(rules)
        assert entry.local.isoformat() == local.isoformat()
        assert names(entry.nominal)
        moved = entry.local.replace(tzinfo=None) - entry.nominal
        assert (moved > timedelta(0) or entry.merged is not None) == (CalendarWarning.DST_GAP in entry.warnings)
        assert (entry.merged is not None) == (CalendarWarning.DST_MERGED in entry.warnings)
        if entry.merged is not None:
            assert not moved
            assert names(entry.merged)
        twice = local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset()
        assert twice == (CalendarWarning.DST_REPEAT in entry.warnings)
        assert set(entry.warnings) <= set(shown.warnings)


@pytest.fixture
def parted_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[datetime], None]]:
    """Lets two parts of a zone meet at an instant."""

    def part(instant: datetime) -> None:
        monkeypatch.setattr(zones, "_CHUNK_SECONDS", (instant - EPOCH) // SECOND // 20)
        zones._chunk.cache_clear()

    yield part
    monkeypatch.undo()
    zones._chunk.cache_clear()


@pytest.mark.parametrize("minutes", [-45, -30, 0, 15, 30, 59, 60, 90])
@pytest.mark.parametrize(
    ("zone", "change"),
    [
        ("Europe/Berlin", "2026-03-29T01:00"),
        ("Europe/Berlin", "2026-10-25T01:00"),
        ("Pacific/Apia", "2011-12-30T10:00"),
    ],
)
def test_where_a_zone_is_read_in_parts_nothing_is_lost(
    zone: str, change: str, minutes: int, parted_at: Callable[[datetime], None]
) -> None:
    """The parts meet somewhere about a change here, which those of the program never did yet."""
    instant = datetime.fromisoformat(change).replace(tzinfo=UTC)
    parted_at(instant + minutes * MINUTE)
    start, end = instant - timedelta(hours=20), instant + timedelta(hours=30)
    for expression in ("20,50 * * * *", "20,50 2,3,9 * * *", "5 2 * * *"):
        shown = timetable(expression, zone).calendar(start, end, MOST)
        assert [entry.instant for entry in shown.entries] == due_instants(expression, zone, start, end)
        marks = [entry.warnings for entry in shown.entries if entry.warnings]
        twice = [CalendarWarning.DST_REPEAT in warnings for warnings in marks]
        moved = [CalendarWarning.DST_GAP in warnings for warnings in marks]
        wildcard = has_wildcard_hour(expression)
        assert any(twice) == ("10-25" in change)
        assert any(moved) == ("10-25" not in change and not wildcard)
        assert (CalendarWarning.DST_GAP in shown.warnings) == ("10-25" not in change)


@settings(deadline=None)
@given(expressions(), st.sampled_from(ZONES), moments(1970, 2989))
def test_instants_only_ever_rise(expression: str, zone: str, start: datetime) -> None:
    found = timetable(expression, zone)
    assume(not found.cron.never_fires)
    at = [start]
    for _ in range(20):
        following = found.next_after(at[-1])
        assert following is not None
        at.append(following)
    assert all(earlier < later for earlier, later in pairwise(at))
    assert found.instants(at[1], at[-1], MOST) == at[1:-1]
    assert found.count(at[1], at[-1]) == 19


@settings(deadline=None)
@given(expressions(), st.sampled_from(ZONES), moments(1970, 2100), st.integers(0, 60 * 86_400), st.integers(0, 100))
def test_a_window_is_the_sum_of_its_parts(
    expression: str, zone: str, start: datetime, seconds: int, percent: int
) -> None:
    found = timetable(expression, zone)
    end, middle = start + seconds * SECOND, start + seconds * percent // 100 * SECOND
    assert found.count(start, end) == found.count(start, middle) + found.count(middle, end)
    if found.count(start, end) <= 2_000:
        assert found.instants(start, middle, MOST) + found.instants(middle, end, MOST) == found.instants(
            start, end, MOST
        )


# cronsim


def counts_to_second_sunday(part: str) -> bool:
    """Whether a part of the weekday such as `1/2` comes by 7: 1, 3, 5, 7."""
    first, _, step = part.partition("/")
    return bool(step) and first.isdigit() and int(first) > 0 and (7 - int(first)) % int(step) == 0


def comparable(expression: str) -> bool:
    """Where cronsim follows the same rules. An AND of day and weekday if one begins with `*` (as in Debian's cron), a
    wildcard minute that counts like a wildcard hour, `5-5/2` that goes on to the end of the field, and a weekday that
    counts on to 7, a second Sunday, are its own."""
    minute, hour, day, _, weekday = expression.split()
    parts = [part.partition("/") for field in expression.split() for part in field.split(",")]
    if any(step and len(set(span.split("-"))) < len(span.split("-")) for span, _, step in parts):
        return False
    if any(counts_to_second_sunday(part) for part in weekday.split(",")):
        return False
    same_days = "*" in (day, weekday) or not (day.startswith("*") or weekday.startswith("*"))
    wildcard = has_wildcard_hour(expression)
    same_hours = hour.startswith("*") if wildcard else not minute.startswith("*")
    return same_days and same_hours


@settings(deadline=None)
@given(expressions().filter(comparable), windows(FULL_HOURS))
def test_it_is_what_cronsim_says(expression: str, window: tuple[str, datetime, datetime]) -> None:
    """But for what a gap moves: cronsim puts all of it to the end of the gap."""
    zone, start, end = window
    found = timetable(expression, zone)
    assume(not found.cron.never_fires)
    entries = found.calendar(start, end, 50).entries
    gap = any(CalendarWarning.DST_GAP in entry.warnings for entry in entries)
    assume(not gap)
    walker = CronSim(expression, (start - SECOND).astimezone(zone_rules(zone)))
    for entry in entries:
        assert next(walker).astimezone(UTC) == entry.instant


@pytest.mark.parametrize(
    ("weekday", "days"), [("1/2", [0, 2, 4]), ("1/6", [0]), ("3/4", [2]), ("0/2", [6, 1, 3, 5]), ("6/1", [5])]
)
def test_a_weekday_counts_to_saturday(weekday: str, days: list[int]) -> None:
    """Unlike in cronsim: there is no 7. Days as Python counts them, from Monday."""
    found = timetable(f"0 0 * * {weekday}", "UTC")
    at, seen = datetime(2026, 11, 21, tzinfo=UTC), []  # a Saturday
    for _ in days:
        following = found.next_after(at)
        assert following is not None
        at = following
        seen.append(at.weekday())
    assert seen == days


@settings(deadline=None)
@given(expressions().filter(comparable), moments(1970, 2399))
def test_without_a_zone_it_is_always_what_cronsim_says(expression: str, start: datetime) -> None:
    found = timetable(expression, "UTC")
    assume(not found.cron.never_fires)
    walker, at = CronSim(expression, start), start
    for _ in range(10):
        following = found.next_after(at)
        assert following == next(walker)
        at = following


# Every zone that changes its clocks in the years to come


@pytest.mark.parametrize("zone", [name for name in distinct_zones() if any(changes(name, 2026, 2036))])
def test_each_change_to_come(zone: str) -> None:
    """A local time in the middle of a gap or repeated hour is due exactly once that day, and hours pass one by one."""
    hourly = timetable("0 * * * *", zone)
    for change in changes(zone, 2026, 2036):
        instant, shift = moment_of(change.start), change.offset - change.before
        wall = moment_of(change.start + change.before + shift // 2)
        daily = timetable(f"{wall.minute} {wall.hour} * * *", zone)
        assert daily.instants(instant - DAY / 2, instant + DAY / 2, 5) == [instant + shift // 2 * SECOND]
        (entry,) = daily.calendar(instant - DAY / 2, instant + DAY / 2, 5).entries
        assert entry.warnings == ((CalendarWarning.DST_GAP if shift > 0 else CalendarWarning.DST_REPEAT),)
        if shift % 3_600 == 0:
            hours = hourly.instants(instant - DAY / 4, instant + DAY / 4, 20)
            assert {later - earlier for earlier, later in pairwise(hours)} == {timedelta(hours=1)}
            assert len(hours) == 12
        minutely = timetable("* * * * *", zone).instants(instant - 2 * MINUTE, instant + 2 * MINUTE, 9)
        assert minutely == [instant + count * MINUTE for count in range(-2, 2)]
