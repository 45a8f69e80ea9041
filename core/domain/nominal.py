"""The local times a cron expression names, as if no clock were ever changed.

A local time is an integer here: the seconds from 1970-01-01 00:00 to it on a wall clock. croniter says which days an
expression means; the times within a day are found in the sets that the grammar read, because

- croniter 7 takes a range of one value, such as `9-9`, for the whole field, so it is given plain numbers only;
- one step of it takes 20 to 100 microseconds and is mostly spent within the day, where two shifts do;
- a day it found holds for every expression with the same days, so it is kept.
"""

from __future__ import annotations

from copy import copy
from functools import lru_cache
from typing import TYPE_CHECKING

from core.domain.cron import EVERY_DAY, Cron, DayRule, lowest

if TYPE_CHECKING:
    from croniter import croniter

DAY_SECONDS = 86_400

_MOST_CALENDARS = 4_096
"""Rules for days kept ready, at about 1 kB each. Few are in use at a time: `* * *`, weekdays, the first of a month."""

_MOST_DAYS = 16_384
"""Days found and kept, at about 250 bytes each: a tick of many schedules asks for the same few."""


def next_time(cron: Cron, wall: int) -> int:
    """The first local time at or after `wall` that the expression names. It must be able to fire at all."""
    day, second = divmod(wall, DAY_SECONDS)
    if next_day(cron.days, day) == day:
        time = _time_of_day(cron, -(-second // 60))
        if time is not None:
            return day * DAY_SECONDS + time * 60
        day += 1
    first = lowest(cron.hours) * 60 + lowest(cron.minutes)
    return next_day(cron.days, day) * DAY_SECONDS + first * 60


def count_times(cron: Cron, start: int, end: int) -> int:
    """How many local times in [start, end) the expression names: arithmetic, but for one look-up a day it names
    where it does not name every day."""
    if start >= end:
        return 0
    first_day, first_second = divmod(start, DAY_SECONDS)
    last_day, last_second = divmod(end - 1, DAY_SECONDS)
    if first_day == last_day:
        there = next_day(cron.days, first_day) == first_day
        return _before(cron, last_second + 1) - _before(cron, first_second) if there else 0
    count = 0
    if next_day(cron.days, first_day) == first_day:
        count += _a_day(cron) - _before(cron, first_second)
    if next_day(cron.days, last_day) == last_day:
        count += _before(cron, last_second + 1)
    return count + _a_day(cron) * _days_between(cron.days, first_day + 1, last_day)


def next_day(rule: DayRule, day: int) -> int:
    """The first day at or after `day` that the rule allows, both as days since 1970-01-01."""
    return day if rule is EVERY_DAY else _next_day(rule, day)


def _time_of_day(cron: Cron, minute: int) -> int | None:
    """The first minute of a day at or after this one that is named, 0 to 1439."""
    hour, minute = divmod(minute, 60)
    hours = cron.hours >> hour
    if hours & 1:
        minutes = cron.minutes >> minute
        if minutes:
            return hour * 60 + minute + lowest(minutes)
    later = hours >> 1
    return (hour + 1 + lowest(later)) * 60 + lowest(cron.minutes) if later else None


def _a_day(cron: Cron) -> int:
    return cron.hours.bit_count() * cron.minutes.bit_count()


def _before(cron: Cron, second: int) -> int:
    """How many of a day's named times lie before this second of it."""
    hour, minute = divmod(-(-second // 60), 60)
    whole = (cron.hours & ((1 << hour) - 1)).bit_count() * cron.minutes.bit_count()
    return whole + (cron.minutes & ((1 << minute) - 1)).bit_count() * (cron.hours >> hour & 1)


def _days_between(rule: DayRule, start: int, end: int) -> int:
    """How many days in [start, end) the rule allows."""
    if rule is EVERY_DAY:
        return end - start
    count = 0
    day = next_day(rule, start)
    while day < end:
        count += 1
        day = next_day(rule, day + 1)
    return count


@lru_cache(_MOST_DAYS)
def _next_day(rule: DayRule, day: int) -> int:
    # A croniter remembers where it is; the copy keeps two threads from moving the same one.
    walker = copy(_calendar(rule))
    return int(walker.get_next(float, start_time=day * DAY_SECONDS - 1.0)) // DAY_SECONDS


@lru_cache(_MOST_CALENDARS)
def _calendar(rule: DayRule) -> croniter:
    """Midnights of the days the rule allows."""
    from croniter import croniter  # 1 MiB and 9 ms, for those that reckon with days

    days, weekdays = _numbers(rule.days), _numbers(rule.weekdays)
    if not rule.either:
        days = "*" if rule.days == EVERY_DAY.days else days
        weekdays = "*" if rule.weekdays == EVERY_DAY.weekdays else weekdays
    return croniter(f"0 0 {days} {_numbers(rule.months)} {weekdays}", 0.0)


def _numbers(bits: int) -> str:
    return ",".join(str(value) for value in range(bits.bit_length()) if bits >> value & 1)
