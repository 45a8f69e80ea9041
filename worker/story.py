"""What the jobs that tell somebody have to tell: the story of the job that ended."""

from __future__ import annotations

from core.domain.errors import NotFound
from core.domain.jobs import ClaimedJob, JobStory, PermanentFailure
from core.operations import stories
from worker.tools import Tools


async def recall(job: ClaimedJob, tools: Tools) -> JobStory:
    """The story of the job named in `job.arguments["job_id"]`.

    PermanentFailure `record_expired` when the ended job is older than the installation keeps records: then nobody
    waits for the news any more.
    """
    ended_id = job.arguments["job_id"]
    assert isinstance(ended_id, int)
    try:
        return await stories.read_story(tools.database, job.company_id, ended_id)
    except NotFound:
        raise PermanentFailure("record_expired", "The record of the ended job has expired.") from None
