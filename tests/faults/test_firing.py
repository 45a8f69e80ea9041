"""Schedulers that die, stop and meet each other, and changes under fires: no instant unaccounted, none twice."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import pytest

from core.operations.firing import USUAL, fire_due
from core.store.queries import query
from tests.faults import unguarded, unlocked
from tests.faults.conftest import NewGround, Promise
from tests.faults.deletion import RECOVERY_SECONDS
from tests.faults.firing import caught_up, check, discard_jobs, fall_behind, make_ticking
from tests.faults.ground import Ground, open_ground
from tests.support.fires import clock_at, fire_all, make_live
from tests.support.logs import Logs
from tests.support.servers import open_folder, running_postgres_server
from tests.support.smtp import SmtpCatcher
from tests.support.waiting import now
from tests.support.wire import Wire

BEHIND = timedelta(seconds=90)
SEED = 7
SET_BACK = "Instants were due again that have an account."


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


@pytest.mark.long
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


async def test_two_at_once(new_ground: NewGround, promise: Promise) -> None:
    """three schedulers over the same schedules"""
    ground, other = await new_ground(), await new_ground()
    for number in range(4):
        await make_ticking(ground, f"Ticks {number}", 50)
    await fall_behind(ground.database, BEHIND)
    await ground.roles.start_all("scheduler", "scheduler", "scheduler")
    await caught_up(ground.database)
    await ground.roles.end()
    account = await check(ground.database)
    assert account.faultless, account
    assert account.expected >= 200 * 60

    await make_ticking(other, "Ticks", 20)
    await fall_behind(other.database, BEHIND)
    standing = await other.lock("SELECT FROM schedule_states ORDER BY schedule_id LIMIT 1 FOR NO KEY UPDATE")
    assert await unlocked.waits_without_skipping(other.database)
    assert (await fire_due(other.database, USUAL)).claimed == 19
    standing.release()
    await discard_jobs(other.database)
    promise.kept(f"{account}", control="without SKIP LOCKED one that stands still with one schedule stops all others")


async def test_set_back_to_a_copy(new_ground: NewGround, logs: Logs, promise: Promise) -> None:
    """schedules set back to where they stood a minute ago, beside a ledger that knows better"""
    ground, other = await new_ground(), await new_ground()
    await make_ticking(ground, "Ticks", 20)
    await fall_behind(ground.database, BEHIND)
    logs.expect(SET_BACK)
    begun = await _fire_twice(ground)
    account = await check(ground.database)
    assert account.faultless, account
    assert begun == 20, "one run of each timer goes on, and what is due meanwhile is skipped"

    await make_ticking(other, "Ticks", 20)
    await fall_behind(other.database, BEHIND)
    await unlocked.drop_key(other.database)
    await _fire_twice(other)
    wrong = await check(other.database)
    assert wrong.doubled > 0
    promise.kept(f"{account}", control=f"without the ledger's key, {wrong.doubled} instants have two accounts")


async def test_everything_at_once(new_ground: NewGround, logs: Logs, promise: Promise) -> None:
    """schedulers killed at random while flows are undeployed, deployed, disabled and enabled under their fires"""
    ground, other = await new_ground(), await new_ground()
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

    late = await make_ticking(other, "Ticks", 20)
    await fall_behind(other.database, BEHIND)
    tenant = other.tenant
    lost = await unlocked.undeploy_without_accounting(other.database, tenant.company_id, late.flow.id)
    assert (await fire_due(other.database, USUAL)).claimed == 0
    assert lost >= 20 * BEHIND.seconds
    logs.expect(SET_BACK)
    invented = await _edited_beside_a_claim(other)
    assert invented > 0
    promise.kept(
        f"{account}; {kills} kills, {changes} changes, seed {SEED}",
        control=f"undeployed without accounting first, {lost:,} instants have no account; claimed without a lock, a"
        " schedule that was edited fires by its old rules",
    )


async def test_postgres_killed(
    empty_redis_url: str, new_ground: NewGround, smtp: SmtpCatcher, promise: Promise
) -> None:
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

    other = await new_ground()
    await make_ticking(other, "Ticks", 20)
    await fall_behind(other.database, BEHIND)
    await unlocked.account_without_staging(other.database)
    wrong = await check(other.database)
    assert wrong.undispatched == 20
    promise.kept(
        f"{account}; recovery {recovery:.1f} s",
        control=f"accounted and staged in two transactions, {wrong.undispatched} runs are in no job",
    )


async def _fire_twice(ground: Ground) -> int:
    """Everything due, and once more from where it began; returns how many runs began the first time."""
    async with ground.database.connection() as connection:
        copy = await connection.fetch("SELECT schedule_id, next_due FROM schedule_states")
    begun = (await fire_all(ground.database)).begun
    async with ground.database.connection() as connection:
        await connection.executemany(
            "UPDATE schedule_states SET next_due = $2 WHERE schedule_id = $1",
            [(row["schedule_id"], row["next_due"]) for row in copy],
        )
    await fire_all(ground.database)
    return begun


async def _edited_beside_a_claim(ground: Ground) -> int:
    """How many instants of its old rules a schedule fires that was edited between a claim without a lock and its
    account."""
    live = await make_live(ground.tenant)
    await live.fall_behind(timedelta(minutes=5))

    async def edit() -> None:
        await live.change(cron_string="0 0 1 1 *")

    moment = await unlocked.account_beside_a_change(ground.database, edit)
    later = moment + timedelta(minutes=2)
    await fire_all(ground.database, clock_at(lambda: later))
    await discard_jobs(ground.database)
    async with ground.database.connection() as connection:
        number: int = await connection.fetchval(
            "SELECT count(*) FROM runs WHERE schedule_id = $1 AND scheduled_for > $2", live.schedule.id, moment
        )
    return number


async def _settled(ground: Ground) -> int:
    """How many instants have no account once a scheduler was there."""
    await ground.start("scheduler")
    await caught_up(ground.database)
    await ground.roles.end()
    await discard_jobs(ground.database)
    return await unguarded.unaccounted_since(ground.database, BEHIND)
