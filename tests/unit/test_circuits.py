"""Which runs go out next: the places there are, and runners that are left alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.circuits import CLOSED, choose, judge, probed
from core.domain.dispatch import (
    FIRST_OPEN_SECONDS,
    GIVE_UP_SECONDS,
    IN_FLIGHT_PER_RUNNER,
    LONGEST_OPEN_SECONDS,
    LONGEST_RUN_WAIT_SECONDS,
    MOST_RUN_TRIES,
    OPEN_AFTER,
    PROBE_SECONDS,
    Accepted,
    Candidate,
    Cause,
    Circuit,
    Ended,
    Failed,
    Outgoing,
    Report,
    Tried,
    runner_of,
    wait_seconds,
)
from core.domain.runs import RunStatus

NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)
URL = "https://runner.example/run?flow=1"
RUNNER = "https://runner.example/run"

CANDIDATE = Candidate(
    id=1, scheduled_for=NOW, schedule_id=7, message_key=None, flow_id=1, flow_version_id=1, version_name="v1",
    version_iteration=1, version_revision=1, digest=b"d", trigger="schedule", created_at=NOW, age_seconds=0.0,
    runner_url=URL, run_timeout_seconds=60,
)  # fmt: skip
RUN = Outgoing(
    id=1, scheduled_for=NOW, schedule_id=7, message_id="due_7_1", flow_id=1, flow_version_id=1, version="v1",
    iteration=1, revision=1, digest=b"d", trigger="schedule", attempt=1, created_at=NOW, began_at=NOW, payload=None,
    payload_type=None, runner_url=URL, run_timeout_seconds=60, body="{}",
)  # fmt: skip

FAILED = Failed(RUN, Cause.UNREACHABLE, "gone")
TAKEN = Accepted(RUN)
PROBE = replace(FAILED, run=replace(RUN, probes=True))
OPEN = Circuit(OPEN_AFTER, 3.0)
HALF_OPEN = Circuit(OPEN_AFTER, -1.0)


def half() -> float:
    return 0.5


def candidates(number: int, url: str | None = URL) -> list[Candidate]:
    return [replace(CANDIDATE, id=place, runner_url=url) for place in range(1, number + 1)]


def test_a_runner_is_its_url_without_the_query() -> None:
    assert runner_of(URL) == RUNNER
    assert runner_of("http://a:1/x?y#z") == "http://a:1/x"


def test_failures_in_a_row_open_the_circuit() -> None:
    one_short = judge({}, [FAILED] * (OPEN_AFTER - 1), half)
    assert one_short == {RUNNER: Circuit(OPEN_AFTER - 1)}
    opened = judge(one_short, [FAILED], half)[RUNNER]
    assert opened.is_open
    assert FIRST_OPEN_SECONDS / 2 <= (opened.open_seconds or 0) <= FIRST_OPEN_SECONDS


@pytest.mark.parametrize(
    "answered",
    [TAKEN, Ended(RUN, RunStatus.SUCCESS, None, None, Report()), Ended(RUN, RunStatus.FAILURE, Cause.REFUSED, "404"),
     Ended(RUN, RunStatus.FAILURE, Cause.BAD_ANSWER, "junk")],
)  # fmt: skip
def test_whoever_answers_is_there(answered: Tried) -> None:
    assert judge({RUNNER: OPEN}, [answered], half) == {RUNNER: CLOSED}
    assert judge({RUNNER: Circuit(2)}, [FAILED, answered], half) == {RUNNER: CLOSED}
    assert judge({}, [answered], half) == {}, "nothing was known, and nothing is to be written"


@pytest.mark.parametrize("cause", [Cause.TARGET_REFUSED, Cause.UNSIGNED])
def test_what_never_reached_the_runner_says_nothing_of_it(cause: Cause) -> None:
    assert judge({RUNNER: OPEN}, [Ended(RUN, RunStatus.FAILURE, cause, "no")], half) == {}
    assert judge({}, [Failed(RUN, Cause.INTERNAL, "no")], half) == {}


def test_failures_beside_an_open_circuit_are_no_news_but_for_the_probe() -> None:
    assert judge({RUNNER: OPEN}, [FAILED] * 30, half) == {}
    assert judge({}, [FAILED] * 64, half)[RUNNER].failures == OPEN_AFTER
    again = judge({RUNNER: HALF_OPEN}, [PROBE], half)[RUNNER]
    assert again.failures == OPEN_AFTER + 1
    assert (again.open_seconds or 0) > FIRST_OPEN_SECONDS


def test_a_runner_that_stays_away_is_looked_at_every_minute() -> None:
    circuit = HALF_OPEN
    for _ in range(20):
        circuit = judge({RUNNER: circuit}, [PROBE], half)[RUNNER]
    assert LONGEST_OPEN_SECONDS / 2 <= (circuit.open_seconds or 0) <= LONGEST_OPEN_SECONDS


def test_runs_for_a_runner_that_is_left_alone_wait() -> None:
    choice = choose(candidates(3), {RUNNER: OPEN}, [], 64, half)
    assert (choice.sending, choice.probes) == ([], {})
    assert [(wait.id, wait.reason) for wait in choice.waiting] == [(id_, Cause.CIRCUIT_OPEN) for id_ in (1, 2, 3)]
    assert all(3.0 <= wait.seconds <= 5.0 for wait in choice.waiting)


def test_one_run_looks_whether_the_runner_is_back() -> None:
    choice = choose(candidates(3), {RUNNER: HALF_OPEN}, [], 64, half)
    assert [one.id for one in choice.sending] == [1]
    assert choice.probes == {RUNNER: 1}
    assert [wait.id for wait in choice.waiting] == [2, 3]
    assert probed(HALF_OPEN).open_seconds == PROBE_SECONDS


def test_a_run_does_not_wait_for_ever() -> None:
    old = replace(CANDIDATE, age_seconds=GIVE_UP_SECONDS)
    choice = choose([old], {RUNNER: OPEN}, [], 64, half)
    assert [(one.id, cause) for one, cause, _ in choice.hopeless] == [(1, Cause.CIRCUIT_OPEN)]


def test_without_a_runner_there_is_no_hope() -> None:
    choice = choose(candidates(2, None), {}, [], 64, half)
    assert [cause for _, cause, _ in choice.hopeless] == [Cause.NO_RUNNER] * 2


def test_no_runner_takes_the_places_of_others() -> None:
    others = [replace(one, id=one.id + 100) for one in candidates(5, "https://other.example/")]
    choice = choose(candidates(90) + others, {}, [RUN] * 2, 62, half)
    urls = [one.runner_url for one in choice.sending]
    assert urls.count(URL) == IN_FLIGHT_PER_RUNNER - 2
    assert len(urls) == IN_FLIGHT_PER_RUNNER + 3
    assert not choice.waiting, "who finds no place stays in the batch"


@given(st.integers(0, 120), st.integers(0, 64), st.integers(0, 64), st.sampled_from([CLOSED, OPEN, HALF_OPEN]))
def test_nobody_is_forgotten_and_no_bound_is_broken(number: int, flying: int, room: int, circuit: Circuit) -> None:
    choice = choose(candidates(number), {RUNNER: circuit}, [RUN] * flying, room, half)
    assert len(choice.sending) <= min(room, max(0, IN_FLIGHT_PER_RUNNER - flying))
    assert len(choice.sending) + len(choice.waiting) <= number
    if circuit.is_suspect:
        assert len(choice.sending) <= 1


@pytest.mark.parametrize("attempt", range(1, MOST_RUN_TRIES + 1))
def test_waits_double_up_to_a_bound_and_end(attempt: int) -> None:
    failed = replace(FAILED, run=replace(RUN, attempt=attempt))
    wait = wait_seconds(failed, 0.999)
    if attempt == MOST_RUN_TRIES:
        assert wait is None
    else:
        longest = min(2.0 ** (attempt - 1), LONGEST_RUN_WAIT_SECONDS)
        assert wait is not None
        assert longest / 2 <= wait <= longest
        assert wait_seconds(replace(failed, retry_after=17.0), 0.5) == 17.0


def test_a_run_is_not_put_off_for_longer_than_an_hour_in_all() -> None:
    began = NOW + timedelta(seconds=GIVE_UP_SECONDS - 10)
    failed = replace(FAILED, run=replace(RUN, began_at=began), retry_after=9.0)
    assert wait_seconds(failed, 0.5) == 9.0
    assert wait_seconds(replace(failed, retry_after=11.0), 0.5) is None
