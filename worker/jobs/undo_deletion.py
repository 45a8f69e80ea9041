"""Takes a deletion back, batch by batch. Safe to run twice and to stop anywhere, like the deletion itself."""

from __future__ import annotations

from core.domain.jobs import ClaimedJob
from core.operations.undo import restore_batch
from worker.jobs.slices import run_slice
from worker.tools import Outcome, Tools


async def run(job: ClaimedJob, tools: Tools) -> Outcome:
    return await run_slice(job, tools, restore_batch)
