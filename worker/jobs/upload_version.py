"""Brings an accepted version to the marketplace.

Safe to run twice and to stop anywhere: everything up to the last transaction is made in memory, and that one puts the
item there and ends the job. The artifact is the same each time, and the same artifact is the same item.
"""

from __future__ import annotations

from core.domain.jobs import ClaimedJob
from core.operations.uploads import keep_artifact, make_artifact
from worker.tools import Outcome, Tools


async def run(job: ClaimedJob, tools: Tools) -> Outcome:
    made, key = await make_artifact(tools.database, job, instance=tools.settings.public_url)
    await keep_artifact(tools.database, job, made, key, tools.terms)
    return Outcome.SETTLED
