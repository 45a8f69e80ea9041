"""The timekeeper: what waits comes back when its time has come, and not before."""

from __future__ import annotations

import asyncio

from core.domain.access import ActorType, Principal
from core.operations import firing
from tests.support.machinery import Machinery
from tests.support.receiver import Receiver, Reply
from tests.support.runs import come_due, make_runnable, read_run
from tests.support.tenants import Tenant
from tests.support.waiting import until
from worker.ending import end_tasks
from worker.loops import run_timekeeper
from worker.timekeeper import Timekeeper
from worker.wakeup import Wakeup


async def test_the_loop_brings_a_run_back_in_time_and_hints_the_relay(tenant: Tenant, machinery: Machinery) -> None:
    async with Receiver() as runner:
        runner.script(Reply(503, {"Retry-After": "1"}))
        run = await (await make_runnable(tenant, runner.url)).start()
        await machinery.drain()
        due_at = (await read_run(tenant, run))["due_at"]
        wakeup = Wakeup()
        loop = asyncio.create_task(run_timekeeper(Timekeeper(tenant.database), wakeup))
        try:
            await asyncio.wait_for(wakeup.wait(None), 10)
            await until(lambda: _is_staged(tenant, run.id), "the run is staged again")
        finally:
            await end_tasks([loop])
        assert await machinery.drain() == ["settled"]
    row = await read_run(tenant, run)
    assert row["status"] == "success"
    assert 0 <= (row["started_at"] - due_at).total_seconds() < 5


async def test_while_firing_is_paused_nothing_is_brought_back(tenant: Tenant, machinery: Machinery) -> None:
    owner = Principal(tenant.company_id, ActorType.CLI, None)
    timekeeper = Timekeeper(tenant.database)
    async with Receiver() as runner:
        runner.script(Reply(503))
        await (await make_runnable(tenant, runner.url)).start()
        await machinery.drain()
        await come_due(tenant)
        await firing.pause_firing(owner, tenant.database, None)
        assert await timekeeper.run_once() == 0
        await firing.resume_firing(owner, tenant.database)
        assert await timekeeper.run_once() == 1
        await machinery.drain()


async def test_it_knows_when_the_next_is_due(tenant: Tenant, machinery: Machinery) -> None:
    timekeeper = Timekeeper(tenant.database)
    assert await timekeeper.due_in() is None
    async with Receiver() as runner:
        runner.script(Reply(202))
        await (await make_runnable(tenant, runner.url, timeout=100)).start()
        await machinery.drain()
    due_in = await timekeeper.due_in()
    assert due_in is not None
    assert 90 < due_in < 101


async def _is_staged(tenant: Tenant, run_id: int) -> bool:
    return (await read_run(tenant, run_id))["due_at"] is None
