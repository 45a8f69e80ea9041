"""Each due instant has exactly one account, whatever happens between two claims."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.accounting import MOST_AT_ONCE, MOST_CATCHUP, Account, Entry, Gap, Pause, Standing, account
from core.domain.dues import CronDues, Dues, EveryDues
from core.domain.runs import Reason, RunStatus
from core.domain.stored_schedules import OverlapPolicy

MINUTELY = CronDues("* * * * *", "UTC")
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def standing(
    next_due: datetime = NOON,
    *,
    dues: Dues = MINUTELY,
    active: int = 0,
    buffered: int = 0,
    overlap: OverlapPolicy = OverlapPolicy.ALLOW,
    window: timedelta = timedelta(minutes=10),
    withheld: Reason | None = None,
) -> Standing:
    return Standing(dues, next_due, active, buffered, overlap, window, withheld)


def told(found: Account) -> list[tuple[str, str | None, bool]]:
    return [(entry.status.value, entry.reason and entry.reason.value, entry.buffered) for entry in found.entries]


def test_an_instant_in_time_is_run() -> None:
    found = account(standing(), NOON + timedelta(seconds=1))
    assert found.entries == [Entry(NOON, RunStatus.QUEUED, None, False)]
    assert (found.next_due, found.active, found.gaps) == (NOON + MINUTE, 1, [])


@pytest.mark.parametrize("reason", [Reason.PAUSED, Reason.DISABLED])
def test_what_is_withheld_is_skipped_and_says_why(reason: Reason) -> None:
    found = account(standing(withheld=reason), NOON)
    assert told(found) == [("skipped", reason, False)]
    assert found.active == 0


def test_skip_runs_nothing_while_an_earlier_run_goes_on() -> None:
    assert told(account(standing(overlap=OverlapPolicy.SKIP, active=1), NOON)) == [("skipped", "overlap", False)]
    assert told(account(standing(overlap=OverlapPolicy.SKIP), NOON)) == [("queued", None, False)]


def test_allow_runs_beside_an_earlier_run() -> None:
    found = account(standing(active=3), NOON)
    assert told(found) == [("queued", None, False)]
    assert found.active == 4


def test_buffer_one_lets_the_last_of_them_wait() -> None:
    first = account(standing(overlap=OverlapPolicy.BUFFER_ONE, active=1), NOON)
    assert told(first) == [("queued", None, True)]
    assert (first.active, first.buffered, first.superseded) == (1, 1, False)
    second = account(standing(overlap=OverlapPolicy.BUFFER_ONE, active=1, buffered=1), NOON)
    assert told(second) == [("queued", None, True)]
    assert second.superseded, "the one that waited is skipped, which its caller counts"


def test_buffer_one_catches_up_with_the_first_and_the_last() -> None:
    found = account(standing(overlap=OverlapPolicy.BUFFER_ONE), NOON + 3 * MINUTE)
    assert told(found) == [
        ("queued", None, False),
        ("skipped", "overlap", False),
        ("skipped", "overlap", False),
        ("queued", None, True),
    ]
    assert (found.active, found.buffered, found.superseded) == (1, 1, False)


def test_a_single_instant_outside_the_window_is_a_row() -> None:
    found = account(standing(dues=CronDues("0 12 * * *", "UTC")), NOON + 11 * MINUTE)
    assert told(found) == [("missed", "missed", False)]
    assert (found.next_due, found.gaps) == (NOON + timedelta(days=1), [])


def test_one_at_the_edge_of_the_window_is_run() -> None:
    assert told(account(standing(dues=CronDues("0 12 * * *", "UTC")), NOON + 10 * MINUTE)) == [("queued", None, False)]


def test_an_outage_of_a_night_is_one_gap_and_a_window_of_runs() -> None:
    now = NOON + timedelta(hours=8)
    found = account(standing(), now)
    assert found.gaps == [Gap(NOON, now - 10 * MINUTE, 470, Reason.MISSED)]
    assert [entry.at for entry in found.entries] == [now - n * MINUTE for n in range(10, -1, -1)]
    assert found.next_due == now + MINUTE


def test_catching_up_takes_a_hundred_at_once_and_a_thousand_in_all() -> None:
    now, day = NOON + timedelta(hours=23), timedelta(days=1)
    found = account(standing(window=day), now)
    assert len(found.entries) == MOST_AT_ONCE
    assert [(gap.first, gap.instants, gap.reason) for gap in found.gaps] == [(NOON, 381, Reason.MISSED)]
    runs = len(found.entries)
    while found.next_due is not None and found.next_due <= now:
        found = account(standing(found.next_due, window=day), now)
        runs += len(found.entries)
        assert found.gaps == []
    assert runs == MOST_CATCHUP


def test_what_was_due_while_firing_was_paused_says_so_on_either_side_of_the_window() -> None:
    now = NOON + timedelta(hours=1)
    pauses = [Pause(NOON + 10 * MINUTE, NOON + 20 * MINUTE), Pause(NOON + 58 * MINUTE, None)]
    found = account(standing(), now, pauses)
    assert [(gap.instants, gap.reason.value) for gap in found.gaps] == [
        (10, "missed"), (10, "firing_paused"), (30, "missed"),
    ]  # fmt: skip
    assert [reason for _, reason, _ in told(found)] == [None] * 8 + ["firing_paused"] * 3


def test_nothing_is_due_twice_by_a_clock_that_went_back() -> None:
    found = account(standing(), NOON)
    assert found.next_due is not None
    assert found.next_due > NOON


def test_a_long_pause_is_a_gap_with_its_reason() -> None:
    found = account(standing(withheld=Reason.PAUSED), NOON + timedelta(days=30))
    assert [(gap.instants, gap.reason) for gap in found.gaps] == [(43_190, Reason.PAUSED)]


DUES = st.one_of(
    st.sampled_from(["* * * * *", "*/15 * * * *", "0 * * * *", "30 2 * * *", "0 12 * * 1"]).flatmap(
        lambda text: st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe"]).map(
            lambda zone: CronDues(text, zone)
        )
    ),
    st.integers(20, 7_200).map(EveryDues),
)
START = datetime(2026, 3, 28, 12, tzinfo=UTC)


@given(
    DUES,
    st.lists(st.timedeltas(timedelta(milliseconds=1), timedelta(hours=20)), min_size=1, max_size=12),
    st.sampled_from(OverlapPolicy),
    st.sampled_from([timedelta(), timedelta(minutes=10), timedelta(days=1)]),
    st.sampled_from([None, Reason.PAUSED]),
    st.lists(st.timedeltas(timedelta(), timedelta(days=4)), max_size=4, unique=True),
)
def test_every_instant_has_exactly_one_account(
    dues: Dues,
    waits: list[timedelta],
    overlap: OverlapPolicy,
    window: timedelta,
    withheld: Reason | None,
    switched: list[timedelta],
) -> None:
    """Claims at any times, with pauses of firing in between: rows and gaps together are what was due, each once."""
    edges = [START + offset for offset in sorted(switched)]
    pauses = [Pause(began, ended) for began, ended in zip(edges[::2], edges[1::2], strict=False)]
    now, next_due, active, buffered = START, dues.following(START), 0, 0
    accounted: list[datetime] = []
    for wait in waits:
        now += wait
        while next_due is not None and next_due <= now:
            found = account(
                standing(
                    next_due, dues=dues, active=active, buffered=buffered, overlap=overlap, window=window,
                    withheld=withheld,
                ),
                now,
                pauses,
            )  # fmt: skip
            parts = [(gap.first, gap) for gap in found.gaps] + [(entry.at, entry) for entry in found.entries]
            for at, part in sorted(parts, key=lambda pair: pair[0]):
                inside = [at] if isinstance(part, Entry) else dues.instants(at, part.until, 1 << 20)
                assert isinstance(part, Entry) or part.instants == len(inside)
                accounted += inside
            assert found.next_due is None or found.next_due > next_due, "every claim gets on"
            next_due, active, buffered = found.next_due, found.active, found.buffered
    assert accounted == dues.instants(START + timedelta(microseconds=1), now + timedelta(microseconds=1), 1 << 20)
    assert all(earlier < later for earlier, later in pairwise(accounted))
