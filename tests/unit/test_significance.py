"""The tests behind "slower" and "fails more": known values, what they must not depend on, and how often they err."""

from __future__ import annotations

import random
from collections import Counter
from itertools import combinations
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.distributions import bucket_of
from core.domain.significance import (
    CONFIDENCE,
    LEAST_RUNS,
    Method,
    Ranks,
    Shares,
    Verdict,
    compare_ranks,
    compare_shares,
    share_interval,
)


def ranks(one: list[int], other: list[int]) -> Ranks:
    found = compare_ranks(Counter(one), Counter(other))
    assert found is not None
    return found


def shares(hits: int, of: int, other_hits: int, other_of: int) -> Shares:
    found = compare_shares(hits, of, other_hits, other_of)
    assert found is not None
    return found


def test_the_u_test_of_a_textbook_sample() -> None:
    """The example of SciPy's documentation of mannwhitneyu, with its value of the asymptotic method."""
    found = ranks([20, 11, 17, 12], [19, 22, 16, 29, 24])
    assert found.p_value == pytest.approx(0.11134688653314041)
    assert found.chance == 17 / 20


def test_the_u_test_with_ties() -> None:
    """By SciPy 1.17: mannwhitneyu([1, 2, 2, 3, 3, 3], [2, 3, 3, 4, 4], method="asymptotic")."""
    found = ranks([1, 2, 2, 3, 3, 3], [2, 3, 3, 4, 4])
    assert found.p_value == pytest.approx(0.14582541398394822)


@pytest.mark.parametrize(
    ("table", "p_value"),
    [((8, 10, 1, 6), 0.034965034965034965), ((7, 12, 0, 5), 0.04411764705882353), ((0, 5, 0, 9), 1.0)],
)
def test_fishers_test_of_known_tables(table: tuple[int, int, int, int], p_value: float) -> None:
    found = shares(*table)
    assert found.test is Method.FISHER
    assert found.p_value == pytest.approx(p_value)


def test_newcombes_interval_of_a_known_table() -> None:
    """Newcombe (1998), table II, case (a), method 10: 56/70 and 48/80 at 0.95 are 0.0524 to 0.3339 apart."""
    low, high = share_interval(48, 80, 56, 70, confidence=0.95)
    assert low == pytest.approx(0.0524, abs=5e-5)
    assert high == pytest.approx(0.3339, abs=5e-5)


def test_two_proportions_of_a_known_table() -> None:
    """A chi-squared test without Yates' correction is the same test."""
    found = shares(56, 70, 48, 80)
    assert found.test is Method.PROPORTIONS
    assert found.p_value == pytest.approx(0.008045081368196585)
    assert found.verdict is Verdict.LESS


@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_fishers_test_is_the_sum_of_the_tables_no_likelier(of: int, other_of: int, data: st.DataObject) -> None:
    hits, other_hits = data.draw(st.integers(0, min(of, 4))), data.draw(st.integers(0, min(other_of, 4)))
    found = shares(hits, of, other_hits, other_of)
    if found.test is Method.PROPORTIONS:
        return
    total = hits + other_hits
    ways = [comb(of, count) * comb(other_of, total - count) for count in range(total + 1)]
    no_likelier = sum(way for way in ways if way <= ways[hits])
    assert found.p_value == pytest.approx(no_likelier / sum(ways))


def test_the_u_test_is_near_what_every_arrangement_says() -> None:
    """The share of all ways to deal out twelve values in which U is as far from its middle. In the tails, where
    verdicts are, the normal distribution errs on the side of saying nothing; and more values bring it nearer."""
    deals = [set(deal) for deal in combinations(range(12), 6)]
    found = [ranks(sorted(deal), sorted(set(range(12)) - deal)) for deal in deals]
    distances = [round(abs(one.chance - 0.5), 9) for one in found]
    for one, distance in zip(found, distances, strict=True):
        exact = sum(other >= distance for other in distances) / len(distances)
        assert abs(one.p_value - exact) < 0.02
        assert one.p_value > exact or exact > 1 - CONFIDENCE


SAMPLES = st.lists(st.integers(-5, 5), min_size=1, max_size=60)


@given(SAMPLES, SAMPLES)
def test_the_other_way_round_it_is_the_opposite(one: list[int], other: list[int]) -> None:
    here, there = ranks(one, other), ranks(other, one)
    assert here.p_value == there.p_value
    assert here.chance == pytest.approx(1 - there.chance)
    assert 0 <= here.p_value <= 1
    opposite = {Verdict.MORE: Verdict.LESS, Verdict.LESS: Verdict.MORE}
    assert there.verdict is opposite.get(here.verdict, here.verdict)


@given(SAMPLES, SAMPLES)
def test_only_the_order_of_buckets_counts(one: list[int], other: list[int]) -> None:
    assert ranks([7 * value**3 for value in one], [7 * value**3 for value in other]) == ranks(one, other)


@given(st.integers(1, 10**7), st.integers(1, 10**7), st.floats(0, 1), st.floats(0, 1))
def test_shares_of_any_size_are_compared(of: int, other_of: int, share: float, other_share: float) -> None:
    hits, other_hits = int(of * share), int(other_of * other_share)
    here, there = shares(hits, of, other_hits, other_of), shares(other_hits, other_of, hits, of)
    assert here.p_value == pytest.approx(there.p_value, abs=1e-9)
    assert 0 <= here.p_value <= 1
    low, high = here.interval
    assert -1 <= low <= here.difference <= high <= 1
    if here.test is Method.PROPORTIONS and here.p_value < 1e-4:
        assert low * high > 0, "what is that certain has a sign"


def test_nothing_is_said_of_nothing() -> None:
    assert compare_shares(0, 0, 1, 2) is None
    assert compare_ranks({}, {1: 2}) is None
    assert shares(0, 10, 0, 10).verdict is Verdict.NONE
    assert shares(10, 10, 20, 20).p_value == 1
    assert ranks([4] * 100, [4] * 50).verdict is Verdict.NONE


def test_few_runs_make_nothing_slower() -> None:
    assert ranks([1] * (LEAST_RUNS - 1), [9] * 1_000).verdict is Verdict.TOO_FEW
    assert ranks([1] * LEAST_RUNS, [9] * LEAST_RUNS).verdict is Verdict.MORE


def durations(random_: random.Random, count: int, factor: float = 1.0) -> list[int]:
    """Log-normal, as durations are, with one in fifty that hangs; by their buckets."""
    return [
        bucket_of(factor * (30_000 if random_.random() < 0.02 else random_.lognormvariate(5, 0.5)))
        for _ in range(count)
    ]


def test_what_is_as_fast_is_seldom_called_slower_and_what_is_slower_is_found() -> None:
    """With the same seed the same samples. Of 500 pairs of the same, some five are expected to be told apart."""
    random_ = random.Random(20261121)
    wrong = sum(ranks(durations(random_, 60), durations(random_, 90)).p_value < 1 - CONFIDENCE for _ in range(500))
    assert wrong <= 12
    found = sum(ranks(durations(random_, 200), durations(random_, 200, 1.2)).verdict is Verdict.MORE for _ in range(50))
    assert found >= 35, "a fifth slower, in two hundred runs each"
