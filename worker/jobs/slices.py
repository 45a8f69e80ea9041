"""How a bulk job works: batch after batch, each one transaction, until it has ended or its slice is over."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from core.domain.jobs import FIRST_BATCH, SLICE_SECONDS, ClaimedJob, next_batch_size
from core.operations.jobs import yield_job
from core.operations.settling import Batch, Terms
from core.store.database import Database
from worker.tools import Outcome, Tools


class RunBatch(Protocol):
    """An operation that does up to `limit` items in one fenced transaction."""

    def __call__(self, database: Database, job: ClaimedJob, /, *, limit: int, terms: Terms) -> Awaitable[Batch]: ...


async def run_slice(job: ClaimedJob, tools: Tools, run_batch: RunBatch) -> Outcome:
    """Runs batches sized to hold their locks for BATCH_SECONDS; gives way after SLICE_SECONDS or when told to stop."""
    clock = tools.clock
    deadline = clock.monotonic() + SLICE_SECONDS
    size = FIRST_BATCH
    while True:
        began = clock.monotonic()
        batch = await run_batch(tools.database, job, limit=size, terms=tools.terms)
        if batch.finished:
            return Outcome.SETTLED
        now = clock.monotonic()
        size = next_batch_size(batch.items, now - began)
        if now >= deadline or tools.stopping.is_set():
            await yield_job(tools.database, job)
            return Outcome.YIELDED
