"""Deletes an accepted set of versions, batch by batch. Also empties a flow that is being removed.

Safe to run twice and to stop anywhere: each batch is one fenced transaction that reads where it is from the job's row.
The worker holds ids, never documents.
"""

from __future__ import annotations

from core.domain.jobs import ClaimedJob
from core.operations.deletions import delete_batch
from worker.jobs.slices import run_slice
from worker.tools import Outcome, Tools


async def run(job: ClaimedJob, tools: Tools) -> Outcome:
    return await run_slice(job, tools, delete_batch)
