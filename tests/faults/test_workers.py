"""Workers that die, stop and are told to end, in the middle of a deletion."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass

import asyncpg
import pytest
from arq.constants import in_progress_key_prefix

from core.operations.deletions import delete_batch
from core.operations.settling import JobLost
from core.store.queries import query
from tests.faults import unguarded
from tests.faults.conftest import NewGround, Promise
from tests.faults.deletion import RECOVERY_SECONDS, Deletion, Progress
from tests.faults.ground import Ground, Lock
from tests.support.roles import Role
from tests.support.waiting import now
from tests.support.wire import Wire


@pytest.mark.long
async def test_killed_three_times(new_ground: NewGround, promise: Promise) -> None:
    """worker killed -9 three times in a deletion of 30,000

    Somewhere while it works, while a batch waits for what somebody else keeps, and between the work of a batch and its
    commit.
    """
    ground, other = await new_ground(), await new_ground()
    _, _, worker = await asyncio.gather(ground.start("api"), ground.start("scheduler"), ground.start("worker"))
    async with other.relaying():
        abandoned = await _abandon(other)
        deletion = await ground.delete(30_000, locks=(0.3, 0.5, 0.7))  # further apart than the largest batch
        recoveries = []
        for strike in (_kill_working, _kill_waiting, _kill_uncommitted):
            before = await strike(deletion, worker)
            began = now()
            worker, after = await asyncio.gather(ground.start("worker"), deletion.resumed(before.attempt))
            recoveries.append(now() - began)
            assert after.position >= before.position
        account = await deletion.accounted()
        assert max(recoveries) <= RECOVERY_SECONDS
        assert (await deletion.progress()).attempt == 4

        left = await abandoned.progress()
        assert (left.status, left.attempt, left.position) == ("in_progress", 1, 0)
        assert left.lease_left is not None
        assert left.lease_left < -10
        assert (await other.rescuer.run_once()).expired == 1
        await abandoned.accounted()
    promise.kept(
        f"{account}; longest recovery {max(recoveries):.1f} s",
        control=f"without the rescuer nobody went on, {-left.lease_left:.0f} s after the lease ended",
    )


async def test_stopped_past_its_lease(new_ground: NewGround, promise: Promise) -> None:
    """worker stopped past its lease, then woken

    It holds two deletions when it stops: one after the commit of a batch, one in the middle of a transaction.
    """
    ground, other = await new_ground(), await new_ground()
    async with Wire(ground.database_url) as wire:
        _, _, worker = await asyncio.gather(
            ground.start("api"), ground.start("scheduler"), ground.start("worker", DATABASE_URL=wire.url)
        )
        inside = await ground.delete(3_000, locks=(0.5,))
        session = await inside.locks[0].waited_for()
        stop = wire.stop_after("COMMIT")  # of its first batch
        between = await ground.delete(3_000)
        await stop.reached()
        await worker.freeze()
        began = now()
        inside.locks[0].release()
        await ground.session_is(session, "idle in transaction")
        await ground.start("worker")
        await asyncio.gather(inside.resumed(1), between.resumed(1))
        recovery = now() - began
        accounts = [await deletion.accounted() for deletion in (inside, between)]
        settled = await ground.snapshot()

        worker.thaw()
        stop.release()
        assert await _outcome(worker, between) == "lost"
        assert await _outcome(worker, inside) in ("lost", "unreachable")
        assert await ground.snapshot() == settled
    assert recovery <= RECOVERY_SECONDS
    promise.kept(
        f"{accounts[0]} and {accounts[1]}; recovery {recovery:.1f} s", control=await _wake_without_fence(other)
    )


@pytest.mark.long
async def test_told_to_end(ground: Ground, promise: Promise) -> None:
    """worker told to end in the middle of a deletion"""
    _, _, worker = await asyncio.gather(ground.start("api"), ground.start("scheduler"), ground.start("worker"))
    deletion = await ground.delete(3_000, locks=(0.1,))  # in the first batch, which never is all of it
    await deletion.locks[0].waited_for()
    successor = await ground.start("worker")
    began = now()
    worker.process.terminate()
    deletion.locks[0].release()
    await deletion.resumed(1)
    handed_over = now() - began
    assert await worker.process.wait() == 0
    account = await deletion.accounted()
    assert handed_over < 5

    killed = await ground.delete(3_000, locks=(0.1,))
    await _kill_waiting(killed, successor)
    began = now()
    await asyncio.gather(ground.start("worker"), killed.resumed(1))
    waited = now() - began
    assert waited > 10
    await killed.accounted()
    promise.kept(f"{account}; handed over in {handed_over:.2f} s", control=f"killed instead, it took {waited:.1f} s")


@pytest.mark.long
async def test_killed_before_it_claims(ground: Ground, promise: Promise) -> None:
    """worker killed after taking a delivery, before claiming its job"""
    async with Wire(ground.database_url) as wire:
        _, _, worker = await asyncio.gather(
            ground.start("api"), ground.start("scheduler"), ground.start("worker", DATABASE_URL=wire.url)
        )
        stop = wire.stop_before(query("jobs.claim_job"))
        deletion = await ground.delete(300)
        await stop.reached()
        await worker.kill()
        stop.drop()
        began = now()
        blocked = await ground.redis.pttl(f"{in_progress_key_prefix}{await deletion.number()}:0") / 1000
        assert blocked > RECOVERY_SECONDS
        await asyncio.gather(ground.start("worker"), deletion.resumed(0))
        recovery = now() - began
    account = await deletion.accounted()
    assert recovery <= RECOVERY_SECONDS
    promise.kept(
        f"{account}; recovery {recovery:.1f} s", control=f"arq alone would have sat on the delivery for {blocked:.0f} s"
    )


@pytest.mark.long
async def test_killed_beside_a_lock(new_ground: NewGround, promise: Promise) -> None:
    """worker killed -9 while it waits for a row that somebody else keeps"""
    ground, other = await new_ground(), await new_ground()
    _, _, worker = await asyncio.gather(ground.start("api"), ground.start("scheduler"), ground.start("worker"))
    unnoticed = await _die_unnoticed(other)
    deletion = await ground.delete(300, locks=(0.5,))
    await deletion.locks[0].waited_for()
    await worker.kill()
    began = now()
    await asyncio.gather(ground.start("worker"), deletion.resumed(1))
    recovery = now() - began
    assert recovery <= RECOVERY_SECONDS
    deletion.locks[0].release()
    account = await deletion.accounted()

    assert (await other.rescuer.run_once()).expired == 0
    unnoticed.release()
    await other.session_is(unnoticed.waiting, "gone")
    await other.finish()
    promise.kept(
        f"{account}; recovery {recovery:.1f} s",
        control=f"not looking for its client, a session kept the job {recovery:.0f} s, and would until it got the row",
    )


async def _outcome(worker: Role, deletion: Deletion) -> object:
    """How the worker's attempt at this deletion ended, in its own word."""
    return (await worker.said("A job attempt ended.", job=deletion.job_id))["outcome"]


async def _wake_without_fence(ground: Ground) -> str:
    """The first worker of a job has removed a third of it and sleeps; the second has come to two thirds."""
    deletion = await ground.stage(300)
    first = await deletion.claim()
    await delete_batch(ground.database, first, limit=100, terms=ground.terms)
    remembered = await deletion.hold(first)
    await deletion.expire_lease()
    await ground.rescuer.run_once()
    second = await deletion.claim()
    await delete_batch(ground.database, second, limit=100, terms=ground.terms)
    with pytest.raises(JobLost):
        await delete_batch(ground.database, first, limit=100, terms=ground.terms)
    await unguarded.move_without_fence(ground.database, remembered, 100, ground.terms)
    await delete_batch(ground.database, second, limit=100, terms=ground.terms)
    wrong, removed = await deletion.progress(), await deletion.in_trash()
    assert (wrong.status, wrong.removed, wrong.reasons, removed) == ("completed", 200, {"gone": 100}, 300)
    await ground.finish()
    return f"without the fence {removed} were removed and {wrong.removed} accounted"


@dataclass(frozen=True)
class _Unnoticed:
    """A session that has a job's row, waits for `lock`, and whose client has died."""

    lock: Lock
    waiting: int

    def release(self) -> None:
        self.lock.release()


async def _die_unnoticed(ground: Ground) -> _Unnoticed:
    """With PostgreSQL's own settings instead of ours. The lease has run out, so only the row's lock is in the way."""
    deletion = await ground.stage(300)
    claimed = await deletion.claim()
    await deletion.expire_lease()
    kept = deletion.version_ids[150]
    lock = await ground.lock_version(kept)
    client = await asyncpg.connect(ground.database_url)
    await client.execute("BEGIN")
    await client.fetch(query("jobs.hold_job"), claimed.id, claimed.attempt)
    waiting = asyncio.create_task(client.execute("SELECT FROM flow_versions WHERE id = $1 FOR UPDATE", kept))
    session = await lock.waited_for()
    client.terminate()
    with suppress(asyncpg.InterfaceError, asyncpg.ConnectionDoesNotExistError):
        await waiting
    return _Unnoticed(lock, session)


async def _abandon(ground: Ground) -> Deletion:
    """A deletion whose worker was killed in its first batch, and another worker that could take it up."""
    _, worker = await asyncio.gather(ground.start("api"), ground.start("worker"))
    deletion = await ground.delete(300, locks=(0.5,))
    await _kill_waiting(deletion, worker)
    await ground.start("worker")
    return deletion


async def _kill_working(deletion: Deletion, worker: Role) -> Progress:
    await deletion.begun()
    await worker.kill()
    deletion.locks.pop(0).release()
    return await deletion.progress()


async def _kill_waiting(deletion: Deletion, worker: Role) -> Progress:
    lock = deletion.locks.pop(0)
    await lock.waited_for()
    await worker.kill()
    lock.release()
    return await deletion.progress()


async def _kill_uncommitted(deletion: Deletion, worker: Role) -> Progress:
    """The batch has done all of its work in the database; only its commit is missing."""
    lock = deletion.locks.pop(0)
    session = await lock.waited_for()
    await worker.freeze()
    lock.release()
    await deletion.ground.session_is(session, "idle in transaction")
    await worker.kill()
    return await deletion.progress()
