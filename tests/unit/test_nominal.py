"""The local times an expression names: the same as croniter says in UTC, and where croniter means something else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain import nominal
from core.domain.cron import parse_cron
from core.domain.nominal import count_times, next_day, next_time
from tests.support.crons import EPOCH, SECOND, expressions, moments, reading

MOMENTS = moments(1970, 2399)


def wall(moment: datetime) -> int:
    return (moment - EPOCH) // SECOND


def moment_of(seconds: int) -> datetime:
    return EPOCH + seconds * SECOND


def means_the_same(expression: str) -> bool:
    """Where croniter reads the text as we do: no range of one value, and no `*` within a field that has more, beside a
    second one that is written."""
    _, _, day, _, weekday = expression.split()
    ranges = [part.partition("/")[0].split("-") for field in expression.split() for part in field.split(",")]
    single = any(len(bounds) == 2 and bounds[0] == bounds[1] for bounds in ranges)
    return not single and ("*" in (day, weekday) or "*" not in day + weekday)


@settings(deadline=None)
@given(expressions().filter(means_the_same), MOMENTS)
def test_it_is_what_croniter_says_without_a_zone(expression: str, start: datetime) -> None:
    cron = parse_cron(expression, may_never_fire=True)
    if cron.never_fires:
        return
    walker = croniter(expression, start)
    at = wall(start)
    for _ in range(5):
        at = next_time(cron, at + 1)
        assert moment_of(at) == walker.get_next(datetime)


@settings(deadline=None)
@given(expressions(), MOMENTS)
def test_nothing_between_two_times_is_named(expression: str, start: datetime) -> None:
    cron = parse_cron(expression, may_never_fire=True)
    if cron.never_fires:
        return
    begun = wall(start)
    first = next_time(cron, begun)
    second = next_time(cron, first + 1)
    assert begun <= first < second
    assert next_time(cron, first) == first
    names = reading(expression)
    assert names(moment_of(first))
    assert names(moment_of(second))
    minute = start.replace(second=0, microsecond=0) + timedelta(minutes=1)
    for passed in range(min(1_000, (first - wall(minute)) // 60)):
        assert not names(minute + timedelta(minutes=passed))


@settings(deadline=None)
@given(expressions(), MOMENTS, st.integers(0, 60 * 86_400))
def test_counting_is_going_through_them(expression: str, start: datetime, seconds: int) -> None:
    cron = parse_cron(expression, may_never_fire=True)
    if cron.never_fires:
        return
    begun, end = wall(start), wall(start) + seconds
    count = count_times(cron, begun, end)
    if count <= 2_000:
        times = [next_time(cron, begun)]
        while times[-1] < end:
            times.append(next_time(cron, times[-1] + 1))
        assert count == len(times) - 1
    middle = begun + seconds // 3
    assert count_times(cron, begun, middle) + count_times(cron, middle, end) == count
    assert count_times(cron, end, begun) == 0


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("0 9-9 * * *", "0 9 * * *"),  # croniter 7 fires every hour
        ("5-5 * * * *", "5 * * * *"),  # and here every minute
        ("0 0 * * 3-3", "0 0 * * 3"),
        ("0 0 1-31 * */2", "0 0 * * *"),  # croniter 7 drops the day here and nowhere else
    ],
)
def test_where_croniter_means_something_else(ours: str, theirs: str) -> None:
    start = datetime(2026, 11, 20, tzinfo=UTC)
    literal, meant = croniter(ours, start), croniter(theirs, start)
    at = wall(start)
    wanted, given_back = [], []
    for _ in range(10):
        at = next_time(parse_cron(ours), at + 1)
        wanted.append(meant.get_next(datetime))
        assert moment_of(at) == wanted[-1]
        given_back.append(literal.get_next(datetime))
    assert given_back != wanted, (
        "croniter reads this as we do now; the reasons in core/domain/nominal.py are out of date"
    )


def test_29_february_and_the_year_without() -> None:
    cron = parse_cron("0 12 29 2 *")
    at, years = wall(datetime(2088, 1, 1, tzinfo=UTC)), []
    for _ in range(5):
        at = next_time(cron, at + 1)
        years.append(moment_of(at).year)
    assert years == [2088, 2092, 2096, 2104, 2108]


def test_a_day_or_a_weekday() -> None:
    at, days = wall(datetime(2026, 11, 1, tzinfo=UTC)), []
    for _ in range(6):
        at = next_time(parse_cron("0 0 13,14 * 5"), at + 1)
        days.append(moment_of(at).day)
    assert days == [6, 13, 14, 20, 27, 4]


def test_threads_do_not_disturb_each_other() -> None:
    rule = parse_cron("0 0 1,11,21 2-11 2").days
    days = range(20_000, 21_000)
    alone = [next_day(rule, day) for day in days]
    nominal._next_day.cache_clear()
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda day: next_day(rule, day), days)) == alone
    assert all(one <= other for one, other in pairwise(alone))
