"""An API that is killed around its answer."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from core.domain.flows import Flow
from tests.faults.conftest import NewGround, Promise
from tests.faults.deletion import RECOVERY_SECONDS, Deletion
from tests.faults.ground import Ground
from tests.support.waiting import now, until
from tests.support.wire import Wire
from worker.transport import queue_name


async def test_killed_after_202(new_ground: NewGround, promise: Promise) -> None:
    """API killed -9 right after a 202, its hint to the relay lost"""
    ground, other = await new_ground(), await new_ground()
    async with Wire(ground.redis_url) as wire:
        api, _, _ = await asyncio.gather(
            ground.start("api", REDIS_URL=wire.url), ground.start("scheduler"), ground.start("worker")
        )
        wire.stop_before("PUBLISH")
        flow = await ground.make_flow(3_000)
        ids = await ground.version_ids(flow)
        async with ground.undelivered():
            deletion = Deletion(ground, flow, await ground.accept(flow), ids)
            await api.kill()
            await ground.start("api")
            await ground.create(flow, "after")
    began = now()
    deletion.spared = {"after": None}
    account = await deletion.accounted()
    recovery = now() - began
    assert recovery <= RECOVERY_SECONDS

    forgetful = await other.roles.launch("forgetful", "tests.faults.forgetful", other.redis_url)
    address = (await forgetful.said("listening"))["url"]
    async with aiohttp.ClientSession() as session, session.post(f"{address}/1") as answer:
        assert answer.status == 202
        await forgetful.kill()
    assert await other.redis.zcard(queue_name("bulk")) == 0
    promise.kept(
        f"{account}; done after {recovery:.1f} s", control="an API that hands over after its answer took the job along"
    )


async def test_killed_before_its_answer(ground: Ground, promise: Promise) -> None:
    """API killed before its answer, the request repeated under its key"""
    await ground.roles.start_all("scheduler", "worker")
    flows = [await ground.make_flow(300) for _ in range(3)]
    uncommitted, committed, without_key = flows
    ids = {flow.id: await ground.version_ids(flow) for flow in flows}
    keys = {flow.id: {"Idempotency-Key": f"nightly {flow.id}"} for flow in (uncommitted, committed)}
    await _ask_in_vain(ground, uncommitted, after_commit=False, **keys[uncommitted.id])
    await _ask_in_vain(ground, committed, after_commit=True, **keys[committed.id])
    await _ask_in_vain(ground, without_key, after_commit=True)
    assert [len(await ground.job_ids(flow)) for flow in flows] == [0, 1, 1]

    await ground.start("api")
    accounts = []
    for flow in (uncommitted, committed):
        job_id = await ground.accept(flow, **keys[flow.id])
        assert await ground.accept(flow, **keys[flow.id]) == job_id
        assert await ground.job_ids(flow) == [job_id]
        accounts.append(await Deletion(ground, flow, job_id, ids[flow.id]).accounted())

    await ground.accept(without_key)
    await until(ground.idle, "everything has ended")
    doubled = await ground.job_ids(without_key)
    letters = [caught for caught in ground.smtp.letters if any(each.encode() in caught.content for each in doubled)]
    assert (len(doubled), len(letters)) == (2, 2)
    promise.kept(
        f"{accounts[0]} and {accounts[1]}; one job and one letter each",
        control=f"without a key one wish became {len(doubled)} jobs with {len(letters)} letters",
    )


async def _ask_in_vain(ground: Ground, flow: Flow, *, after_commit: bool, **headers: str) -> None:
    """A request whose API dies just before or just after its commit: either way nobody answers."""
    async with Wire(ground.database_url) as wire:
        api = await ground.start("api", DATABASE_URL=wire.url)
        stop = wire.stop_after("COMMIT") if after_commit else wire.stop_before("COMMIT")
        asking = asyncio.create_task(ground.post_deletion(flow, **headers))
        await stop.reached()
        if after_commit:
            await until(lambda: ground.job_ids(flow), "the job is there")
        await api.kill()
        with pytest.raises(aiohttp.ClientError):
            await asking
        stop.drop()
