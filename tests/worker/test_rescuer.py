"""The rescuer: what was dropped comes back once, and what is alive is left alone."""

from __future__ import annotations

import asyncio

import pytest
from arq.constants import in_progress_key_prefix, job_key_prefix, retry_key_prefix
from redis.exceptions import RedisError

from core.domain.jobs import LEASE_SECONDS, ClaimedJob, JobStatus
from core.operations.deletions import delete_batch
from core.store import jobs
from core.store.database import Connection
from tests.faults import unguarded
from tests.support.machinery import Machinery
from tests.support.servers import RunningServer
from tests.support.tenants import Tenant
from tests.support.wire import Wire
from tests.worker.steps import age, read, stage
from worker.rescuer import FORGOTTEN_AFTER, Rescuer
from worker.runner import DEADLINE_SECONDS
from worker.transport import ARQ_SECONDS, TAKEN_SECONDS, UNCLAIMED_SECONDS, connect

JUST_TAKEN = int((TAKEN_SECONDS - UNCLAIMED_SECONDS) * 1000) + 5_000
LONG_TAKEN = int((TAKEN_SECONDS - UNCLAIMED_SECONDS) * 1000) - 1
"""Milliseconds that arq's mark on a delivery still has."""


async def claim(machinery: Machinery) -> ClaimedJob:
    (name,) = await machinery.deliver()
    job = await machinery.runner._claim(name)
    assert job is not None
    return job


async def forgotten(machinery: Machinery) -> int:
    return (await machinery.rescuer.run_once()).forgotten


async def test_a_dropped_job_comes_back_under_a_new_attempt(tenant: Tenant, machinery: Machinery) -> None:
    job_id = await stage(tenant)
    job = await claim(machinery)
    assert (await machinery.rescuer.run_once()).expired == 0
    await age(tenant, "leased_until", LEASE_SECONDS)
    assert (await machinery.rescuer.run_once()).expired == 1
    assert await machinery.deliver() == [f"{job.id}:{job.attempt}"]
    assert await machinery.runner.run(f"{job.id}:{job.attempt}") == "settled"
    assert (await read(tenant, job_id)).attempts == 2


async def test_two_rescuers_rescue_once(tenant: Tenant, machinery: Machinery) -> None:
    for _ in range(5):
        await stage(tenant)
        await claim(machinery)
        await age(tenant, "leased_until", LEASE_SECONDS)
        rescuers = [machinery.rescuer, Rescuer(tenant.database, machinery.redis, machinery.tools.terms)]
        rescued = await asyncio.gather(*(rescuer.run_once() for rescuer in rescuers))
        assert sum(each.expired for each in rescued) == 1
        assert await machinery.drain() == ["settled"]


async def test_a_control_whose_rescuers_only_look_rescues_twice(tenant: Tenant, machinery: Machinery) -> None:
    job_id = await stage(tenant)
    job = await claim(machinery)
    await age(tenant, "leased_until", LEASE_SECONDS)
    found = [await unguarded.find_expired_without_lock(tenant.database) for _ in range(2)]
    for each in found:
        await unguarded.restage_what_was_found(tenant.database, each)
    async with tenant.database.connection() as connection:
        assert await connection.fetchval("SELECT failures FROM jobs WHERE id = $1", job.id) == 2
    assert await machinery.drain() == ["settled"]
    assert (await read(tenant, job_id)).status is JobStatus.COMPLETED


async def test_a_job_in_the_middle_of_a_transaction_is_left_alone(tenant: Tenant, machinery: Machinery) -> None:
    """However late: whoever holds the row is alive, and the batch that commits renews the lease."""
    await stage(tenant)
    job = await claim(machinery)
    await age(tenant, "leased_until", LEASE_SECONDS)

    async def work(connection: Connection) -> None:
        assert await jobs.hold(connection, job) is not None
        assert (await machinery.rescuer.run_once()).expired == 0

    await tenant.database.transaction(work)
    assert (await delete_batch(tenant.database, job, limit=10, terms=machinery.tools.terms)).finished


async def test_what_redis_forgot_is_staged_again_under_its_id(tenant: Tenant, machinery: Machinery) -> None:
    await stage(tenant)
    (name,) = await machinery.deliver()
    assert await forgotten(machinery) == 0, "it may just be on its way"
    await age(tenant, "delivered_at", FORGOTTEN_AFTER.total_seconds())
    await machinery.redis.set(retry_key_prefix + name, 1)
    assert await forgotten(machinery) == 1
    assert await machinery.redis.keys("*") == []
    assert await machinery.deliver() == [name]
    assert await machinery.runner.run(name) == "settled"


async def test_what_waits_in_its_queue_is_left_alone(tenant: Tenant, machinery: Machinery) -> None:
    """However long: workers may be busy, and a second copy would only get in the way."""
    await stage(tenant)
    await machinery.relay.run_once()
    await age(tenant, "delivered_at", 3_600)
    assert await forgotten(machinery) == 0
    assert await machinery.drain() == ["settled"]


@pytest.mark.parametrize(("left", "rescued"), [(JUST_TAKEN, 0), (LONG_TAKEN, 1)])
async def test_what_a_dead_worker_took_is_given_to_another(
    tenant: Tenant, machinery: Machinery, left: int, rescued: int
) -> None:
    await stage(tenant)
    await machinery.relay.run_once()
    await age(tenant, "delivered_at", 3_600)
    (key,) = await machinery.redis.keys(f"{job_key_prefix}*")
    mark = in_progress_key_prefix + key.decode().removeprefix(job_key_prefix)
    await machinery.redis.psetex(mark, left, b"1")
    assert await forgotten(machinery) == rescued
    assert await machinery.redis.exists(mark) == 1 - rescued
    assert await machinery.drain() == ["settled"]


def test_arq_never_ends_a_job_before_the_runner_does() -> None:
    assert DEADLINE_SECONDS < ARQ_SECONDS


async def test_leases_are_seen_to_while_redis_is_away(
    tenant: Tenant, machinery: Machinery, valkey: RunningServer
) -> None:
    await stage(tenant)
    await stage(tenant)
    first, second = await machinery.deliver()
    job = await machinery.runner._claim(first)
    assert job is not None
    await age(tenant, "leased_until", LEASE_SECONDS)
    await age(tenant, "delivered_at", FORGOTTEN_AFTER.total_seconds())
    async with Wire(valkey.url) as wire:
        redis = connect(wire.url)
        await wire.shut()
        with pytest.raises(RedisError):
            await Rescuer(tenant.database, redis, machinery.tools.terms).run_once()
        await redis.aclose()
    assert await machinery.drain() == ["settled"], "the one whose lease ran out"
    assert await machinery.runner.run(second) == "settled"
