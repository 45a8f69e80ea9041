"""Makes a flow out of an item of the marketplace.

Safe to run twice and to stop anywhere: the file is verified in memory, and one transaction makes the flow and ends the
job.
"""

from __future__ import annotations

from core.domain.jobs import ClaimedJob
from core.operations.installs import fetch_artifact, install_item
from worker.tools import Outcome, Tools


async def run(job: ClaimedJob, tools: Tools) -> Outcome:
    arrival = await fetch_artifact(tools.database, job)
    await install_item(tools.database, job, arrival, tools.terms)
    return Outcome.SETTLED
