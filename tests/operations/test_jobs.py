"""Jobs seen from outside: failing, retrying, rescuing, discarding, expiring."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import timedelta

import pytest

from core.domain.access import ActorType, Principal
from core.domain.errors import Conflict, Forbidden, Gone, NotFound
from core.domain.identifiers import hex_id
from core.domain.jobs import MOST_FAILURES, ClaimedJob, Job, JobKind, JobStatus
from core.operations import deletions, jobs, undo
from core.operations.settling import JobLost
from tests.support.machinery import Machinery
from tests.support.smtp import SmtpCatcher
from tests.support.tenants import Tenant

OPERATOR = Principal(0, ActorType.CLI, None)
ERROR = ("mail_deferred", "Try later.")


async def claim(machinery: Machinery) -> ClaimedJob:
    """Delivers and claims the one staged job without running it."""
    (name,) = await machinery.deliver()
    job = await machinery.runner._claim(name)
    assert job is not None
    return job


async def read(tenant: Tenant, job_id: str) -> Job:
    return await jobs.read_job(tenant.principal, tenant.database, job_id)


async def staged(tenant: Tenant, items: int = 3) -> str:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, items)
    return await tenant.ask_deletion(flow)


async def make_due(tenant: Tenant) -> None:
    """As if the waits were over."""
    async with tenant.database.connection() as connection:
        await connection.execute("UPDATE jobs SET deliver_at = clock_timestamp() WHERE deliver_at IS NOT NULL")


async def expire_leases(tenant: Tenant) -> None:
    """As if every worker had been silent for long."""
    async with tenant.database.connection() as connection:
        await connection.execute(
            "UPDATE jobs SET leased_until = clock_timestamp() - interval '1 second' WHERE status = 'in_progress'"
        )


async def test_a_put_off_job_waits_its_time_under_a_new_attempt(tenant: Tenant, machinery: Machinery) -> None:
    job_id = await staged(tenant)
    job = await claim(machinery)
    assert await jobs.put_off_job(tenant.database, job, ERROR, after=3600, terms=machinery.tools.terms)
    waiting = await read(tenant, job_id)
    assert (waiting.status, waiting.error_code) == (JobStatus.QUEUED, "mail_deferred")
    assert await machinery.deliver() == []
    due_in = await machinery.relay.due_in()
    assert due_in is not None
    assert 3590 < due_in <= 3600
    await make_due(tenant)
    assert await machinery.drain() == ["settled"]
    ended = await read(tenant, job_id)
    assert (ended.status, ended.error_code, ended.attempts) == (JobStatus.COMPLETED, None, 2)


async def test_a_job_gives_up_after_so_many_failures(tenant: Tenant, machinery: Machinery) -> None:
    job_id = await staged(tenant)
    for failure in range(1, MOST_FAILURES + 1):
        job = await claim(machinery)
        again = await jobs.put_off_job(tenant.database, job, ERROR, after=0, terms=machinery.tools.terms)
        assert again is (failure < MOST_FAILURES)
    ended = await read(tenant, job_id)
    assert (ended.status, ended.reasons) == (JobStatus.FAILED, {"not_attempted": 3})


async def test_giving_up_after_removing_something_is_errored(tenant: Tenant, machinery: Machinery) -> None:
    job_id = await staged(tenant, items=30)
    job = await claim(machinery)
    await deletions.delete_batch(tenant.database, job, limit=10, terms=machinery.tools.terms)
    await jobs.fail_job(tenant.database, job, ("broken", "It broke."), machinery.tools.terms)
    ended = await read(tenant, job_id)
    assert (ended.status, ended.removed, ended.reasons) == (JobStatus.ERRORED, 10, {"not_attempted": 20})
    assert (ended.error_code, ended.error_message) == ("broken", "It broke.")


async def test_an_expired_lease_is_rescued_and_the_old_worker_shut_out(tenant: Tenant, machinery: Machinery) -> None:
    job_id = await staged(tenant, items=30)
    zombie = await claim(machinery)
    await deletions.delete_batch(tenant.database, zombie, limit=10, terms=machinery.tools.terms)
    await expire_leases(tenant)
    assert (await machinery.rescuer.run_once()).expired == 1
    with pytest.raises(JobLost):
        await deletions.delete_batch(tenant.database, zombie, limit=10, terms=machinery.tools.terms)
    heir = await claim(machinery)
    assert heir.attempt == zombie.attempt + 1
    with pytest.raises(JobLost):
        await deletions.delete_batch(tenant.database, zombie, limit=10, terms=machinery.tools.terms)
    with pytest.raises(JobLost):
        await jobs.fail_job(tenant.database, zombie, ERROR, machinery.tools.terms)
    await deletions.delete_batch(tenant.database, heir, limit=100, terms=machinery.tools.terms)
    assert (await read(tenant, job_id)).removed == 30


async def test_a_lease_that_is_alive_is_left_alone(tenant: Tenant, machinery: Machinery) -> None:
    job_id = await staged(tenant)
    job = await claim(machinery)
    assert not await machinery.rescuer.run_once()
    await deletions.delete_batch(tenant.database, job, limit=10, terms=machinery.tools.terms)
    assert (await read(tenant, job_id)).attempts == 1


async def test_progress_forgives_earlier_failures(tenant: Tenant, machinery: Machinery) -> None:
    """A job that loses worker after worker but gets on goes on; only standing still is bounded."""
    job_id = await staged(tenant, items=MOST_FAILURES + 5)
    for _ in range(MOST_FAILURES + 4):
        job = await claim(machinery)
        await deletions.delete_batch(tenant.database, job, limit=1, terms=machinery.tools.terms)
        await expire_leases(tenant)
        await machinery.rescuer.run_once()
    await machinery.drain()
    assert (await read(tenant, job_id)).status is JobStatus.COMPLETED


async def test_a_job_that_costs_every_worker_ends(tenant: Tenant, machinery: Machinery) -> None:
    job_id = await staged(tenant)
    for _ in range(MOST_FAILURES):
        await claim(machinery)
        await expire_leases(tenant)
        await machinery.rescuer.run_once()
    ended = await read(tenant, job_id)
    assert (ended.status, ended.error_code) == (JobStatus.FAILED, "worker_lost")


async def test_a_failed_letter_is_sent_again_under_the_same_message_id(
    tenant: Tenant, machinery: Machinery, smtp: SmtpCatcher
) -> None:
    smtp.answer("RCPT", "550 no such user")
    flow = await tenant.make_flow()
    job_id = await tenant.ask_deletion(flow, email="ops@example.com")
    assert await machinery.drain() == ["settled", "failed"]
    (told,) = (await read(tenant, job_id)).notifications
    assert (told.status, told.error_code) == (JobStatus.FAILED, "recipient_refused")
    assert (await read(tenant, job_id)).status is JobStatus.COMPLETED

    smtp.behave()
    letter = await jobs.find_job(tenant.database, told.job)
    assert letter is not None
    again = await jobs.retry_job(OPERATOR, tenant.database, letter, machinery.tools.terms.new_id())

    assert again != told.job, "a terminal state never changes"
    assert await machinery.drain() == ["done"]
    assert [caught.message["Message-ID"] for caught in smtp.letters] == [f"<{job_id}@penstock.example>"]
    assert [one.status for one in (await read(tenant, job_id)).notifications] == [
        JobStatus.FAILED,
        JobStatus.COMPLETED,
    ]


async def test_retrying_a_waiting_job_makes_it_due(tenant: Tenant, machinery: Machinery) -> None:
    job_id = await staged(tenant)
    await jobs.put_off_job(tenant.database, await claim(machinery), ERROR, after=3600, terms=machinery.tools.terms)
    assert await jobs.retry_job(OPERATOR, tenant.database, await read(tenant, job_id), "unused") == job_id
    assert await machinery.drain() == ["settled"]


async def test_an_ended_deletion_is_not_repeated(tenant: Tenant, machinery: Machinery) -> None:
    job_id = await staged(tenant)
    await jobs.cancel_job(tenant.principal, tenant.database, job_id, machinery.tools.terms)
    with pytest.raises(Conflict, match="send it again"):
        await jobs.retry_job(OPERATOR, tenant.database, await read(tenant, job_id), machinery.tools.terms.new_id())


async def test_discarding_ends_a_job_under_its_worker(tenant: Tenant, machinery: Machinery) -> None:
    job_id = await staged(tenant, items=20)
    job = await claim(machinery)
    await deletions.delete_batch(tenant.database, job, limit=5, terms=machinery.tools.terms)
    await jobs.discard_job(OPERATOR, tenant.database, await read(tenant, job_id), machinery.tools.terms)
    with pytest.raises(JobLost):
        await deletions.delete_batch(tenant.database, job, limit=5, terms=machinery.tools.terms)
    ended = await read(tenant, job_id)
    assert (ended.status, ended.removed, ended.reasons) == (JobStatus.CANCELLED, 5, {"not_attempted": 15})


@pytest.mark.parametrize("way", ["cancel", "discard"])
async def test_the_removal_of_a_flow_cannot_be_stopped_halfway(tenant: Tenant, machinery: Machinery, way: str) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 3)
    job_id = await deletions.accept_flow_deletion(
        tenant.principal, tenant.database, tenant.application_id, flow.id, public_id=machinery.tools.terms.new_id()
    )
    stopping: Awaitable[object]
    if way == "cancel":
        stopping = jobs.cancel_job(tenant.principal, tenant.database, job_id, machinery.tools.terms)
    else:
        stopping = jobs.discard_job(OPERATOR, tenant.database, await read(tenant, job_id), machinery.tools.terms)
    with pytest.raises(Conflict):
        await stopping
    await machinery.drain()
    assert (await read(tenant, job_id)).status is JobStatus.COMPLETED


async def test_an_interrupted_removal_of_a_flow_can_be_staged_anew(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 9)
    job_id = await deletions.accept_flow_deletion(
        tenant.principal, tenant.database, tenant.application_id, flow.id, public_id=machinery.tools.terms.new_id()
    )
    job = await claim(machinery)
    await deletions.delete_batch(tenant.database, job, limit=3, terms=machinery.tools.terms)
    await jobs.fail_job(tenant.database, job, ("broken", "It broke."), machinery.tools.terms)

    again = await jobs.retry_job(OPERATOR, tenant.database, await read(tenant, job_id), machinery.tools.terms.new_id())
    await machinery.drain()

    assert ((await read(tenant, job_id)).removed, (await read(tenant, again)).removed) == (3, 6)
    async with tenant.database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM flows WHERE id = $1", flow.id) == 0


async def test_an_interrupted_undo_can_be_staged_anew(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 9)
    deletion = await tenant.ask_deletion(flow)
    await machinery.drain()
    new_id = machinery.tools.terms.new_id
    first = await undo.accept_undo(tenant.principal, tenant.database, await read(tenant, deletion), public_id=new_id())
    job = await claim(machinery)
    await undo.restore_batch(tenant.database, job, limit=3, terms=machinery.tools.terms)
    await jobs.fail_job(tenant.database, job, ("broken", "It broke."), machinery.tools.terms)

    again = await jobs.retry_job(OPERATOR, tenant.database, await read(tenant, first), new_id())
    await machinery.drain()

    assert ((await read(tenant, first)).removed, (await read(tenant, again)).removed) == (3, 6)
    assert len(await tenant.names(flow)) == 9
    repeated = await undo.accept_undo(tenant.principal, tenant.database, await read(tenant, deletion), public_id="x")
    assert repeated == again, "a deletion has one undo"


async def test_an_undo_is_not_staged_anew_past_its_window(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 3)
    deletion = await tenant.ask_deletion(flow)
    await machinery.drain()
    new_id = machinery.tools.terms.new_id
    first = await undo.accept_undo(tenant.principal, tenant.database, await read(tenant, deletion), public_id=new_id())
    await jobs.fail_job(tenant.database, await claim(machinery), ("broken", "It broke."), machinery.tools.terms)
    async with tenant.database.connection() as connection:
        await connection.execute("UPDATE jobs SET undo_until = clock_timestamp() WHERE public_id = $1", deletion)
    with pytest.raises(Conflict, match="is over"):
        await jobs.retry_job(OPERATOR, tenant.database, await read(tenant, first), new_id())


async def test_expired_jobs_are_remembered_then_forgotten(
    tenant: Tenant, stranger: Tenant, machinery: Machinery, smtp: SmtpCatcher
) -> None:
    flow = await tenant.make_flow()
    job_id = await tenant.ask_deletion(flow, email="ops@example.com")
    await machinery.drain()
    job = await read(tenant, job_id)
    letter = job.notifications[0].job
    assert await jobs.expire_jobs(tenant.database, older_than=timedelta(hours=1), limit=10) == 0
    assert await jobs.expire_jobs(tenant.database, older_than=timedelta(0), limit=10) == 1

    for name in (job_id, hex_id(job.id), letter):
        with pytest.raises(Gone):
            await read(tenant, name)
        with pytest.raises(NotFound):
            await read(stranger, name)
    assert len(smtp.letters) == 1


async def test_a_job_does_not_expire_before_its_letter_has_ended(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.ask_deletion(flow, email="ops@example.com")
    assert await machinery.step() == ["settled"]
    assert await jobs.expire_jobs(tenant.database, older_than=timedelta(0), limit=10) == 0
    await machinery.drain()
    assert await jobs.expire_jobs(tenant.database, older_than=timedelta(0), limit=10) == 1


async def test_a_token_that_may_enqueue_nothing_may_read_no_jobs(tenant: Tenant, machinery: Machinery) -> None:
    job_id = await staged(tenant)
    await machinery.drain()
    reader = Principal(
        tenant.company_id,
        ActorType.API_TOKEN,
        99,
        application_id=tenant.application_id,
        scopes=frozenset({"all.Application.read"}),
    )
    for name in (job_id, "V1StGXR8_Z5jdHi6B-myT"):
        with pytest.raises(Forbidden):
            await jobs.read_job(reader, tenant.database, name)


async def test_a_token_sees_the_kinds_it_may_enqueue(tenant: Tenant, machinery: Machinery) -> None:
    job_id = await staged(tenant)
    flow = await tenant.make_flow("other")
    removal = await deletions.accept_flow_deletion(
        tenant.principal, tenant.database, tenant.application_id, flow.id, public_id=machinery.tools.terms.new_id()
    )
    await machinery.drain()
    cleaner = Principal(
        tenant.company_id,
        ActorType.API_TOKEN,
        99,
        application_id=tenant.application_id,
        scopes=frozenset({"flowVersions.delete"}),
    )
    assert (await jobs.read_job(cleaner, tenant.database, job_id)).kind is JobKind.DELETE_VERSIONS
    with pytest.raises(NotFound):
        await jobs.read_job(cleaner, tenant.database, removal)
    found, total = await jobs.list_jobs(cleaner, tenant.database, kinds=None, statuses=None, limit=10, offset=0)
    assert ([job.public_id for job in found], total) == ([job_id], 1)
