"""Schedulers that die, stop and meet each other, and changes under fires: no instant unaccounted, none twice."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import pytest

from core.store.queries import query
from tests.faults import unguarded
from tests.faults.conftest import NewGround, Promise
from tests.faults.deletion import RECOVERY_SECONDS
from tests.faults.firing import caught_up, check, discard_jobs, fall_behind, make_ticking
from tests.faults.ground import Ground, open_ground
from tests.support.servers import open_folder, running_postgres_server
from tests.support.smtp import SmtpCatcher
from tests.support.waiting import now
from tests.support.wire import Wire

BEHIND = timedelta(seconds=90)
SEED = 7


@pytest.mark.parametrize("place", ["runs.insert_due", "schedule_states.advance"])
async def test_killed_between_claim_and_commit(new_ground: NewGround, promise: Promise, place: str) -> None:
    """scheduler killed between its claim and its commit"""
    ground, other = await new_ground(), await new_ground()
    await make_ticking(ground, "Ticks", 20)
    await fall_behind(ground.database, BEHIND)
    async with Wire(ground.database_url) as wire:
        stop = wire.stop_before(query(place))
        scheduler = await ground.start("scheduler", DATABASE_URL=wire.url)
        await stop.reached()
        await scheduler.kill()
        stop.drop()
    began = now()
    await ground.start("scheduler")
    await caught_up(ground.database)
    recovery = now() - began
    await ground.roles.end()
    account = await check(ground.database)
    assert account.faultless, account
    assert account.expected >= 20 * 60
    assert recovery <= RECOVERY_SECONDS

    await make_ticking(other, "Ticks", 20)
    await fall_behind(other.database, BEHIND)
    await unguarded.advance_before_accounting(other.database)
    wrong = await _settled(other)
    assert wrong > 0
    promise.kept(
        f"{account}; recovery {recovery:.1f} s",
        control=f"advanced in a transaction before, {wrong} instants have no account",
    )


async def test_stopped_in_the_middle(new_ground: NewGround, promise: Promise) -> None:
    """scheduler stopped in the middle of a claim, and woken when others have gone on"""
    ground, other = await new_ground(), await new_ground()
    await make_ticking(ground, "Ticks", 20)
    await fall_behind(ground.database, BEHIND)
    async with Wire(ground.database_url) as wire:
        stop = wire.stop_before(query("runs.insert_due"))
        stopped = await ground.start("scheduler", DATABASE_URL=wire.url)
        await stop.reached()
        await stopped.freeze()
        await ground.start("scheduler")
        await caught_up(ground.database)
        stopped.thaw()
        stop.release()
        await stopped.said("A loop waits for PostgreSQL or Redis to come back.")
        await ground.roles.end()
    account = await check(ground.database)
    assert account.faultless, account

    await make_ticking(other, "Ticks", 20)
    await fall_behind(other.database, BEHIND)
    doubled = await unguarded.account_without_locks(other.database)
    await discard_jobs(other.database)
    assert doubled > 0
    promise.kept(f"{account}", control=f"without lock and unique key, {doubled} instants have two accounts")


async def test_two_at_once(ground: Ground, promise: Promise) -> None:
    """two schedulers over the same schedules"""
    for number in range(4):
        await make_ticking(ground, f"Ticks {number}", 50)
    await fall_behind(ground.database, BEHIND)
    await ground.roles.start_all("scheduler", "scheduler", "scheduler")
    await caught_up(ground.database)
    await ground.roles.end()
    account = await check(ground.database)
    assert account.faultless, account
    assert account.expected >= 200 * 60
    promise.kept(f"{account}", control="see the one before")


async def test_everything_at_once(ground: Ground, promise: Promise) -> None:
    """schedulers killed at random while flows are undeployed, deployed, disabled and enabled under their fires"""
    source = random.Random(SEED)
    flows = [await make_ticking(ground, f"Ticks {number}", 50) for number in range(6)]
    await fall_behind(ground.database, BEHIND)
    schedulers = await ground.roles.start_all("scheduler", "scheduler")
    kills = changes = 0

    async def change() -> None:
        nonlocal changes
        for _ in range(12):
            flow = source.choice(flows)
            await flow.enable(enabled=False)
            await flow.enable(enabled=True)
            await flow.undeploy()
            await flow.deploy()
            changes += 4

    async def kill() -> None:
        nonlocal kills
        for _ in range(4):
            place = source.randrange(2)
            await schedulers[place].said("The scheduler is ready.")
            await schedulers[place].kill()
            schedulers[place] = await ground.start("scheduler")
            kills += 1

    await asyncio.gather(change(), kill())
    await caught_up(ground.database)
    await ground.roles.end()
    account = await check(ground.database)
    assert account.faultless, account
    assert account.expected >= 20_000
    promise.kept(f"{account}; {kills} kills, {changes} changes, seed {SEED}", control="see the ones before")


async def test_postgres_killed(empty_redis_url: str, smtp: SmtpCatcher, promise: Promise) -> None:
    """PostgreSQL killed -9 under fires"""
    from tests.faults.test_postgres import _migrate

    with open_folder() as folder:
        async with running_postgres_server(folder) as server:
            await _migrate(server.url)
            async with open_ground(server.url, empty_redis_url, smtp) as ground:
                await make_ticking(ground, "Ticks", 50)
                await fall_behind(ground.database, BEHIND)
                async with Wire(ground.database_url) as wire:
                    stop = wire.stop_before(query("schedule_states.advance"))
                    await ground.start("scheduler", DATABASE_URL=wire.url)
                    await stop.reached()
                    await server.kill()
                    stop.drop()
                    await server.start()
                    began = now()
                    await caught_up(ground.database)
                    recovery = now() - began
                    await ground.roles.end()
                account = await check(ground.database)
    assert account.faultless, account
    assert recovery <= RECOVERY_SECONDS
    promise.kept(f"{account}; recovery {recovery:.1f} s", control="see the ones before")


async def _settled(ground: Ground) -> int:
    """How many instants have no account once a scheduler was there."""
    await ground.start("scheduler")
    await caught_up(ground.database)
    await ground.roles.end()
    await discard_jobs(ground.database)
    return await unguarded.unaccounted_since(ground.database, BEHIND)
