"""What is due one after the other, whichever way it is written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.dues import CronDues, Dues, EveryDues

START = datetime(2026, 3, 28, tzinfo=UTC)
MOMENTS = st.timedeltas(timedelta(), timedelta(days=2)).map(lambda ahead: START + ahead)
DUES = st.one_of(
    st.sampled_from(["* * * * *", "*/7 * * * *", "30 2 * * *", "0 */3 * * *"]).map(
        lambda text: CronDues(text, "Europe/Berlin")
    ),
    st.integers(1, 90_000).map(EveryDues),
)


@given(DUES, MOMENTS, MOMENTS)
def test_counting_listing_and_stepping_agree(dues: Dues, start: datetime, end: datetime) -> None:
    stepped: list[datetime] = []
    at = dues.following(start - timedelta(microseconds=1))
    while at is not None and at < end and len(stepped) < 400:
        stepped.append(at)
        at = dues.following(at)
    assert dues.instants(start, end, 400) == stepped
    if len(stepped) < 400:
        assert dues.count(start, end) == len(stepped)


def test_every_so_often_meets_the_same_instants_whenever_it_begins() -> None:
    ten = EveryDues(600)
    assert ten.following(START) == START + timedelta(minutes=10)
    assert ten.following(START - timedelta(seconds=1)) == START


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_only_a_moved_time_that_meets_another_is_merged(zone: str) -> None:
    dues = CronDues("30 2,3 * * *", zone)
    instants = dues.instants(datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 3, 30, tzinfo=UTC), 9)
    assert [dues.merges(at) for at in instants] == ([True] if zone == "Europe/Berlin" else [False, False])
