"""Numbers of runs, while those who end them and those who count them are killed: equal to the ledger's own counts."""

from __future__ import annotations

import asyncio
import random
from functools import partial

import pytest

from core.domain.runs import RunStatus
from core.store.queries import query
from tests.faults import unguarded
from tests.faults.conftest import NewGround, Promise
from tests.faults.counting import all_folded, check, judging_runner, left, load_runs
from tests.faults.deletion import RECOVERY_SECONDS
from tests.faults.ground import Ground
from tests.support.metrics import compare, fold_all, run_some
from tests.support.roles import READY, Role
from tests.support.runs import make_runnable
from tests.support.waiting import now, until
from tests.support.wire import Wire

LOOPBACK = {"PENSTOCK_ALLOW_PRIVATE_TARGETS": "1"}

STALE_SECONDS = 60.0
"""How far metrics may be behind, whatever has happened."""

SHARE_SECONDS = 2 * RECOVERY_SECONDS + 60.0
"""What a share of the runs may take, with two workers dying one after the other and a slow machine."""

FLOWS = 4
SEED = 11


@pytest.mark.parametrize("place", ["version_metrics.add_metrics", "run_endings.take_endings"])
async def test_killed_while_it_counts(new_ground: NewGround, promise: Promise, place: str) -> None:
    """roll-up killed -9 while it has runs in its hands"""
    ground, other = await new_ground(), await new_ground()
    await run_some(await make_runnable(ground.tenant, None), *[RunStatus.SUCCESS, RunStatus.FAILURE] * 20)
    async with Wire(ground.database_url) as wire:
        stop = wire.stop_after(query(place)) if place.startswith("run_endings") else wire.stop_before(query(place))
        scheduler = await ground.start("scheduler", DATABASE_URL=wire.url)
        await stop.reached()
        await scheduler.kill()
        stop.drop()
    began = now()
    await ground.start("scheduler")
    await all_folded(ground.database, STALE_SECONDS)
    behind = now() - began
    numbers, differing = await compare(ground.database)
    assert (differing, numbers) == ([], 3 * 4)
    assert behind <= RECOVERY_SECONDS
    await finish(ground)

    await run_some(await make_runnable(other.tenant, None), *[RunStatus.SUCCESS] * 5)
    taken = await unguarded.take_before_adding(other.database)
    await fold_all(other.database)
    assert (taken, len((await compare(other.database))[1])) == (5, 3 * 3)
    await finish(other)
    promise.kept(
        f"{numbers} numbers right {behind:.1f} s after",
        control=f"taken in a transaction before, {taken} runs were never counted",
    )


async def test_what_commits_out_of_order(new_ground: NewGround, promise: Promise) -> None:
    """runs whose ends commit in another order than they were numbered in"""
    ground, other = await new_ground(), await new_ground()
    for one in (ground, other):
        runnable = await make_runnable(one.tenant, None)
        slow, fast = await runnable.start(), await runnable.start()
        counting = fold_all if one is ground else unguarded.fold_behind_the_highest
        await unguarded.end_around(one.database, slow, fast, counting)
        await finish(one)
    assert (await compare(ground.database))[1] == []
    lost = (await compare(other.database))[1]
    assert lost
    promise.kept("both counted", control=f"by a cursor behind the highest number, {len(lost)} numbers are wrong")


@pytest.mark.long
async def test_counted_under_kills(ground: Ground, promise: Promise) -> None:
    """2,000 runs counted while workers and roll-ups are killed -9 at random"""
    promise.kept(await count_under_kills(ground, 2_000, kills=3), control="see the ones before")


@pytest.mark.long
async def test_many_counted_under_kills(ground: Ground, promise: Promise) -> None:
    """20,000 runs counted while workers and roll-ups are killed -9 at random"""
    promise.kept(await count_under_kills(ground, 20_000, kills=12), control="see the ones before")


async def count_under_kills(ground: Ground, runs: int, kills: int) -> str:
    source = random.Random(SEED)
    async with judging_runner() as url:
        runnables = [await make_runnable(ground.tenant, url) for _ in range(FLOWS)]
        run_ids = await load_runs(runnables, runs // FLOWS)
        roles = [
            *await ground.roles.start_all("scheduler", "scheduler"),
            *await asyncio.gather(*(ground.start("worker", **LOOPBACK) for _ in range(2))),
        ]
        done = await kill_some(ground, roles, source, runs, kills)
        await ended(ground, runs)
        began = now()
        await all_folded(ground.database, STALE_SECONDS)
        behind = now() - began
        await ground.roles.end()
    numbers = await check(ground.database, run_ids)
    await finish(ground)
    return f"{runs:,} runs = {numbers} numbers, {done} kills, {behind:.1f} s behind, seed {SEED}"


async def kill_some(ground: Ground, roles: list[Role], source: random.Random, runs: int, kills: int) -> int:
    """Kills one of them whenever another share of the runs has ended; returns how many it came to."""
    done = 0
    for number in range(kills):
        await until(
            partial(fewer, ground, runs * (kills - number) // (kills + 1)), "another share of them ends", SHARE_SECONDS
        )
        place = source.randrange(len(roles))
        name = roles[place].name
        await roles[place].said(READY[name])
        await roles[place].kill()
        roles[place] = await ground.start(name, **(LOOPBACK if name == "worker" else {}))
        done += 1
    return done


async def fewer(ground: Ground, number: int) -> bool:
    return await left(ground.database) <= number


async def ended(ground: Ground, runs: int) -> None:
    """Waits for the last run, half of what is left at a time: each may take as long as a dead worker is not missed."""
    while (runs := runs // 2) or await left(ground.database):
        await until(partial(fewer, ground, runs), "half of what is left ends", SHARE_SECONDS)


async def finish(ground: Ground) -> None:
    """What was staged for runs that were ended by hand is nobody's any more."""
    async with ground.database.connection() as connection:
        await connection.execute("DELETE FROM jobs WHERE kind = 'dispatch_runs'")
