"""Bulk deletion: what is matched, what is removed, and that every item is accounted for."""

from __future__ import annotations

from core.domain.jobs import JobStatus
from core.operations import jobs
from tests.support.machinery import Machinery
from tests.support.smtp import SmtpCatcher
from tests.support.tenants import Tenant


async def test_removes_what_matched_and_tells_it_once(
    tenant: Tenant, machinery: Machinery, smtp: SmtpCatcher
) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 3)
    await tenant.make_version(flow, "keep")
    job_id = await tenant.ask_deletion(flow, {"version": {"$ne": "keep"}}, email="ops@example.com")

    assert await machinery.drain() == ["settled", "done"]

    job = await jobs.read_job(tenant.principal, tenant.database, job_id)
    assert (job.status, job.total, job.removed, job.failed) == (JobStatus.COMPLETED, 3, 3, 0)
    assert await tenant.names(flow) == ["keep"]
    assert [letter.message["Message-ID"] for letter in smtp.letters] == [f"<{job_id}@penstock.example>"]
