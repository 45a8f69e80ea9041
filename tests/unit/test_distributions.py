"""Buckets hold what they say, add up in any order, and are as exact as the documents tell."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.distributions import BILLION, ERROR, SMALLEST, Distribution, Stat, billionths, bucket_of, middle_of

LARGEST = 10**15

VALUES = st.one_of(
    st.floats(-LARGEST, LARGEST, allow_nan=False),
    st.integers(-LARGEST, LARGEST),
    st.floats(-1e-6, 1e-6),
    st.sampled_from([0, 0.0, -0.0, 1, -1, 2**40, SMALLEST, -SMALLEST, 5e-324, LARGEST, -LARGEST]),
)


def spread(values: list[int | float]) -> Distribution:
    found = Distribution()
    for value in values:
        found.add(billionths(value))
    return found


@given(VALUES)
def test_a_bucket_is_as_wide_as_the_error_allows(value: float) -> None:
    middle = middle_of(bucket_of(value))
    if abs(value) < SMALLEST:
        assert middle == 0
    else:
        assert abs(Fraction(middle) - Fraction(value)) <= Fraction(abs(value)) * Fraction(ERROR)


@given(VALUES, VALUES)
def test_buckets_are_in_the_order_of_what_they_hold(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert bucket_of(low) <= bucket_of(high)
    assert middle_of(bucket_of(low)) <= middle_of(bucket_of(high))


@given(VALUES)
def test_every_bucket_fits_where_it_is_kept(value: float) -> None:
    assert -(2**15) <= bucket_of(value) < 2**15
    assert bucket_of(middle_of(bucket_of(value))) == bucket_of(value)


@given(st.lists(VALUES, min_size=1, max_size=60), st.floats(0, 1))
def test_a_percentile_is_as_near_as_told_to_the_value_of_its_rank(values: list[int | float], share: float) -> None:
    found = spread(values).percentile(share)
    assert found is not None
    rounded = sorted(billionths(value) / BILLION for value in values)
    right = rounded[max(1, math.ceil(share * len(values))) - 1]
    assert abs(found - right) <= max(abs(right) * ERROR * (1 + 1e-9), SMALLEST)


@given(st.lists(VALUES, max_size=40), st.randoms(use_true_random=False))
def test_parts_add_up_to_the_whole_in_any_order(values: list[int | float], chance: random.Random) -> None:
    parts: list[list[int | float]] = [[] for _ in range(5)]
    for value in values:
        chance.choice(parts).append(value)
    chance.shuffle(parts)
    whole = Distribution()
    for part in parts:
        whole.merge(spread(part))
    assert whole == spread(values)


@given(VALUES)
def test_a_value_is_rounded_to_billionths(value: int | float) -> None:
    assert abs(Fraction(billionths(value), BILLION) - Fraction(value)) <= Fraction(1, 2 * BILLION)


@pytest.mark.parametrize(
    ("value", "rounded"),
    [(0.1, 100_000_000), (-0.1, -100_000_000), (3, 3 * BILLION), (4e-10, 0), (6e-10, 1), (-6e-10, -1), (1e15, 10**24)],
)
def test_rounding(value: float, rounded: int) -> None:
    assert billionths(value) == rounded


def test_what_is_told_of_few_values() -> None:
    none = Distribution()
    assert [none.tell(stat) for stat in Stat] == [None] * len(Stat)
    assert none.deviation is None
    one = spread([7])
    assert {stat: one.tell(stat) for stat in Stat} == dict.fromkeys(Stat, 7) | {Stat.COUNT: 1}
    some = spread([1, 2, 3, 4, 100])
    assert (some.tell(Stat.AVG), some.tell(Stat.SUM), some.tell(Stat.MIN), some.tell(Stat.MAX)) == (22, 110, 1, 100)
    assert some.deviation == pytest.approx(43.62, abs=0.01)
