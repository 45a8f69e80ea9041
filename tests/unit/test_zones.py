"""Time zones: the names that are taken, and that no change of a zone's clocks is overlooked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
import tzdata
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.errors import Invalid
from core.domain.zones import EPOCH, ZONE_DATA_VERSION, Stretch, Zone, load_zone
from tests.support.crons import SECOND, distinct_zones, moments, written_changes, zone_names, zone_rules

DAY = 86_400
CHANGING = [name for name in zone_names() if name != "UTC"]


def seconds(year: int, month: int = 1, day: int = 1) -> int:
    return (datetime(year, month, day, tzinfo=UTC) - EPOCH) // SECOND


def walk(zone: Zone, start: int, end: int) -> Iterator[Stretch]:
    while start < end:
        stretch = zone.stretch(start)
        yield stretch
        start = stretch.end


def refusal(name: str) -> str:
    with pytest.raises(Invalid) as refused:
        load_zone(name)
    assert refused.value.path == "timezone"
    return refused.value.problem


def test_every_zone_of_the_database_is_known() -> None:
    names = zone_names()
    assert len(names) > 590
    assert {load_zone(name).name for name in names} == set(names)
    assert load_zone("Europe/Berlin") is load_zone("Europe/Berlin")
    assert ZONE_DATA_VERSION == tzdata.IANA_VERSION


@pytest.mark.parametrize(
    "name",
    [
        "", " ", "Berlin", "Europe", "Europe/", "Europe/Bärlin", "Europe/Berlin ", "Europe/Berlin\0", "Europe\\Berlin",
        "../../etc/passwd", "/usr/share/zoneinfo/UTC", "Europe/../UTC", "Factory", "posixrules", "localtime",
        "zone.tab", "CET-1CEST", "+02:00", "UTC+2", "\ud800", "Europe/Berlin" * 1_000,
    ],
)  # fmt: skip
def test_anything_else_is_no_zone(name: str) -> None:
    assert refusal(name) == "is not a time zone; write a name of the IANA database such as UTC or Europe/Berlin"


def test_a_zone_is_spelled_exactly() -> None:
    assert refusal("europe/berlin") == "is not a time zone; write Europe/Berlin"
    assert refusal("utc") == "is not a time zone; write UTC"
    with pytest.raises(Invalid, match=r"^config\.zone: is not"):
        load_zone("Mars/Olympus", "config.zone")


def test_utc_never_changes() -> None:
    stretch = load_zone("UTC").stretch(seconds(2026))
    assert stretch.start < 0 < seconds(9999) < stretch.end
    assert (stretch.before, stretch.offset, stretch.after) == (0, 0, 0)


def test_berlin_in_2026() -> None:
    spring, autumn = seconds(2026, 3, 29) + 3_600, seconds(2026, 10, 25) + 3_600
    zone = load_zone("Europe/Berlin")
    summer = zone.stretch(spring)
    assert (summer.start, summer.before, summer.offset) == (spring, 3_600, 7_200)
    before, after = zone.stretch(autumn - 1), zone.stretch(autumn)
    assert (before.end, before.offset, before.after) == (autumn, 7_200, 3_600)
    assert (after.start, after.before, after.offset) == (autumn, 7_200, 3_600)


@pytest.mark.parametrize("name", distinct_zones())
def test_every_change_a_zone_file_lists_is_found(name: str) -> None:
    """And no other, up to the last one listed."""
    expected = [change for change in written_changes(name) if change[0] > 0]
    end = expected[-1][0] if expected else 0
    walked = walk(load_zone(name), 0, end)
    found = {(one.end, one.offset, one.after) for one in walked if one.offset != one.after and one.end <= end}
    assert sorted(found) == expected
    for (earlier, _, _), (later, before, after) in pairwise(expected):
        assert later - earlier > DAY, "changes this close may be overlooked: look more often"
        assert later - earlier > after - before, "what a gap moves must stay in the stretch after it"


@settings(deadline=None)
@given(st.sampled_from(CHANGING), moments(1970, 2999))
def test_an_instant_lies_in_its_stretch(name: str, moment: datetime) -> None:
    zone, rules, instant = load_zone(name), zone_rules(name), (moment - EPOCH) // SECOND
    stretch = zone.stretch(instant)
    assert stretch.start <= instant < stretch.end
    for inside in (max(stretch.start, 0), instant, stretch.end - 1):
        assert (EPOCH + timedelta(seconds=inside)).astimezone(rules).utcoffset() == timedelta(seconds=stretch.offset)
    following = zone.stretch(stretch.end)
    assert following.offset == stretch.after
    if stretch.after != stretch.offset:
        assert (following.start, following.before) == (stretch.end, stretch.offset)


@settings(deadline=None)
@given(st.sampled_from(CHANGING), st.integers(43, 900), st.integers(-4 * DAY, 4 * DAY))
def test_where_a_zone_is_read_in_parts_no_change_is_hidden(name: str, chunk: int, away: int) -> None:
    """Zones are read in chunks of 400 days; an end that is no change's has none within a day of it."""
    zone, instant = load_zone(name), chunk * 400 * DAY + away
    stretch = zone.stretch(instant)
    for edge, beyond, reach in ((stretch.start, stretch.before, -DAY), (stretch.end, stretch.after, DAY)):
        if beyond == stretch.offset:
            assert edge % (400 * DAY) == 0
            assert {zone.offset(edge + part * reach // 24) for part in range(-24, 25)} == {beyond}
    assert zone.offset(stretch.start - 1) == stretch.before
    assert zone.offset(stretch.end) == stretch.after


@pytest.mark.parametrize("name", ["Europe/Berlin", "Australia/Lord_Howe", "Africa/Casablanca", "America/Havana"])
def test_a_rule_that_goes_on_for_ever_is_followed_hour_by_hour(name: str) -> None:
    zone = load_zone(name)
    for instant in range(seconds(2085), seconds(2087), 3_600):
        assert zone.stretch(instant).offset == zone.offset(instant)
