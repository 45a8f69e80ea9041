"""How long to wait: doubling, bounded, and spread."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.backoff import LONGEST_WAIT_SECONDS, backoff_seconds
from core.domain.jobs import MOST_FAILURES

FRACTIONS = st.floats(0, 1, exclude_max=True)


def test_it_doubles_from_the_first_wait_to_the_longest() -> None:
    waits = [backoff_seconds(failures, 0.0) for failures in range(1, MOST_FAILURES + 1)]
    assert waits == [0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 450, 450]


def test_a_job_is_tried_for_about_an_hour_in_all() -> None:
    """The bound on failures rests on this."""
    pauses = range(1, MOST_FAILURES)
    least = sum(backoff_seconds(failures, 0.0) for failures in pauses)
    most = sum(backoff_seconds(failures, 0.999) for failures in pauses)
    assert 900 < least < most < 3600


@given(st.integers(1, 10**6), FRACTIONS)
def test_it_lies_in_the_upper_half_of_its_ceiling(failures: int, fraction: float) -> None:
    ceiling = min(LONGEST_WAIT_SECONDS, 2.0 ** min(failures - 1, 100))
    assert ceiling / 2 <= backoff_seconds(failures, fraction) <= ceiling


@given(st.integers(1, 60), FRACTIONS)
def test_it_never_shrinks_with_more_failures(failures: int, fraction: float) -> None:
    assert backoff_seconds(failures, fraction) <= backoff_seconds(failures + 1, fraction)


@pytest.mark.parametrize(("first", "longest", "expected"), [(0.1, 0.3, [0.1, 0.2, 0.3, 0.3]), (10, 5, [5, 5, 5, 5])])
def test_both_ends_can_be_set(first: float, longest: float, expected: list[float]) -> None:
    waits = [backoff_seconds(failures, 1.0, first, longest) for failures in range(1, 5)]
    assert waits == pytest.approx(expected)
