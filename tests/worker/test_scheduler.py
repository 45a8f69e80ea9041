"""The loops around firing: awake at the instant, never asleep over one, and loud about what should not be."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from core.operations import firing
from core.store import runs
from core.store.database import Database
from tests.support.fires import fire_all, gaps, make_live, state
from tests.support.logs import Logs
from tests.support.tenants import Tenant
from tests.support.waiting import until
from worker.ending import end_tasks
from worker.loops import run_scheduler
from worker.pruner import Pruner
from worker.scheduler import Scheduler
from worker.sweeper import Sweeper
from worker.wakeup import Wakeup

pytestmark = pytest.mark.leaves_jobs


async def test_the_loop_fires_at_the_instant_and_hints_the_relay(tenant: Tenant, database: Database) -> None:
    live = await make_live(tenant)
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE schedule_states SET next_due = clock_timestamp() + interval '300 milliseconds'"
        )
    relay = Wakeup()
    task = asyncio.create_task(run_scheduler(Scheduler(database), relay))
    await asyncio.wait_for(relay._event.wait(), 5)
    await end_tasks([task])
    async with database.connection() as connection:
        late = await connection.fetchval("SELECT extract(epoch FROM created_at - scheduled_for)::float8 FROM runs")
    assert 0 <= late < 0.25
    assert len(await live.ledger()) == 1


async def test_what_another_one_holds_is_waited_for(tenant: Tenant, database: Database) -> None:
    live = await make_live(tenant)
    await live.fall_behind(timedelta())
    scheduler = Scheduler(database)
    async with database.connection() as connection, connection.transaction():
        await connection.execute("SELECT FROM schedule_states FOR NO KEY UPDATE")
        assert (await scheduler.run_once()).claimed == 0
        assert (await scheduler.due_in() or 0) <= 0
    assert (await scheduler.run_once()).claimed == 1


async def test_it_says_when_it_was_behind(tenant: Tenant, database: Database, logs: Logs) -> None:
    live = await make_live(tenant, overlap_policy="allow")
    await live.fall_behind(timedelta(hours=1))
    await Scheduler(database).run_once()
    (told,) = logs.of("Schedules were behind.")
    assert told["schedules"] == 1
    assert told["left_out"] >= 49
    assert len(await gaps(database, live.schedule.id)) == 1


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM schedule_states",
        "UPDATE schedule_states SET live_since = NULL, next_due = NULL",
        "UPDATE schedule_states SET next_due = NULL",
        "UPDATE schedule_states SET flow_version_id = -1",
    ],
)
async def test_a_live_schedule_without_a_future_is_repaired_loudly(
    tenant: Tenant, database: Database, logs: Logs, damage: str
) -> None:
    """As an older release leaves it, which deploys without a word to the ledger. What was due meanwhile is not lost."""
    live = await make_live(tenant, overlap_policy="allow")
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE schedules SET updated_at = updated_at - interval '5 minutes', deployed_at = NULL"
        )
        await connection.execute("UPDATE schedules SET deployed_at = updated_at")
        await connection.execute("UPDATE flow_versions SET deployed_at = deployed_at - interval '5 minutes'")
        await connection.execute("UPDATE schedule_states SET live_since = live_since - interval '5 minutes'")
        await connection.execute(damage)
    sweeper = Sweeper(database)
    assert await sweeper.run_once() == 1
    logs.expect("Live schedules had no instant to come; they were repaired.")
    assert await sweeper.run_once() == 0
    await fire_all(database)
    assert len(await live.ledger()) in (5, 6)


async def test_the_sweep_leaves_alone_what_is_well(tenant: Tenant, database: Database) -> None:
    live = await make_live(tenant)
    await make_live(tenant, "Silent", deployed_at=None)
    before = await state(database, live.schedule.id)
    assert await Sweeper(database).run_once() == 0
    assert await state(database, live.schedule.id) == before


async def test_a_schedule_that_counts_as_live_and_is_not_is_silenced(
    tenant: Tenant, database: Database, logs: Logs
) -> None:
    live = await make_live(tenant)
    await live.fall_behind(timedelta())
    async with database.connection() as connection:
        await connection.execute("UPDATE flow_versions SET status = 'Inactive', deployed_at = NULL")
    await Scheduler(database).run_once()
    logs.expect("Schedules counted as live and are not; they were silenced.")
    assert await live.ledger() == []
    after = await state(database, live.schedule.id)
    assert after is not None
    assert after["live_since"] is None


async def test_runs_without_a_week_are_moved_loudly(tenant: Tenant, database: Database, logs: Logs) -> None:
    live = await make_live(tenant)
    await live.fall_behind(timedelta())
    await fire_all(database)
    async with database.connection() as connection:
        await connection.execute("UPDATE runs SET scheduled_for = scheduled_for + interval '70 days'")
    runs = len(await live.ledger())
    assert await Sweeper(database).run_once() == runs
    logs.expect("Runs had no partition of their own; they were moved.")
    assert len(await live.ledger()) == runs


async def test_partitions_are_made_ahead(tenant: Tenant, database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute("SELECT drop_partition('runs', 'tomorrow'::date + 60, 7)")
        for _ in range(9):
            await connection.execute("SELECT drop_partition('runs', 'tomorrow'::date + 60, 7)")
        assert await weeks(database) == 0
    await Sweeper(database).run_once()
    assert await weeks(database) == 4


async def test_two_that_make_the_same_partition_make_one(tenant: Tenant, database: Database) -> None:
    """The second one looked before the first had made it, and looks again when the first is done."""
    weeks = {runs.week_of(datetime.now(UTC) + timedelta(weeks=30))}

    async def waits() -> bool:
        async with database.connection() as connection:
            waiting: int = await connection.fetchval(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            )
        return waiting > 0

    async with database.connection() as first, database.connection() as second:
        transaction = first.transaction()
        await transaction.start()
        await runs.make_weeks(first, weeks)
        waiting = asyncio.create_task(runs.make_weeks(second, weeks))
        await until(waits, "the second one waits")
        await transaction.commit()
        assert await waiting == 0


async def test_the_pruner_drops_whole_weeks_and_days(tenant: Tenant, database: Database) -> None:
    live = await make_live(tenant)
    async with database.connection() as connection:
        for age in (200, 120, 60):
            await connection.execute(
                "SELECT make_partition('runs', date_trunc('week', now() - $1 * interval '1 day')::date, 7)", age
            )
        await connection.execute("SELECT make_partition('run_logs', current_date - 30, 1)")
        await connection.execute(
            "INSERT INTO run_gaps (company_id, flow_id, flow_version_id, schedule_id, first_at, until_at, instants,"
            " reason, cron_string, timezone)"
            " SELECT $1, 1, 1, 1, now() - a * interval '1 day', now() - (a - 1) * interval '1 day', 9, 'missed',"
            " '* * * * *', 'UTC' FROM unnest(ARRAY[200, 30]) AS a",
            tenant.company_id,
        )
        before = await weeks(database)
    pruner = Pruner(database, timedelta(days=30))
    while await pruner.run_once():
        pass
    assert await weeks(database) == before - 2
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM run_gaps") == 1
        assert await connection.fetchval(
            "SELECT to_regclass('run_logs_' || to_char(current_date - 30, 'YYYYMMDD')) IS NULL"
        )
    assert await state(database, live.schedule.id) is not None


async def test_a_partition_in_use_is_dropped_later(tenant: Tenant, database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute(
            "SELECT make_partition('runs', date_trunc('week', now() - interval '200 days')::date, 7)"
        )
    before = await weeks(database)
    pruner = Pruner(database, timedelta(days=30))
    async with database.connection() as connection, connection.transaction():
        await connection.execute("LOCK TABLE runs IN ROW EXCLUSIVE MODE")
        await pruner.run_once()
        assert await weeks(database) == before
    await until(lambda: pruned(pruner, database, before), "the partition is dropped")


async def pruned(pruner: Pruner, database: Database, before: int) -> bool:
    await pruner.run_once()
    return await weeks(database) == before - 1


async def weeks(database: Database) -> int:
    async with database.connection() as connection:
        number: int = await connection.fetchval(
            "SELECT count(*) FROM pg_inherits WHERE inhparent = 'runs'::regclass"
            " AND inhrelid <> 'runs_default'::regclass"
        )
    return number


async def test_nothing_fires_while_all_firing_is_paused(tenant: Tenant, database: Database) -> None:
    live = await make_live(tenant)
    await firing.pause_firing(tenant.principal, database, "tonight")
    async with database.connection() as connection:
        await connection.execute("UPDATE schedule_states SET next_due = clock_timestamp()")
    await Scheduler(database).run_once()
    assert await live.ledger() == [("skipped", "firing_paused")]
