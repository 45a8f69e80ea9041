"""When schedules are due, by example: each change of the clocks there is, the calendar, and the bounds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from core.domain.errors import Invalid
from core.domain.schedules import Calendar, CalendarWarning, check_schedule, timetable

GAP, REPEAT, MERGED = CalendarWarning.DST_GAP, CalendarWarning.DST_REPEAT, CalendarWarning.DST_MERGED
NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


def at(text: str) -> datetime:
    """An instant in UTC: `2026-03-29T01:30`."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def calendar(expression: str, zone: str, start: str, end: str) -> Calendar:
    found = timetable(expression, zone)
    shown = found.calendar(at(start), at(end), 1_000)
    assert shown.complete
    assert [entry.instant for entry in shown.entries] == found.instants(at(start), at(end), 1_000)
    assert len(shown.entries) == found.count(at(start), at(end))
    return shown


def clocks(shown: Calendar) -> list[str]:
    """What the clocks there show at each entry."""
    return [entry.local.isoformat(timespec="minutes") for entry in shown.entries]


# A fixed hour


def test_in_a_gap_it_is_due_later_by_the_gaps_length() -> None:
    shown = calendar("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00", "2026-03-31T00:00")
    assert clocks(shown) == ["2026-03-28T02:30+01:00", "2026-03-29T03:30+02:00", "2026-03-30T02:30+02:00"]
    moved = shown.entries[1]
    assert (moved.nominal.isoformat(), moved.instant) == ("2026-03-29T02:30:00", at("2026-03-29T01:30"))
    assert [entry.warnings for entry in shown.entries] == [(), (GAP,), ()]
    assert [entry.offset_seconds for entry in shown.entries] == [3_600, 7_200, 7_200]
    assert shown.warnings == (GAP,)


def test_in_a_repeated_hour_it_is_due_in_the_first_turn() -> None:
    shown = calendar("30 2 * * *", "Europe/Berlin", "2026-10-24T00:00", "2026-10-27T00:00")
    assert clocks(shown) == ["2026-10-24T02:30+02:00", "2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]
    assert [entry.warnings for entry in shown.entries] == [(), (REPEAT,), ()]


def test_asked_between_the_two_turns_it_is_due_tomorrow() -> None:
    found = timetable("30 2 * * *", "Europe/Berlin")
    assert found.next_after(at("2026-10-25T00:29")) == at("2026-10-25T00:30")
    assert found.next_after(at("2026-10-25T00:30")) == at("2026-10-26T01:30")
    assert found.next_after(at("2026-10-25T01:15")) == at("2026-10-26T01:30")


def test_two_local_times_that_meet_are_due_once() -> None:
    shown = calendar("30 2,3 * * *", "Europe/Berlin", "2026-03-29T00:00", "2026-03-30T00:00")
    assert clocks(shown) == ["2026-03-29T03:30+02:00"]
    (entry,) = shown.entries
    assert entry.warnings == (GAP, MERGED)
    assert (entry.nominal.isoformat(), entry.merged) == (
        "2026-03-29T03:30:00",
        datetime.fromisoformat("2026-03-29T02:30"),
    )
    assert shown.warnings == (GAP, MERGED)


def test_what_was_moved_is_in_order_with_what_was_not() -> None:
    shown = calendar("10,50 2,3 * * *", "America/New_York", "2026-03-08T00:00", "2026-03-09T00:00")
    assert clocks(shown) == ["2026-03-08T03:10-04:00", "2026-03-08T03:50-04:00"]
    shown = calendar("*/25 2-3 * * *", "America/New_York", "2026-03-08T00:00", "2026-03-09T00:00")
    assert [entry.warnings for entry in shown.entries] == [(GAP, MERGED)] * 3
    shown = calendar("20-40/20 2,4 * * *", "America/New_York", "2026-03-08T00:00", "2026-03-09T00:00")
    assert [entry.local.strftime("%H:%M") for entry in shown.entries] == ["03:20", "03:40", "04:20", "04:40"]


def test_the_first_and_last_minute_of_a_gap() -> None:
    for expression, shows in (
        ("59 1 * * *", "01:59"),
        ("0 2 * * *", "03:00"),
        ("59 2 * * *", "03:59"),
        ("0 3 * * *", "03:00"),
    ):
        shown = calendar(expression, "Europe/Berlin", "2026-03-28T23:00", "2026-03-29T20:00")
        assert [entry.local.strftime("%H:%M") for entry in shown.entries] == [shows]
        assert shown.warnings == ((GAP,) if " 2 " in expression else ())


def test_the_first_and_last_minute_of_a_repeated_hour() -> None:
    expected = {"59 1 * * *": (), "0 2 * * *": (REPEAT,), "59 2 * * *": (REPEAT,), "0 3 * * *": ()}
    for expression, warnings in expected.items():
        assert calendar(expression, "Europe/Berlin", "2026-10-24T22:00", "2026-10-25T20:00").warnings == warnings
    assert timetable("0 3 * * *", "Europe/Berlin").next_after(at("2026-10-25T00:30")) == at("2026-10-25T02:00")


def test_lord_howe_moves_by_half_an_hour() -> None:
    shown = calendar("15 2 * * *", "Australia/Lord_Howe", "2026-10-02T00:00", "2026-10-05T00:00")
    assert clocks(shown) == ["2026-10-03T02:15+10:30", "2026-10-04T02:45+11:00", "2026-10-05T02:15+11:00"]
    shown = calendar("0,45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00", "2026-04-05T00:00")
    assert clocks(shown) == ["2026-04-05T01:00+11:00", "2026-04-05T01:45+11:00"]
    assert [entry.warnings for entry in shown.entries] == [(), (REPEAT,)]


def test_apia_skipped_a_day() -> None:
    shown = calendar("30 9 30 * *", "Pacific/Apia", "2011-12-01T00:00", "2012-01-01T00:00")
    assert clocks(shown) == ["2011-12-31T09:30+14:00"]
    assert (shown.entries[0].nominal.isoformat(), shown.warnings) == ("2011-12-30T09:30:00", (GAP,))
    shown = calendar("30 9 * * *", "Pacific/Apia", "2011-12-29T11:00", "2012-01-01T00:00")
    assert clocks(shown) == ["2011-12-29T09:30-10:00", "2011-12-31T09:30+14:00", "2012-01-01T09:30+14:00"]
    assert shown.warnings == (GAP, MERGED)


# A wildcard hour


def test_it_is_due_in_every_real_hour() -> None:
    shown = calendar("0 * * * *", "Europe/Berlin", "2026-10-24T23:00", "2026-10-25T03:00")
    assert clocks(shown) == [
        "2026-10-25T01:00+02:00", "2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00", "2026-10-25T03:00+01:00",
    ]  # fmt: skip
    assert [entry.warnings for entry in shown.entries] == [(), (REPEAT,), (REPEAT,), ()]
    shown = calendar("0 0-23 * * *", "Europe/Berlin", "2026-03-29T00:00", "2026-03-29T03:00")
    assert clocks(shown) == ["2026-03-29T01:00+01:00", "2026-03-29T03:00+02:00", "2026-03-29T04:00+02:00"]


def test_a_local_time_that_does_not_exist_is_not_due_and_the_calendar_says_so() -> None:
    shown = calendar("30 */2 * * *", "Europe/Berlin", "2026-03-28T23:00", "2026-03-29T05:00")
    assert clocks(shown) == ["2026-03-29T00:30+01:00", "2026-03-29T04:30+02:00", "2026-03-29T06:30+02:00"]
    assert [entry.warnings for entry in shown.entries] == [(), (), ()]
    assert shown.warnings == (GAP,)
    assert calendar("30 1-23/2,*/24 * * *", "Europe/Berlin", "2026-03-28T23:00", "2026-03-29T05:00").warnings == ()
    assert calendar("30 */2 * * *", "Europe/Berlin", "2026-03-29T02:00", "2026-03-29T05:00").warnings == ()


def test_a_quarter_of_an_hour_passes_lord_howes_autumn() -> None:
    shown = calendar("*/15 * * * *", "Australia/Lord_Howe", "2026-04-04T14:15", "2026-04-04T15:45")
    assert [entry.local.strftime("%H:%M%z") for entry in shown.entries] == [
        "01:15+1100", "01:30+1100", "01:45+1100", "01:30+1030", "01:45+1030", "02:00+1030",
    ]  # fmt: skip


def test_the_second_turn_of_a_repeated_hour_comes_before_next_year() -> None:
    found = timetable("30 */24 3 11 *", "America/Havana")
    assert found.next_after(at("2024-11-03T04:29")) == at("2024-11-03T04:30")
    assert found.next_after(at("2024-11-03T04:45")) == at("2024-11-03T05:30")
    assert found.next_after(at("2024-11-03T05:30")) == at("2025-11-03T05:30")


# The calendar


def test_day_and_weekday_written_are_noted() -> None:
    shown = calendar("0 0 13 * 5", "UTC", "2026-11-01T00:00", "2026-11-30T00:00")
    assert [entry.local.day for entry in shown.entries] == [6, 13, 20, 27]
    assert shown.warnings == (CalendarWarning.DOM_DOW_OR,)


def test_what_never_fires_is_noted() -> None:
    never = timetable("0 0 30 2 *", "Europe/Berlin")
    assert never.calendar(NOW, at("2999-12-31T00:00"), 5) == Calendar((), (CalendarWarning.NEVER_FIRES,), complete=True)
    assert never.next_after(NOW) is None
    assert never.instants(NOW, at("2999-12-31T00:00"), 5) == []
    assert never.count(NOW, at("2999-12-31T00:00")) == 0
    rare = timetable("0 0 29 2 *", "UTC")
    assert rare.calendar(NOW, at("2027-01-01T00:00"), 5).warnings == ()
    assert rare.calendar(at("2096-03-01T00:00"), at("2105-01-01T00:00"), 5).warnings == (CalendarWarning.NEVER_FIRES,)


def test_a_calendar_says_when_there_is_more() -> None:
    hourly = timetable("0 * * * *", "Europe/Berlin")
    start, end = at("2026-03-28T22:00"), at("2026-03-29T04:00")
    assert [hourly.calendar(start, end, most).complete for most in (1, 5, 6, 7)] == [False, False, True, True]
    assert hourly.calendar(start, end, 3).warnings == ()
    assert hourly.calendar(start, end, 4).warnings == (GAP,)
    assert len(hourly.instants(start, end, 3)) == 3


# Instants, windows and bounds


def test_a_window_has_its_start_and_not_its_end() -> None:
    found = timetable("* * * * *", "UTC")
    start, end = at("2026-11-21T10:00"), at("2026-11-21T10:02")
    assert found.instants(start, end, 10) == [start, start + timedelta(minutes=1)]
    late = timedelta(microseconds=1)
    assert found.instants(start + late, end + late, 10) == [start + timedelta(minutes=1), end]
    assert found.instants(end, start, 10) == []
    assert (found.count(start + late, end + late), found.count(end, start)) == (2, 0)


def test_next_is_later_than_what_it_is_asked_for() -> None:
    found = timetable("0 3 * * *", "Asia/Kathmandu")
    due = at("2026-11-21T21:15")
    for after in (due - timedelta(microseconds=1), due - timedelta(days=1), due - timedelta(seconds=1)):
        assert found.next_after(after) == due
    assert found.next_after(due) == due + timedelta(days=1)
    assert found.next_after(due + timedelta(microseconds=1)) == due + timedelta(days=1)
    assert found.next_after(due.astimezone(ZoneInfo("America/New_York"))) == due + timedelta(days=1)


def test_a_time_without_a_zone_is_no_instant() -> None:
    with pytest.raises(TypeError):
        timetable("* * * * *", "UTC").next_after(NOW.replace(tzinfo=None))


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
@pytest.mark.parametrize("expression", ["* * * * *", "0 0 29 2 *", "30 2 * 3,10 0"])
def test_there_are_instants_from_1970_to_2999(expression: str, zone: str) -> None:
    found = timetable(expression, zone)
    earliest = found.next_after(datetime.min.replace(tzinfo=UTC))
    assert earliest is not None
    assert at("1970-01-01T00:00") <= earliest < at("1974-01-01T00:00")
    for late in (at("2999-12-31T23:59"), at("3000-01-01T00:00"), datetime.max.replace(tzinfo=UTC)):
        assert found.next_after(late) is None
        assert found.never_fires(late)
        assert found.count(late, datetime.max.replace(tzinfo=UTC)) == (late.year == 2999 and expression[0] == "*")
        assert len(found.instants(late, datetime.max.replace(tzinfo=UTC), 5)) <= 1


# What a caller wants to store


def test_a_schedule_that_is_understood_is_a_timetable() -> None:
    found = check_schedule("0 3 * * *", "Europe/Berlin", NOW)
    assert found.next_after(NOW) == at("2026-11-22T02:00")
    assert found == timetable("0 3 * * *", "Europe/Berlin")


@pytest.mark.parametrize(
    ("expression", "zone", "now", "message"),
    [
        ("61 * * * *", "UTC", NOW, "cron_string: minute, character 1: 61 is not from 0 to 59"),
        ("0 0 30 2 *", "UTC", NOW, "cron_string: day, character 5: no such day is in any of these months"),
        (
            "0 0 29 2 *",
            "UTC",
            at("2096-03-01T00:00"),
            "cron_string: day, character 5: no such day comes within 5 years",
        ),
        ("* * * * *", "UTC", at("3000-01-01T00:00"), "cron_string: day, character 5: no such day comes within 5 years"),
        ("* * * * *", "Europe/Nowhere", NOW, "timezone: is not a time zone; write a name of the IANA database"),
        ("* * * * * *", "Nowhere", NOW, "cron_string: field 6, character 11: there are 6 fields"),
    ],
)
def test_a_schedule_that_is_not_is_refused_by_name(expression: str, zone: str, now: datetime, message: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_schedule(expression, zone, now)
    assert refused.value.message.startswith(message)


def test_29_february_may_be_stored() -> None:
    assert check_schedule("0 0 29 2 *", "UTC", NOW).next_after(NOW) == at("2028-02-29T00:00")
