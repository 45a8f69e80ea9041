"""Valkey flushed, and away: it only delivers."""

from __future__ import annotations

import asyncio

import pytest
from arq.jobs import Job
from redis.exceptions import RedisError

from core.store.deliveries import Delivery
from tests.faults import unguarded
from tests.faults.conftest import NewGround, Promise
from tests.faults.deletion import RECOVERY_SECONDS, Deletion
from tests.support.servers import RunningServer
from tests.support.waiting import now
from worker.transport import queue_name, send

OUTAGE_SECONDS = 5.0

BETWEEN_SECONDS = 0.25
"""Between two requests while Valkey is away: some twenty in all."""


async def test_flushed(new_ground: NewGround, promise: Promise) -> None:
    """Valkey flushed while one deletion runs and another is queued"""
    ground, other = await new_ground(), await new_ground()
    _, _, worker = await asyncio.gather(ground.start("api"), ground.start("scheduler"), ground.start("worker"))
    forgotten = await other.stage(300)
    assert await other.relay.run_once() == 1

    running = await ground.delete(3_000, locks=(0.5,))
    await running.locks[0].waited_for()
    await worker.freeze()
    queued = await ground.delete(300)
    await queued.until(lambda job: job.delivered, "the second deletion is in Redis")
    arq_job = Job(f"{await running.number()}:0", ground.redis, queue_name("bulk"))
    before = await arq_job.status()
    await ground.redis.flushall()
    after = await arq_job.status()
    began = now()
    worker.thaw()
    running.locks[0].release()
    accounts = [await running.accounted()]
    await queued.resumed(0)
    recovery = now() - began
    accounts.append(await queued.accounted())
    assert recovery <= RECOVERY_SECONDS
    assert (before, after) == ("in_progress", "not_found")

    assert await other.relay.run_once() == 0
    left = await forgotten.progress()
    assert (left.status, left.delivered, await other.redis.dbsize()) == ("queued", True, 0)
    assert (await other.rescuer.run_once()).forgotten == 1
    await other.finish()
    promise.kept(
        f"{accounts[0]} and {accounts[1]}; queued one taken up after {recovery:.1f} s",
        control=f"to arq the running one is {before.value}, then {after.value}; without the rescuer the other is lost",
    )


@pytest.mark.long
async def test_away(new_ground: NewGround, valkey: RunningServer, promise: Promise) -> None:
    """Valkey away for 5 s while deletions are accepted and one runs"""
    ground, other = await new_ground(), await new_ground()
    await asyncio.gather(ground.start("api"), ground.start("scheduler"), ground.start("worker"))
    running = await ground.delete(3_000, locks=(0.5,))
    await running.locks[0].waited_for()
    await valkey.stop()
    began = now()
    running.locks[0].release()
    accepted: list[Deletion] = []
    slowest = 0.0
    while now() - began < OUTAGE_SECONDS:
        flow = await ground.make_flow(30)
        asked = now()
        job_id = await ground.accept(flow)
        slowest = max(slowest, now() - asked)
        accepted.append(Deletion(ground, flow, job_id, await ground.version_ids(flow)))
        await asyncio.sleep(BETWEEN_SECONDS)  # the length of the outage is what is given here
    assert (await running.progress()).status == "completed"
    stranded = await other.stage(30)
    await unguarded.forget_to_stage(other.database, stranded.job_id)
    with pytest.raises(RedisError):
        await send(other.redis, [Delivery(await stranded.number(), 0, "bulk")])
    await valkey.start()
    back = now()
    accounts = [await deletion.accounted() for deletion in accepted]
    recovery = now() - back
    assert set(accounts) == {"30 = 30 + 0"}
    account = await running.accounted()
    assert recovery <= RECOVERY_SECONDS

    assert await other.relay.run_once() == 0
    assert (await other.rescuer.run_once()).forgotten == 0
    assert (await stranded.progress()).status == "queued"
    await other.finish()
    promise.kept(
        f"{account} meanwhile; {len(accepted)} accepted, slowest in {slowest:.2f} s, done {recovery:.1f} s after",
        control="handed over by the request itself, a job is committed and never delivered",
    )
