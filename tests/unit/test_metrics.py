"""Periods, what counts for what, and which names are kept: without a database."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.metrics import MOST_NAMES, Ending, Interval, MetricType, Place, Tally, fold, interval_for

NOON = datetime(2026, 11, 21, 12, 34, 56, 789_012, tzinfo=UTC)


def ending(at: datetime = NOON, status: str = "success", **given: object) -> Ending:
    known: dict[str, object] = {
        "number": 1, "attempts": 1, "duration_us": None, "lateness_us": None, "payload_bytes": None, "metrics": None
    }  # fmt: skip
    return Ending(1, 2, 3, status, at, **{**known, **given})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("interval", "begun", "over"),
    [
        (Interval.FIVE_MINUTES, "2026-11-21T12:30:00+00:00", "2026-11-21T12:35:00+00:00"),
        (Interval.HOUR, "2026-11-21T12:00:00+00:00", "2026-11-21T13:00:00+00:00"),
        (Interval.DAY, "2026-11-21T00:00:00+00:00", "2026-11-22T00:00:00+00:00"),
    ],
)
def test_periods_are_those_of_utc(interval: Interval, begun: str, over: str) -> None:
    for at in (NOON, NOON.astimezone(timezone(timedelta(hours=5, minutes=45)))):
        assert (interval.floor(at).isoformat(), interval.ceiling(at).isoformat()) == (begun, over)
    assert interval.ceiling(interval.floor(NOON)) == interval.floor(NOON)


@given(st.datetimes(timezones=st.just(UTC)), st.sampled_from(Interval))
def test_a_period_has_the_instant_it_is_of(at: datetime, interval: Interval) -> None:
    assert timedelta() <= at - interval.floor(at) < timedelta(seconds=interval.seconds)


def test_one_ending_is_in_three_periods() -> None:
    found = fold([ending(duration_us=1_500, lateness_us=-7, payload_bytes=9, attempts=2)], {})
    assert [place.interval for place in found] == [*Interval]
    for place, tally in found.items():
        assert place == Place(1, 2, 3, place.interval, place.interval.floor(NOON))
        assert dict(tally.counts) == {"success": 1, "attempts": 2}
        told = {kind: tally.of(kind).sum for kind in (MetricType.DURATION, MetricType.LATENESS, MetricType.PAYLOAD)}
        assert told == {"duration": 1.5, "lateness": 0, "payload": 9}, "a clock that was set back is not early"


def test_periods_add_up() -> None:
    endings = [ending(NOON + timedelta(minutes=7 * n), duration_us=n * 1000) for n in range(200)]
    found = fold(endings, {})
    for interval in Interval:
        whole = Tally()
        for place, tally in found.items():
            if place.interval is interval:
                whole.merge(tally)
        assert whole.counts["success"] == 200
        assert whole.of(MetricType.DURATION).sum == sum(range(200))


def test_what_was_not_run_is_only_counted() -> None:
    found = fold([ending(status="missed", number=480, attempts=0), ending(status="missed", number=-3, attempts=0)], {})
    for tally in found.values():
        assert (dict(tally.counts), tally.distributions) == ({"missed": 477}, {})


def test_the_first_names_of_a_day_are_kept() -> None:
    many = [ending(metrics=json.dumps({f"n{n}-{m}": 1 for m in range(100)})) for n in range(3)]
    next_day = ending(NOON + timedelta(days=1), metrics='{"late":1}')
    known = {(3, Interval.DAY.floor(NOON)): {"known"}}
    found = fold([*many, ending(metrics='{"known":2}'), next_day], known)
    tally = found[Place(1, 2, 3, Interval.DAY, Interval.DAY.floor(NOON))]
    assert len(tally.distributions) == MOST_NAMES
    assert (MetricType.CUSTOM, "known") in tally.distributions
    assert tally.left_out == 300 - (MOST_NAMES - 1)
    assert len(known[3, Interval.DAY.floor(NOON)]) == MOST_NAMES
    assert known[3, Interval.DAY.floor(next_day.ended_at)] == {"late"}


@pytest.mark.parametrize(
    ("days", "interval"), [(0, "5m"), (6, "5m"), (7, "hour"), (30, "hour"), (31, "day"), (900, "day")]
)
def test_a_summary_is_made_of_what_is_certainly_kept(days: int, interval: str) -> None:
    assert interval_for(NOON - timedelta(days=days), NOON) == interval
