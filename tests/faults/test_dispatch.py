"""Runs on their way to a runner, while workers die, Valkey forgets and the runner is down.

What the runner received is compared with the ledger: every run once by distinct `webhook-id`, repeats counted apart.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass

from core.domain.dispatch import IN_FLIGHT_PER_RUNNER
from core.store.queries import query
from tests.faults import unguarded
from tests.faults.conftest import NewGround, Promise
from tests.faults.deletion import RECOVERY_SECONDS
from tests.faults.ground import Ground
from tests.support.machinery import open_machinery
from tests.support.receiver import Manner, Receiver, Reply
from tests.support.runs import Runnable, make_runnable, statuses
from tests.support.waiting import now, until
from tests.support.wire import Wire

LOOPBACK = {"PENSTOCK_ALLOW_PRIVATE_TARGETS": "1"}

RUNS = 200


@dataclass(frozen=True)
class Account:
    """What the ledger says of the company's runs, and what its runner received."""

    ended: Counter[str]
    received: Counter[str]

    @property
    def repeats(self) -> int:
        return self.received.total() - len(self.received)

    def __str__(self) -> str:
        return f"{self.ended.total()} runs = {len(self.received)} received, {self.repeats} of them again"


async def test_killed_between_answer_and_commit(new_ground: NewGround, promise: Promise) -> None:
    """worker killed -9 after runners answered, before it wrote that down

    Twice: with a whole batch in the air, and when the transaction that ends runs is about to begin.
    """
    ground, other = await new_ground(), await new_ground()
    async with Receiver() as runner, Wire(ground.database_url) as wire:
        runnable = await make_runnable(ground.tenant, runner.url)
        await ground.start("scheduler")
        flying = await ground.start("worker", **LOOPBACK)
        runner.script(*[Reply(manner=Manner.SILENT)] * IN_FLIGHT_PER_RUNNER)
        await start_some(runnable, RUNS)
        await until(lambda: received(runner, IN_FLIGHT_PER_RUNNER), "requests are under way")
        await flying.kill()
        runner.clear()
        began = now()
        stop = wire.stop_before(query("runs.end_runs"))
        settling = await ground.start("worker", DATABASE_URL=wire.url, **LOOPBACK)
        await stop.reached(RECOVERY_SECONDS)
        answered = len(runner.requests)
        await settling.kill()
        stop.drop()
        await ground.start("worker", **LOOPBACK)
        account = await ended(runnable, runner, RUNS)
        recovery = now() - began
    assert account.ended == {"success": RUNS}
    assert len(account.received) == RUNS, "nothing was lost, and nothing came that is no run"
    assert 0 < account.repeats <= IN_FLIGHT_PER_RUNNER + answered
    assert recovery <= 2 * RECOVERY_SECONDS

    lost = await settle_before_sending(other)
    promise.kept(f"{account}", control=f"written down before it is sent, {lost}")


async def test_valkey_flushed(new_ground: NewGround, promise: Promise) -> None:
    """Valkey flushed while runs are sent and others are queued"""
    ground, other = await new_ground(), await new_ground()
    async with Receiver() as runner:
        runnable = await make_runnable(ground.tenant, runner.url)
        runner.script(*[Reply(manner=Manner.HELD)] * IN_FLIGHT_PER_RUNNER)
        await ground.start("scheduler")
        worker = await ground.start("worker", **LOOPBACK)
        await start_some(runnable, RUNS)
        await until(lambda: received(runner, 4), "requests are under way")
        await worker.freeze()
        await ground.redis.flushall()
        began = now()
        worker.thaw()
        runner.let_go()
        account = await ended(runnable, runner, RUNS)
        recovery = now() - began
    assert account.ended == {"success": RUNS}
    assert len(account.received) == RUNS
    assert recovery <= RECOVERY_SECONDS

    stranded = await make_runnable(other.tenant, None)
    await stranded.start()
    assert await other.relay.run_once() == 1
    await other.redis.flushall()
    assert await other.relay.run_once() == 0
    assert await statuses(other.tenant) == {"queued": 1}
    assert (await other.rescuer.run_once()).forgotten in (0, 1)
    await other.finish()
    promise.kept(
        f"{account}; all ended {recovery:.1f} s after", control="without the rescuer a delivered run stays queued"
    )


async def test_runner_down_then_up(new_ground: NewGround, promise: Promise) -> None:
    """a runner that is down when its runs are due, and comes back"""
    ground, other = await new_ground(), await new_ground()
    async with Receiver() as gone:
        url, port = gone.url, gone.port
    runnable = await make_runnable(ground.tenant, url)
    await asyncio.gather(ground.start("scheduler"), ground.start("worker", **LOOPBACK))
    await start_some(runnable, RUNS)
    await until(lambda: put_off(runnable, RUNS), "every run waits for another try")
    async with Receiver(port=port) as runner:
        began = now()
        account = await ended(runnable, runner, RUNS, seconds=60.0)
        recovery = now() - began
    assert account.ended == {"success": RUNS}
    assert (len(account.received), account.repeats) == (RUNS, 0)

    forgotten = await make_runnable(other.tenant, url)
    async with other.relaying():
        worker = await other.start("worker", **LOOPBACK)
        await forgotten.start()
        await until(lambda: put_off(forgotten, 1), "the run waits for another try")
        async with Receiver(port=port) as runner:
            async with other.database.connection() as connection:
                await connection.execute("UPDATE runs SET due_at = clock_timestamp()")
            await other.start("worker", **LOOPBACK)
            await worker.end()
            assert not runner.requests
            assert await statuses(other.tenant) == {"queued": 1}
    promise.kept(
        f"{account}; all ended {recovery:.1f} s after", control="without the timekeeper its run waits for ever"
    )


async def start_some(runnable: Runnable, number: int) -> None:
    """Starts them some at a time, as callers would."""
    for _ in range(number // 10):
        await asyncio.gather(*(runnable.start() for _ in range(10)))


async def received(runner: Receiver, number: int) -> bool:
    return len(runner.requests) >= number


async def put_off(runnable: Runnable, number: int) -> bool:
    async with runnable.tenant.database.connection() as connection:
        waiting = await connection.fetchval("SELECT count(*) FROM runs WHERE status = 'queued' AND due_at IS NOT NULL")
    return bool(waiting == number)


async def ended(runnable: Runnable, runner: Receiver, number: int, seconds: float = RECOVERY_SECONDS) -> Account:
    """Waits until that many runs have ended, and accounts for them."""
    tenant = runnable.tenant

    async def all_ended() -> bool:
        return sum(count for status, count in (await statuses(tenant)).items() if status != "queued") == number

    await until(all_ended, f"{number} runs end", seconds)
    ids = Counter(request.headers["webhook-id"] for request in runner.requests)
    return Account(Counter(await statuses(tenant)), ids)


async def settle_before_sending(ground: Ground) -> str:
    """A worker that writes the end of a run first, and dies before it has sent it."""
    async with Receiver() as runner:
        runnable = await make_runnable(ground.tenant, runner.url)
        await runnable.start()
        async with open_machinery(ground.database, ground.settings) as machinery:
            (name,) = await machinery.deliver()
            job = await machinery.runner._claim(name)
            assert job is not None
            await unguarded.end_before_sending(ground.database, job, machinery.tools.terms)
        await ground.finish()
        account = await ended(runnable, runner, 1)
    assert account.ended == {"success": 1}
    assert not account.received
    return "a run ended as success that no runner ever saw"
