"""The clock of the database set forth and back: by a time server, an operator, or a machine that was asleep."""

from __future__ import annotations

import asyncio
import random
from datetime import datetime, timedelta

import pytest

from tests.faults import unlocked
from tests.faults.checker import collect, judge
from tests.faults.conftest import NewGround, Promise
from tests.faults.field import Field
from tests.faults.firing import caught_up, discard_jobs
from tests.faults.ground import Ground
from tests.faults.storm import ended
from tests.faults.theatre import open_theatre
from tests.support.fires import clock_at, fire_all, make_live
from tests.support.smtp import SmtpCatcher

STEP = timedelta(minutes=50)
"""Less than any wait of a run, so that none is over early: of an hour for its runner, of a day here for its report."""
SEED = 11
CHANGES = 12


@pytest.mark.long
async def test_set_forth_and_back(smtp: SmtpCatcher, new_ground: NewGround, promise: Promise) -> None:
    """the database's clock set fifty minutes forth, back, and forth again under fires and changes"""
    async with open_theatre(smtp) as theatre:
        ground, clock = theatre.ground, theatre.clock
        field = Field(ground, theatre.runner_url, random.Random(SEED))
        for _ in range(2):
            await field.add_timers(5)
            await field.add_schedules(8)
        await asyncio.gather(*(ground.start(name) for name in ("scheduler", "scheduler", "worker")))
        await clock.step(STEP)
        await caught_up(ground.database)
        accounted = await clock.read()
        await caught_up(ground.database)
        field.history.set_back(accounted, (await clock.step(-STEP))[0])
        for _ in range(CHANGES):
            await field.change_something()
        await clock.step(STEP)
        await caught_up(ground.database)
        await field.end()
        await ended(ground, 60)
        await ground.roles.end()
        evidence = await collect(ground.database, field.timers, theatre.notes)
        verdict = judge(field.history, evidence)
    assert not verdict.faults, (verdict, evidence.unended)
    assert verdict.received > 0
    wrong = await _twice(await new_ground())
    promise.kept(
        f"{verdict}; {CHANGES} changes while it was back, seed {SEED}",
        control=f"with nothing asked but the clock, {wrong} instants have two accounts",
    )


async def _twice(ground: Ground) -> int:
    """An edit, when the clock was set back, that lets a schedule count from what the clock shows; returns how
    many of its instants are in a gap and in another account as well."""
    live = await make_live(ground.tenant, catchup_window_seconds=0)
    async with ground.database.connection() as connection:
        now: datetime = await connection.fetchval("SELECT clock_timestamp()")
    ahead, again = clock_at(lambda: now + STEP), clock_at(lambda: now + STEP / 2)
    await fire_all(ground.database, ahead)
    await live.change(pause_reason=None, catchup_window_seconds=60)
    await unlocked.go_live_by_the_clock_alone(ground.database)
    await fire_all(ground.database, again)
    await discard_jobs(ground.database)
    async with ground.database.connection() as connection:
        number: int = await connection.fetchval(
            "SELECT count(*) FROM runs r JOIN run_gaps g ON g.schedule_id = r.schedule_id"
            " AND r.scheduled_for >= g.first_at AND r.scheduled_for < g.until_at"
        )
    return number
