"""Deletes an accepted set of versions, batch by batch. Also empties a flow that is being removed.

Safe to run twice and to stop anywhere: each batch is one fenced transaction that reads where it is from the job's row.
The worker holds ids, never documents.
"""

from __future__ import annotations

from core.domain.jobs import FIRST_BATCH, SLICE_SECONDS, ClaimedJob, next_batch_size
from core.operations.deletions import delete_batch
from core.operations.jobs import yield_job
from worker.tools import Outcome, Tools


async def run(job: ClaimedJob, tools: Tools) -> Outcome:
    clock = tools.clock
    deadline = clock.monotonic() + SLICE_SECONDS
    size = FIRST_BATCH
    while True:
        began = clock.monotonic()
        batch = await delete_batch(tools.database, job, limit=size, terms=tools.terms)
        if batch.finished:
            return Outcome.SETTLED
        now = clock.monotonic()
        size = next_batch_size(batch.items, now - began)
        if now >= deadline or tools.stopping.is_set():
            await yield_job(tools.database, job)
            return Outcome.YIELDED
