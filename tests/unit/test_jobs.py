"""The states of a job, and how a batch finds its size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain import job_log
from core.domain.jobs import (
    BATCH_SECONDS,
    CHUNK_SIZE,
    DELETION_KINDS,
    FIRST_BATCH,
    ITEM_KINDS,
    LEASE_SECONDS,
    LEAST_BATCH,
    MARKET_KINDS,
    NOTIFICATION_KINDS,
    QUEUES,
    SHOWN_KINDS,
    SLICE_SECONDS,
    JobKind,
    JobStatus,
    PermanentFailure,
    TransientFailure,
    next_batch_size,
)


def test_a_job_ends_in_four_ways() -> None:
    assert {status for status in JobStatus if status.terminal} == {
        JobStatus.COMPLETED,
        JobStatus.FAILED,
        JobStatus.ERRORED,
        JobStatus.CANCELLED,
    }


def test_every_kind_has_a_queue_and_a_purpose() -> None:
    assert {kind.queue for kind in JobKind} == set(QUEUES)
    assert {*SHOWN_KINDS, *NOTIFICATION_KINDS, JobKind.DISPATCH_RUNS, JobKind.STOP_RUN} == set(JobKind)
    assert {*ITEM_KINDS, *MARKET_KINDS} == set(SHOWN_KINDS)
    assert set(DELETION_KINDS) < set(ITEM_KINDS)
    assert not {kind.queue for kind in ITEM_KINDS} & {kind.queue for kind in NOTIFICATION_KINDS}, (
        "a slow receiver of letters must not hold up a delete"
    )


@given(st.integers(1, CHUNK_SIZE), st.floats(1e-6, 100))
def test_a_batch_stays_within_bounds_and_at_most_doubles(items: int, seconds: float) -> None:
    size = next_batch_size(items, seconds)
    assert LEAST_BATCH <= size <= CHUNK_SIZE
    assert size <= max(LEAST_BATCH, 2 * items)


@given(st.integers(LEAST_BATCH, CHUNK_SIZE), st.floats(1e-6, 100))
def test_a_batch_aims_at_its_time(items: int, seconds: float) -> None:
    """If rows go on costing what they did, the next batch takes no longer than it should, unless it is the least."""
    size = next_batch_size(items, seconds)
    assert size == LEAST_BATCH or size * (seconds / items) <= BATCH_SECONDS * 1.0001


@given(st.floats(0.5e-6, 2e-4))
def test_batches_settle(seconds_per_item: float) -> None:
    """From the first batch on it takes a few steps to where two batches in a row have the same size."""
    size = FIRST_BATCH
    sizes = []
    for _ in range(10):
        size = next_batch_size(size, size * seconds_per_item)
        sizes.append(size)
    assert abs(sizes[-1] - sizes[-2]) <= 1


@pytest.mark.parametrize(("items", "seconds"), [(0, 1.0), (100, 0.0), (100, -1.0)])
def test_a_batch_that_says_nothing_starts_over(items: int, seconds: float) -> None:
    assert next_batch_size(items, seconds) == FIRST_BATCH


def test_the_bounds_fit_each_other() -> None:
    assert LEAST_BATCH <= FIRST_BATCH <= CHUNK_SIZE
    assert BATCH_SECONDS <= 0.05, "others' writes wait for a batch"
    assert BATCH_SECONDS < LEASE_SECONDS < SLICE_SECONDS, "each batch renews the lease, a slice outlives one"


def test_a_failure_says_what_happened_in_a_word_and_a_sentence() -> None:
    for failure in (PermanentFailure("refused", "No."), TransientFailure("busy", "Later.", retry_after=3.0)):
        assert str(failure) == f"{failure.code}: {failure.message}"
    assert TransientFailure("busy", "Later.").retry_after is None
    assert TransientFailure("busy", "Later.", retry_after=3.0).retry_after == 3.0


def test_losants_job_log_has_a_word_for_all_it_shows() -> None:
    assert set(job_log.NAMES) == set(DELETION_KINDS)
    assert set(job_log.STATUSES) == set(JobStatus)
