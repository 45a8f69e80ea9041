"""The fence: a worker whose job has moved on can change nothing, whatever it tries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from core.domain.jobs import LEASE_SECONDS, ClaimedJob
from core.operations.deletions import delete_batch
from core.operations.jobs import complete_job, fail_job, put_off_job, yield_job
from core.operations.settling import JobLost, Terms
from core.store import jobs
from core.store.database import Connection, Database
from tests.faults import unguarded
from tests.support.machinery import Machinery
from tests.support.tenants import Tenant
from tests.worker.steps import age, read, stage

ERROR = ("mail_deferred", "Later.")

Attempt = Callable[[Database, ClaimedJob, Terms], Awaitable[None]]


async def _delete(database: Database, job: ClaimedJob, terms: Terms) -> None:
    await delete_batch(database, job, limit=100, terms=terms)


async def _yield(database: Database, job: ClaimedJob, _: Terms) -> None:
    await yield_job(database, job)


async def _complete(database: Database, job: ClaimedJob, terms: Terms) -> None:
    await complete_job(database, job, terms)


async def _put_off(database: Database, job: ClaimedJob, terms: Terms) -> None:
    await put_off_job(database, job, ERROR, after=0, terms=terms)


async def _fail(database: Database, job: ClaimedJob, terms: Terms) -> None:
    await fail_job(database, job, ERROR, terms)


ATTEMPTS: tuple[Attempt, ...] = (_delete, _yield, _complete, _put_off, _fail)
"""Everything a worker can do to its job."""


async def claim(machinery: Machinery) -> ClaimedJob:
    (name,) = await machinery.deliver()
    job = await machinery.runner._claim(name)
    assert job is not None
    return job


async def drop(tenant: Tenant, machinery: Machinery) -> None:
    await age(tenant, "leased_until", LEASE_SECONDS)
    assert (await machinery.rescuer.run_once()).expired == 1


@pytest.mark.parametrize("attempt", ATTEMPTS)
@pytest.mark.parametrize("moment", ["queued again", "in another's hands", "ended"])
async def test_a_worker_that_lost_its_job_changes_nothing(
    tenant: Tenant, machinery: Machinery, attempt: Attempt, moment: str
) -> None:
    job_id = await stage(tenant)
    late = await claim(machinery)
    await drop(tenant, machinery)
    other = await claim(machinery) if moment == "in another's hands" else None
    if moment == "ended":
        await machinery.drain()
    before = await read(tenant, job_id)
    with pytest.raises(JobLost):
        await attempt(tenant.database, late, machinery.tools.terms)
    assert await read(tenant, job_id) == before
    if other is not None:
        await delete_batch(tenant.database, other, limit=100, terms=machinery.tools.terms)
    await machinery.drain()
    after = await read(tenant, job_id)
    assert (after.status, after.removed, after.failed, after.attempts) == ("completed", 3, 0, 2)


async def test_a_control_without_the_fence_counts_twice(tenant: Tenant, machinery: Machinery) -> None:
    job_id = await stage(tenant, 3)
    terms = machinery.tools.terms
    late = await claim(machinery)
    await delete_batch(tenant.database, late, limit=1, terms=terms)

    async def remember(connection: Connection) -> jobs.HeldJob:
        held = await jobs.hold(connection, late)
        assert held is not None
        return held

    remembered = await tenant.database.transaction(remember)
    await drop(tenant, machinery)
    other = await claim(machinery)
    await delete_batch(tenant.database, other, limit=1, terms=terms)
    await unguarded.move_without_fence(tenant.database, remembered, 1, terms)
    await delete_batch(tenant.database, other, limit=1, terms=terms)
    job = await read(tenant, job_id)
    assert (job.status, job.removed, job.reasons) == ("completed", 2, {"gone": 1}), "all three were removed"
