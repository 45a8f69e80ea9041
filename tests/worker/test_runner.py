"""The runner: any delivery may come at any time, and every way of failing is written down or left to the rescuer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.domain.errors import Unavailable
from core.domain.jobs import LEASE_SECONDS, ClaimedJob, JobKind, JobStatus, PermanentFailure, TransientFailure
from core.operations.jobs import discard_job
from core.store.database import open_database
from tests.support.logs import Logs
from tests.support.machinery import Machinery
from tests.support.tenants import Tenant
from tests.support.wire import Wire
from tests.worker.steps import READER, age, read, stage
from worker.jobs import HANDLERS
from worker.runner import Runner
from worker.tools import Handler, Outcome, Tools


@pytest.mark.parametrize("name", ["{id}:1", "{id}:7", "999999999:0"])
async def test_a_delivery_of_another_attempt_or_of_nothing_is_stale(
    tenant: Tenant, machinery: Machinery, name: str
) -> None:
    job_id = await stage(tenant)
    number = (await read(tenant, job_id)).id
    assert await machinery.runner.run(name.format(id=number)) == "stale"
    assert await machinery.drain() == ["settled"]


async def test_a_second_copy_of_a_delivery_is_stale_while_the_first_runs(tenant: Tenant, machinery: Machinery) -> None:
    job_id = await stage(tenant)
    (name,) = await machinery.deliver()
    words = []

    async def disturbed(job: ClaimedJob, tools: Tools) -> Outcome:
        words.append(await machinery.runner.run(name))
        return await HANDLERS[job.kind](job, tools)

    words.append(await Runner(machinery.tools, {JobKind.DELETE_VERSIONS: disturbed}).run(name))
    assert words == ["stale", "settled"]
    assert (await read(tenant, job_id)).attempts == 1


async def test_a_delivery_of_an_ended_job_is_stale(tenant: Tenant, machinery: Machinery) -> None:
    await stage(tenant)
    (name,) = await machinery.deliver()
    assert [await machinery.runner.run(name), await machinery.runner.run(name)] == ["settled", "stale"]


async def test_a_stopping_worker_gives_way_after_a_batch(tenant: Tenant, machinery: Machinery) -> None:
    job_id = await stage(tenant, 2_500)
    machinery.tools.stopping.set()
    assert await machinery.step() == ["yielded"]
    between = await read(tenant, job_id)
    assert (between.status, between.removed) == (JobStatus.QUEUED, 1_000)
    assert machinery.hints == ["staged"], "the relay is told, so that the next worker begins at once"
    machinery.tools.stopping.clear()
    assert await machinery.drain() == ["settled"]
    after = await read(tenant, job_id)
    assert (after.removed, after.attempts) == (2_500, 2)


@pytest.mark.parametrize(
    ("failure", "word", "status"),
    [
        (TransientFailure("mail_deferred", "Later.", retry_after=3_600), "put off", JobStatus.QUEUED),
        (PermanentFailure("mail_refused", "Never."), "failed", JobStatus.FAILED),
    ],
)
@pytest.mark.leaves_jobs
async def test_a_failure_is_written_down(
    tenant: Tenant, machinery: Machinery, failure: Exception, word: str, status: JobStatus
) -> None:
    job_id = await stage(tenant, email=READER)
    await machinery.step()
    runner = Runner(machinery.tools, {JobKind.SEND_MAIL: _failing(failure)})
    (name,) = await machinery.deliver()
    assert await runner.run(name) == word
    (letter,) = (await read(tenant, job_id)).notifications
    assert (letter.status, f"{letter.error_code}: {letter.error_message}") == (status, str(failure))
    if word == "put off":
        due_in = await machinery.relay.due_in()
        assert due_in is not None
        assert 3_590 < due_in <= 3_600


@pytest.mark.leaves_jobs
async def test_a_mistake_of_ours_is_logged_and_told_without_details(
    tenant: Tenant, machinery: Machinery, logs: Logs
) -> None:
    job_id = await stage(tenant)
    runner = Runner(machinery.tools, {JobKind.DELETE_VERSIONS: _failing(KeyError("secret"))})
    (name,) = await machinery.deliver()
    logs.expect("A job failed in an unexpected way.")
    assert await runner.run(name) == "put off"
    job = await read(tenant, job_id)
    assert (job.error_code, job.error_message) == ("internal_error", "Something went wrong on our side.")
    assert len(logs.of("A job failed in an unexpected way.")) == 1


async def test_a_busy_database_is_no_mistake_of_ours(tenant: Tenant, machinery: Machinery) -> None:
    """Nothing is logged as an error, nothing is counted against the job; the rescuer has it later."""
    await stage(tenant)
    busy = Unavailable("The database is busy; try again.")
    (name,) = await machinery.deliver()
    assert await Runner(machinery.tools, {JobKind.DELETE_VERSIONS: _failing(busy)}).run(name) == "unreachable"
    await age(tenant, "leased_until", LEASE_SECONDS)
    assert (await machinery.rescuer.run_once()).expired == 1
    assert await machinery.drain() == ["settled"]


async def test_a_job_taken_away_is_let_go(tenant: Tenant, machinery: Machinery) -> None:
    job_id = await stage(tenant)

    async def discarded(job: ClaimedJob, tools: Tools) -> Outcome:
        await discard_job(tenant.principal, tenant.database, await read(tenant, job_id), tools.terms)
        return await HANDLERS[job.kind](job, tools)

    (name,) = await machinery.deliver()
    assert await Runner(machinery.tools, {JobKind.DELETE_VERSIONS: discarded}).run(name) == "lost"
    assert (await read(tenant, job_id)).status is JobStatus.CANCELLED


async def test_a_database_that_goes_away_leaves_the_job_to_the_rescuer(tenant: Tenant, machinery: Machinery) -> None:
    job_id = await stage(tenant)
    (name,) = await machinery.deliver()
    settings = machinery.tools.settings
    assert settings.database_url is not None
    async with (
        Wire(settings.database_url) as wire,
        open_database(replace(settings, database_url=wire.url), role="test", size=2) as database,
    ):

        async def cut_off(job: ClaimedJob, tools: Tools) -> Outcome:
            await wire.shut()
            return await HANDLERS[job.kind](job, tools)

        runner = Runner(replace(machinery.tools, database=database), {JobKind.DELETE_VERSIONS: cut_off})
        assert await runner.run(name) == "unreachable"
        assert await runner.run(name) == "stale", "nothing can be claimed either, and nothing is raised"
    assert (await read(tenant, job_id)).status is JobStatus.IN_PROGRESS
    await age(tenant, "leased_until", LEASE_SECONDS)
    assert (await machinery.rescuer.run_once()).expired == 1
    assert await machinery.drain() == ["settled"]


def _failing(failure: Exception) -> Handler:
    async def handler(_: ClaimedJob, __: Tools) -> Outcome:
        raise failure

    return handler
