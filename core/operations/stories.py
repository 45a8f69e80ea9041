"""What letters and callbacks are made from."""

from __future__ import annotations

from core.domain.errors import NotFound
from core.domain.jobs import STORY_FAILURES, JobStory
from core.store import companies, job_items, jobs
from core.store.database import Database


async def read_story(database: Database, company_id: int, job_id: int) -> JobStory:
    """Everything there is to tell about one job. Raises NotFound when its record has expired."""
    async with database.connection() as connection:
        job = await jobs.read_by_number(connection, company_id, job_id)
        if job is None:
            raise NotFound("Job was not found")
        names = await companies.read_names(connection, company_id, job.flow_id)
        failures = await job_items.list_failures(connection, job_id, STORY_FAILURES)
    query = job.arguments.get("query")
    return JobStory(
        job=job,
        company_name=names.company,
        flow_name=names.flow,
        query=str(query) if query is not None else None,
        failures=failures,
    )


async def read_webhook_secrets(database: Database, company_id: int) -> list[str]:
    """What signs this company's callbacks, newest first."""
    async with database.connection() as connection:
        return await companies.secrets(connection, company_id)
