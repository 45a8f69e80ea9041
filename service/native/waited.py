"""What is answered when one thing is to become of a job: the thing itself for those who wait, else where to ask."""

from __future__ import annotations

from collections.abc import Mapping

from core.domain.jobs import JobStatus
from service.calls import Answer, Call
from service.waiting import ended_within, preferred_wait


async def succeeded_within(call: Call, public_id: str) -> Mapping[str, object] | None:
    """What the job has come to; None if the caller would not wait, or it has not completed in time."""
    seconds = preferred_wait(call)
    job = await ended_within(call, public_id, seconds) if seconds else None
    return job.outcome if job is not None and job.status is JobStatus.COMPLETED else None


def queued(public_id: str, message: str) -> Answer:
    """The shape of a bulk delete's answer, with a sentence for people."""
    body = {"success": True, "jobQueued": True, "jobId": public_id, "message": message}
    return Answer(202, body, {"Location": f"/api/v1/jobs/{public_id}", "Retry-After": "1"})


def shown(text: bytes, headers: Mapping[str, str] | None = None) -> Answer:
    """A thing that is JSON already."""
    return Answer(200, b'{"data":' + text + b"}", headers or {})
