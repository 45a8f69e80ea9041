"""Relays and rescuers that die, stop and meet each other."""

from __future__ import annotations

import asyncio

import pytest
from arq.constants import job_key_prefix

from core.operations.deletions import delete_batch
from core.operations.settling import JobLost
from core.store.queries import query
from tests.faults import unguarded
from tests.faults.conftest import NewGround, Promise
from tests.faults.deletion import RECOVERY_SECONDS
from tests.faults.ground import Ground
from tests.support.machinery import open_machinery
from tests.support.waiting import now
from tests.support.wire import Wire
from worker.transport import queue_name


@pytest.mark.long
async def test_relay_killed_before_its_mark(new_ground: NewGround, promise: Promise) -> None:
    """relay killed between Redis and its mark"""
    ground, other = await new_ground(), await new_ground()
    lost = await other.stage(300)
    await unguarded.mark_before_sending(other.database)
    async with Wire(ground.database_url) as wire:
        _, scheduler = await asyncio.gather(ground.start("api"), ground.start("scheduler", DATABASE_URL=wire.url))
        stop = wire.stop_before(query("deliveries.mark_delivered"))
        deletion = await ground.delete(3_000, locks=(0.5,))
        await stop.reached()
        await scheduler.kill()
        stop.drop()
    began = now()
    async with open_machinery(ground.database, ground.settings) as slow:
        (name,) = await slow.deliver()  # a worker has taken the first copy, and takes its time
        await ground.start("scheduler")
        await deletion.until(lambda job: job.delivered, "a second relay has delivered it again")
        recovery = now() - began
        assert await ground.redis.zcard(queue_name("bulk")) == 1
        await ground.start("worker")
        await deletion.locks[0].waited_for()
        copy = asyncio.create_task(slow.runner.run(name))
        deletion.locks[0].release()
        assert await copy == "stale"
        account = await deletion.accounted()
        assert await slow.runner.run(name) == "stale"
    assert (await deletion.progress()).attempt == 1
    assert recovery <= RECOVERY_SECONDS

    assert await other.relay.run_once() == 0
    assert await other.redis.zcard(queue_name("bulk")) == 0
    assert (await lost.progress()).status == "queued"
    await other.finish()
    promise.kept(
        f"{account}; delivered twice, run once, recovery {recovery:.1f} s",
        control="a relay that marks first loses the job",
    )


@pytest.mark.long
async def test_relay_stopped_after_its_claim(new_ground: NewGround, promise: Promise) -> None:
    """relay stopped between its claim and Redis"""
    ground, other = await new_ground(), await new_ground()
    kept = await other.stage(300)
    await unguarded.claim_for_good(other.database)
    async with Wire(ground.redis_url) as wire:
        stop = wire.stop_before(job_key_prefix)
        _, stopped = await asyncio.gather(ground.start("api"), ground.start("scheduler", REDIS_URL=wire.url))
        deletion = await ground.delete(300)
        await stop.reached()
        await stopped.freeze()
        began = now()
        await ground.roles.start_all("scheduler", "worker")
        account = await deletion.accounted()
        recovery = now() - began
        assert recovery <= RECOVERY_SECONDS
        settled = await ground.snapshot()
        stopped.thaw()
        stop.release()
        await stopped.end()
        assert await ground.snapshot() == settled

    assert await other.relay.run_once() == 0
    assert (await kept.progress()).status == "queued"
    await other.finish()
    promise.kept(f"{account}; done after {recovery:.1f} s", control="a claim that does not run out keeps its job")


async def test_two_rescuers(new_ground: NewGround, promise: Promise) -> None:
    """two rescuers at once on one dropped job"""
    ground, other = await new_ground(), await new_ground()
    _, worker = await asyncio.gather(ground.start("api"), ground.start("worker"))
    async with ground.relaying():
        deletion = await ground.delete(3_000, locks=(0.5,))
        session = await deletion.locks[0].waited_for()
        await worker.kill()
        deletion.locks[0].release()
        await ground.session_is(session, "gone")
    await deletion.expire_lease()
    async with Wire(ground.database_url) as wire:
        stop = wire.stop_before(query("jobs.restage_job"))
        await ground.start("scheduler", DATABASE_URL=wire.url)
        await stop.reached()
        second = await ground.rescuer.run_once()
        stop.release()
        rescued = await deletion.until(lambda job: job.status == "queued", "the first rescuer has rescued it")
        third = await ground.rescuer.run_once()
        assert (second.expired, rescued.failures, rescued.attempt, third.expired) == (0, 1, 1, 0)
        await ground.start("worker")
        account = await deletion.accounted()
        assert (await deletion.progress()).attempt == 2
        await ground.roles.end()

    failures = await _rescue_without_lock(other)
    promise.kept(
        f"{account}; rescued once", control=f"without the lock {failures} failures for one, and a living worker lost it"
    )


async def _rescue_without_lock(ground: Ground) -> int:
    """Both have seen the expired lease before either acts; a worker takes the job up in between."""
    deletion = await ground.stage(300)
    await deletion.claim()
    await deletion.expire_lease()
    found = [await unguarded.find_expired_without_lock(ground.database) for _ in range(2)]
    await unguarded.restage_what_was_found(ground.database, found[0])
    living = await deletion.claim()
    await unguarded.restage_what_was_found(ground.database, found[1])
    with pytest.raises(JobLost):
        await delete_batch(ground.database, living, limit=100, terms=ground.terms)
    failures = (await deletion.progress()).failures
    assert failures == 2
    await ground.finish()
    return failures
