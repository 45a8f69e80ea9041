"""The relay: nothing staged stays behind, and nothing is marked that was not sent."""

from __future__ import annotations

import asyncio

import pytest
from redis.exceptions import RedisError

from core.domain.jobs import JobKind
from core.store import deliveries, jobs
from core.store.database import Connection
from core.store.deliveries import Delivery
from tests.support.claiming import unlocked_claim
from tests.support.machinery import Machinery
from tests.support.servers import RunningServer
from tests.support.smtp import SmtpCatcher
from tests.support.tenants import Tenant, make_tenant
from tests.support.waiting import until
from tests.support.wire import Wire
from tests.worker.steps import READER, age, read, stage
from worker.jobs import HANDLERS
from worker.relay import BULK_CAP, LEASE, Relay
from worker.transport import connect, queue_name, send


async def claim(connection: Connection) -> list[Delivery]:
    return await deliveries.claim_staged(connection, limit=100, lease=LEASE, bulk_cap=100, dispatch_cap=100)


async def in_redis(machinery: Machinery) -> list[str]:
    return sorted(name.decode() for name in await machinery.redis.zrange(queue_name("bulk"), 0, -1))


async def test_delivers_what_is_staged_once(tenant: Tenant, machinery: Machinery) -> None:
    await stage(tenant)
    assert [await machinery.relay.run_once(), await machinery.relay.run_once()] == [1, 0]
    assert len(await in_redis(machinery)) == 1
    assert await machinery.drain() == ["settled"]


@pytest.mark.leaves_jobs
async def test_two_relays_share_what_is_staged(tenant: Tenant, machinery: Machinery) -> None:
    for number in range(20):
        await stage(await make_tenant(tenant.database, f"Company {number}"))
    relays = [machinery.relay, Relay(tenant.database, machinery.redis)]
    assert sum(await asyncio.gather(*(relay.run_once() for relay in relays))) == 20
    assert len(await in_redis(machinery)) == 20


@pytest.mark.leaves_jobs
async def test_a_control_whose_relays_claim_at_once_delivers_twice(tenant: Tenant, machinery: Machinery) -> None:
    """Without the lock that lets one relay claim at a time, the second finds what the first is just claiming."""
    await stage(tenant)
    async with tenant.database.connection() as first, tenant.database.connection() as second:
        statement = await unlocked_claim(first)
        transaction = first.transaction()
        await transaction.start()
        claimed = await first.fetch(statement, 100, LEASE, 100, 1_000, 64)
        waiting = asyncio.create_task(second.fetch(statement, 100, LEASE, 100, 1_000, 64))
        await _somebody_waits(tenant)
        await transaction.commit()
        assert [row["id"] for row in await waiting] == [row["id"] for row in claimed]


async def test_a_relay_that_dies_before_its_mark_is_made_up_for(tenant: Tenant, machinery: Machinery) -> None:
    job_id = await stage(tenant)
    (delivery,) = await tenant.database.transaction(claim)
    await send(machinery.redis, [delivery])

    assert await machinery.relay.run_once() == 0, "the claim of the dead relay still holds"
    await age(tenant, "relayed_until", LEASE.total_seconds())
    assert await machinery.relay.run_once() == 1
    assert await in_redis(machinery) == [delivery.name], "arq refuses what it still has"
    assert await machinery.drain() == ["settled"]
    assert await machinery.runner.run(delivery.name) == "stale"
    assert (await read(tenant, job_id)).attempts == 1


async def test_a_control_that_runs_every_delivery_writes_twice(
    tenant: Tenant, machinery: Machinery, smtp: SmtpCatcher
) -> None:
    """Without a claim each copy of a delivery is a run."""
    await stage(tenant, email=READER)
    await machinery.step()
    (name,) = await machinery.deliver()
    number, _, attempt = name.partition(":")
    async with tenant.database.connection() as connection:
        letter = await jobs.claim(connection, int(number), int(attempt), LEASE)
    assert letter is not None
    for _ in range(2):
        await HANDLERS[JobKind.SEND_MAIL](letter, machinery.tools)
    assert len(smtp.letters) == 2
    await age(tenant, "leased_until", LEASE.total_seconds())
    await machinery.rescuer.run_once()
    await machinery.drain()


async def test_marks_only_what_it_claimed(tenant: Tenant, machinery: Machinery) -> None:
    first = await stage(tenant)
    claimed = await tenant.database.transaction(claim)
    second = await stage(tenant)
    async with tenant.database.connection() as connection:
        await deliveries.mark_delivered(connection, claimed)
    await send(machinery.redis, claimed)
    assert await machinery.drain() == ["settled", "settled"]
    assert {(await read(tenant, job_id)).status for job_id in (first, second)} == {"completed"}


@pytest.mark.leaves_jobs
async def test_a_control_that_marks_everything_staged_loses_a_job(tenant: Tenant, machinery: Machinery) -> None:
    await stage(tenant)
    claimed = await tenant.database.transaction(claim)
    lost = await stage(tenant)
    await send(machinery.redis, claimed)
    async with tenant.database.connection() as connection:
        await connection.execute("UPDATE jobs SET deliver_at = NULL WHERE deliver_at IS NOT NULL")
    assert await machinery.drain() == ["settled"]
    assert not await machinery.rescuer.run_once()
    assert (await read(tenant, lost)).status == "queued"


async def test_a_late_mark_leaves_the_next_attempt_alone(tenant: Tenant, machinery: Machinery) -> None:
    """The job is claimed, fails and is staged again while the relay is still on its way to mark it."""
    job_id = await stage(tenant)
    (delivery,) = await tenant.database.transaction(claim)
    async with tenant.database.connection() as connection:
        job = await jobs.claim(connection, delivery.id, delivery.attempt, LEASE)
        assert job is not None
        await jobs.restage(connection, job.id, after=0, failures=1, error=None)
        await deliveries.mark_delivered(connection, [delivery])
    assert await machinery.drain() == ["settled"]
    assert (await read(tenant, job_id)).attempts == 2


async def test_what_redis_did_not_take_is_due_again_at_once(
    tenant: Tenant, machinery: Machinery, valkey: RunningServer
) -> None:
    await stage(tenant)
    async with Wire(valkey.url) as wire:
        redis = connect(wire.url)
        relay = Relay(tenant.database, redis)
        await wire.shut()
        with pytest.raises(RedisError):
            await relay.run_once()
        assert await in_redis(machinery) == []
        await wire.open()
        assert await relay.run_once() == 1
        await redis.aclose()
    assert await machinery.drain() == ["settled"]


async def test_a_company_waits_its_turn_and_no_other_does(
    tenant: Tenant, stranger: Tenant, machinery: Machinery
) -> None:
    for _ in range(BULK_CAP + 1):
        await stage(tenant)
    await stage(stranger)
    assert await machinery.relay.run_once() == BULK_CAP + 1
    assert await machinery.relay.run_once() == 0, "one of the company's waits until another has ended"
    assert await machinery.drain() == ["settled"] * (BULK_CAP + 2)


async def _somebody_waits(tenant: Tenant) -> None:
    """Returns when a session of this database waits for a lock."""

    async def waiting() -> bool:
        async with tenant.database.connection() as watcher:
            found = await watcher.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
        return bool(found)

    await until(waiting, "the second relay waits for the first")
