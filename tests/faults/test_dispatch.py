"""Runs on their way to a runner, while workers die, Valkey forgets and the runner is down.

What the runner received is compared with the ledger: every run once by distinct `webhook-id`, repeats counted apart.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import asyncpg
import pytest

from core.domain.dispatch import IN_FLIGHT_PER_RUNNER, Ended, Outgoing, Report
from core.domain.jobs import MOST_FAILURES, ClaimedJob
from core.domain.runs import RunStatus
from core.operations.dispatch import take_turn
from core.operations.settling import JobLost
from core.settings import Settings
from core.store.queries import query
from tests.faults import unguarded, unlocked
from tests.faults.conftest import NewGround, Promise
from tests.faults.deletion import RECOVERY_SECONDS
from tests.faults.ground import Ground
from tests.support.machinery import Machinery, open_machinery
from tests.support.receiver import Manner, Receiver, Reply
from tests.support.runs import Runnable, make_runnable, statuses
from tests.support.waiting import now, until
from tests.support.wire import Wire
from worker.rescuer import FORGOTTEN_AFTER
from worker.timekeeper import Timekeeper

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


@pytest.mark.long
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
    async with other.database.connection() as connection:
        await connection.execute("UPDATE jobs SET delivered_at = delivered_at - $1::interval", FORGOTTEN_AFTER)
    assert (await other.rescuer.run_once()).forgotten == 1
    await other.finish()
    promise.kept(
        f"{account}; all ended {recovery:.1f} s after", control="without the rescuer a delivered run stays queued"
    )


@pytest.mark.long
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


@pytest.mark.long
async def test_stopped_with_runs_in_the_air(new_ground: NewGround, promise: Promise) -> None:
    """worker stopped with runs in the air, and woken when another has them"""
    ground, other = await new_ground(), await new_ground()
    async with Receiver() as runner:
        runnable = await make_runnable(ground.tenant, runner.url)
        runner.script(*[Reply(manner=Manner.HELD)] * IN_FLIGHT_PER_RUNNER)
        await ground.start("scheduler")
        stopped = await ground.start("worker", **LOOPBACK)
        await start_some(runnable, RUNS)
        await until(lambda: received(runner, IN_FLIGHT_PER_RUNNER), "requests are under way")
        await stopped.freeze()
        runner.clear()
        await ground.start("worker", **LOOPBACK)
        account = await ended(runnable, runner, RUNS)
        settled = await ledger(ground)
        runner.let_go()
        stopped.thaw()
        await stopped.said("A job attempt ended.", outcome="lost")
        await ground.roles.end()
        assert await ledger(ground) == settled
        assert len({request.headers["webhook-id"] for request in runner.requests}) == RUNS
    assert account.ended == {"success": RUNS}
    assert len(account.received) == RUNS

    await robbed_without_fence(other)
    promise.kept(
        f"{account}", control="without the fence the one that was woken takes the job from the one that has it"
    )


async def test_given_up(new_ground: NewGround, promise: Promise) -> None:
    """a dispatch job that costs worker after worker, and is given up"""
    ground, other = await new_ground(), await new_ground()
    async with Receiver() as runner:
        runnable = await make_runnable(ground.tenant, runner.url)
        await runnable.start()
        async with open_machinery(ground.database, allowing(ground)) as machinery:
            for _ in range(MOST_FAILURES):
                await claim(machinery)
                await expire(ground)
                assert (await machinery.rescuer.run_once()).expired == 1
            assert await machinery.deliver() == []
            assert await Timekeeper(ground.database).run_once() == 1
            assert await machinery.drain() == ["settled"]
        account = await ended(runnable, runner, 1)
        assert (account.ended, len(account.received)) == ({"success": 1}, 1)

        left = await make_runnable(other.tenant, runner.url)
        await left.start()
        async with open_machinery(other.database, allowing(other)) as machinery:
            await unlocked.end_without_taking_back(other.database, await claim(machinery))
            assert await Timekeeper(other.database).run_once() == 0
            assert await machinery.drain() == []
        assert await statuses(other.tenant) == {"queued": 1}
    promise.kept(f"{account}", control="without taking back what it held, its run is queued for ever")


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


async def ledger(ground: Ground) -> Sequence[asyncpg.Record]:
    async with ground.database.connection() as connection:
        rows: Sequence[asyncpg.Record] = await connection.fetch(
            "SELECT id, status, reason, attempts, started_at, finished_at, result::text FROM runs ORDER BY id"
        )
    return rows


def allowing(ground: Ground) -> Settings:
    return replace(ground.settings, allow_private_targets=True)


async def claim(machinery: Machinery) -> ClaimedJob:
    (name,) = await machinery.deliver()
    job = await machinery.runner._claim(name)
    assert job is not None
    return job


async def expire(ground: Ground) -> None:
    """As if the worker of each job had not been heard of for as long as its lease."""
    async with ground.database.connection() as connection:
        await connection.execute("UPDATE jobs SET leased_until = clock_timestamp()")


async def robbed_without_fence(ground: Ground) -> None:
    """One worker begins a run and is not heard of, another takes over the job; the first one's request comes to
    nothing, which it writes down. The second has the runner's answer, and is told that the job is not its own."""
    runnable = await make_runnable(ground.tenant, "http://127.0.0.1:9/")
    await runnable.start()
    async with open_machinery(ground.database, allowing(ground)) as machinery:
        terms = machinery.tools.terms

        async def begin(job: ClaimedJob) -> list[Outgoing]:
            turn = await take_turn(ground.database, job, [], [], room=1, terms=terms, fraction=lambda: 0.5)
            return turn.sending

        first = await claim(machinery)
        lost = await begin(first)
        await expire(ground)
        assert (await machinery.rescuer.run_once()).expired == 1
        second = await claim(machinery)
        (run,) = await begin(second)
        with pytest.raises(JobLost):
            await begin(first)
        await unlocked.take_turn_without_fence(ground.database, first, lost, terms)
        answered = [Ended(run, RunStatus.SUCCESS, None, None, Report())]
        with pytest.raises(JobLost):
            await take_turn(ground.database, second, answered, [], room=1, terms=terms, fraction=lambda: 0.5)
    assert await statuses(ground.tenant) == {"queued": 1}


async def settle_before_sending(ground: Ground) -> str:
    """A worker that writes the end of a run first, and dies before it has sent it."""
    async with Receiver() as runner:
        runnable = await make_runnable(ground.tenant, runner.url)
        await runnable.start()
        async with open_machinery(ground.database, ground.settings) as machinery:
            job = await claim(machinery)
            await unguarded.end_before_sending(ground.database, job, machinery.tools.terms)
        await ground.finish()
        account = await ended(runnable, runner, 1)
    assert account.ended == {"success": 1}
    assert not account.received
    return "a run ended as success that no runner ever saw"
