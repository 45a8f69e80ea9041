"""What tests of the loops arrange: a staged job, and the passing of time."""

from __future__ import annotations

from core.domain.jobs import Job
from core.operations import jobs
from tests.support.tenants import Tenant

READER = "ops@example.com"


async def stage(tenant: Tenant, versions: int = 3, *, email: str | None = None) -> str:
    """Accepts a deletion of this many versions; returns the job's public id."""
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, versions)
    return await tenant.ask_deletion(flow, email=email)


async def read(tenant: Tenant, job_id: str) -> Job:
    return await jobs.read_job(tenant.principal, tenant.database, job_id)


async def age(tenant: Tenant, column: str, seconds: float) -> None:
    """As if this much time had passed for every job that has such an instant."""
    async with tenant.database.connection() as connection:
        await connection.execute(f"UPDATE jobs SET {column} = {column} - make_interval(secs => $1)", seconds)
