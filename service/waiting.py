"""`Prefer: respond-async, wait=N` (RFC 7240): the outcome in the same answer, if there is one in time."""

from __future__ import annotations

import re
import time

from core.domain.errors import Unavailable
from core.domain.jobs import Job
from core.operations.jobs import read_job
from core.store.database import UNREACHABLE
from service.calls import Call

MOST_WAIT_SECONDS = 30
"""Longer than this a caller should poll: proxies in between close what is silent for a minute."""

_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?([0-9]{1,6})\"?", re.ASCII | re.IGNORECASE)


def preferred_wait(call: Call) -> float:
    """Seconds the caller would rather wait than poll, at most 30; 0 without such a preference."""
    found = _WAIT.search(call.headers.get("Prefer", ""))
    return min(int(found[1]), MOST_WAIT_SECONDS) if found else 0


async def ended_within(call: Call, public_id: str, seconds: float) -> Job | None:
    """The job, once it has ended; None if it has not in this time.

    None, too, when nobody can be watched now: the job was accepted, and an error would say that it was not.
    """
    try:
        return await _ended(call, public_id, seconds)
    except (Unavailable, *UNREACHABLE):
        return None


async def _ended(call: Call, public_id: str, seconds: float) -> Job | None:
    deadline = time.monotonic() + seconds
    job = await read_job(call.principal, call.database, public_id)
    while not job.status.terminal:
        left = deadline - time.monotonic()
        if left <= 0 or not await call.service.watch.changed(job.id, job.revision, left):
            return None
        job = await read_job(call.principal, call.database, public_id)
    return job
