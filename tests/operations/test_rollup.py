"""Ended runs become numbers, each once, whoever folds them and whenever; made anew they are the same."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import pytest

from core.domain.access import ActorType, Principal
from core.domain.dispatch import Report
from core.domain.errors import Conflict, NotFound
from core.domain.metrics import MOST_NAMES
from core.domain.runs import RunStatus
from core.operations import ledger, metrics, rollup, starts
from core.operations.endings import Ending, end_runs
from core.operations.rollup import fold_endings
from core.store import version_metrics
from core.store.database import Connection, Database
from tests.support.fires import fire_all, make_live
from tests.support.metrics import compare, counted, end, fold_all, move, oldest, run_some, stored
from tests.support.runs import Runnable, make_runnable
from tests.support.tenants import Tenant

pytestmark = pytest.mark.leaves_jobs

OUTCOMES = (RunStatus.SUCCESS, RunStatus.FAILURE, RunStatus.STOPPED, RunStatus.PARTIAL_SUCCESS)


def operator(tenant: Tenant) -> Principal:
    return Principal(tenant.company_id, ActorType.CLI, None)


async def test_what_ended_is_counted_by_version_period_and_outcome(tenant: Tenant, database: Database) -> None:
    first, second = await make_runnable(tenant, None), await make_runnable(tenant, None)
    await run_some(first, *OUTCOMES, RunStatus.SUCCESS)
    await run_some(second, RunStatus.FAILURE, took=None)
    await first.start()
    assert await compare(database) != (0, [])
    assert await fold_all(database) == 6
    numbers, differing = await compare(database)
    assert (differing, numbers) == ([], 3 * (4 + 2 + 1 + 1)), "a run that never began has no duration"


async def test_a_fold_that_fails_has_folded_nothing(
    tenant: Tenant, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await run_some(await make_runnable(tenant, None), *OUTCOMES)

    async def die(*_: object) -> int:
        raise OSError

    with monkeypatch.context() as patched:
        patched.setattr(version_metrics, "add", die)
        with pytest.raises(OSError):
            await fold_endings(database, 100)
    assert not (await stored(database)).rows
    await fold_all(database)
    assert (await compare(database))[1] == []


async def test_what_commits_late_is_counted_though_others_came_first(tenant: Tenant, database: Database) -> None:
    """Numbers of rows are given out before they commit."""
    runnable = await make_runnable(tenant, None)
    early, late = await runnable.start(), await runnable.start()
    ended, go_on = asyncio.Event(), asyncio.Event()

    async def slow(connection: Connection) -> None:
        await end_runs(connection, [Ending(early.id, early.scheduled_for, RunStatus.SUCCESS)])
        ended.set()
        await go_on.wait()

    task = asyncio.create_task(database.transaction(slow))
    await ended.wait()
    await end(runnable, late)
    assert await fold_all(database) == 1
    go_on.set()
    await task
    assert await fold_all(database) == 1
    assert (await compare(database))[1] == []


async def test_many_at_once_fold_each_run_once(tenant: Tenant, database: Database) -> None:
    runnables = [await make_runnable(tenant, None) for _ in range(3)]
    chance = random.Random(5)
    for runnable in runnables:
        await run_some(runnable, *chance.choices(OUTCOMES, k=30))

    async def roll() -> int:
        return await fold_all(database, limit=7)

    assert sum(await asyncio.gather(*(roll() for _ in range(5)))) == 90
    assert (await compare(database))[1] == []


async def test_days_add_up_from_what_ended_in_them(tenant: Tenant, database: Database) -> None:
    runnable = await make_runnable(tenant, None)
    for _ in range(4):
        await run_some(runnable, RunStatus.SUCCESS, RunStatus.FAILURE)
        await move(database, timedelta(hours=7, minutes=3))
    await run_some(runnable, RunStatus.SUCCESS)
    await fold_all(database, limit=3)
    numbers, differing = await compare(database)
    assert differing == []
    assert numbers > 40


async def test_what_is_due_and_not_run_is_counted_and_what_is_repaired_no_more(
    tenant: Tenant, database: Database
) -> None:
    live = await make_live(tenant, overlap_policy="buffer_one", catchup_window_seconds=600)
    await live.fall_behind(timedelta(hours=3))
    await fire_all(database)
    await fold_all(database)
    before = await counted(database)
    assert {key[4] for key in before} >= {"missed", "skipped"}
    assert (await compare(database))[1] == []
    repaired, _ = await ledger.repair_schedule(tenant.principal, database, live.schedule.id)
    assert repaired > 100
    await fold_all(database)
    assert (await compare(database))[1] == []
    assert "missed" not in {key[4] for key in await counted(database)}


async def test_a_gap_that_is_repaired_in_part_is_counted_for_the_rest(
    tenant: Tenant, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "MOST_REPAIRED", 10)
    live = await make_live(tenant, overlap_policy="allow", catchup_window_seconds=0)
    await live.fall_behind(timedelta(minutes=30))
    await fire_all(database)
    await ledger.repair_schedule(tenant.principal, database, live.schedule.id)
    await fold_all(database)
    assert (await compare(database))[1] == []


async def test_a_paused_schedules_instants_are_counted_as_skipped(tenant: Tenant, database: Database) -> None:
    live = await make_live(tenant)
    await live.change(paused=True)
    await live.fall_behind(timedelta(hours=2))
    await fire_all(database)
    await fold_all(database)
    (found,) = (await stored(database)).of("day", "runs", "skipped")
    assert found[0] in (120, 121)
    assert (await compare(database))[1] == []


async def test_a_late_result_changes_no_number(tenant: Tenant, database: Database) -> None:
    runnable = await make_runnable(tenant, None)
    (run,) = await run_some(runnable, RunStatus.FAILURE)
    await fold_all(database)
    async with database.connection() as connection:
        await connection.execute("UPDATE runs SET attempts = 1")
    before = await stored(database)
    await starts.report_run(tenant.principal, database, run.id, Report(metrics={"rows": 1}))
    assert await fold_all(database) == 0
    assert await stored(database) == before


async def test_a_retry_counts_as_a_run_of_its_own(tenant: Tenant, database: Database) -> None:
    runnable = await make_runnable(tenant, None)
    (run,) = await run_some(runnable, RunStatus.FAILURE)
    again = await starts.retry_run(tenant.principal, database, run.id, new_id=lambda: "A" * 20 + str(run.id % 10))
    await end(runnable, again)
    await fold_all(database)
    numbers = await stored(database)
    assert [numbers.of("day", "runs", key)[0][0] for key in ("failure", "success")] == [1, 1]


async def test_payloads_and_what_runners_told_are_measured(tenant: Tenant, database: Database) -> None:
    runnable = await make_runnable(tenant, None)
    for rows in (2, -0.5, 1e15):
        run = await runnable.start({"a": "x" * 100})
        await end(runnable, run, metrics={"rows": rows, "é:p50,x": 1})
    await end(runnable, await runnable.start())
    await fold_all(database)
    numbers = await stored(database)
    (payload,) = numbers.of("5m", "payload", "")
    assert payload[0] == 3
    (rows_row,) = numbers.of("hour", "custom", "rows")
    assert (rows_row[0], float(str(rows_row[1])), rows_row[3], rows_row[4]) == (3, 1e15 + 1.5, -0.5, 1e15)
    assert rows_row[6] == [1, 1, 1]
    assert len(numbers.of("day", "custom", "é:p50,x")) == 1


async def test_too_many_names_are_kept_up_to_the_cap_and_counted(tenant: Tenant, database: Database) -> None:
    runnable = await make_runnable(tenant, None)
    for batch in range(5):
        await end(runnable, await runnable.start(), metrics={f"n{batch}-{n}": 1 for n in range(100)})
        await fold_all(database)
    await end(runnable, await runnable.start(), metrics={"n0-1": 5, "n4-99": 1})
    await fold_all(database)
    numbers = await stored(database)
    for interval in ("5m", "hour", "day"):
        names = [key for key in numbers.rows if key[1] == interval and key[3] == "custom" and key[4]]
        assert len({key[4] for key in names}) == MOST_NAMES
        assert sum(int(str(row[0])) for row in numbers.of(interval, "custom", "")) == 500 - MOST_NAMES + 1
    assert sum(int(str(row[0])) for row in numbers.of("day", "custom", "n0-1")) == 2
    async with database.connection() as connection:
        await connection.execute("DELETE FROM version_metrics WHERE type <> 'custom'")
    await rollup.rebuild_metrics(operator(tenant), database, runnable.flow.id, runnable.flow.created_at)
    again = await stored(database)
    assert {key: row for key, row in again.rows.items() if key[3] == "custom"} == {
        key: row for key, row in numbers.rows.items() if key[3] == "custom"
    }


async def test_rebuilt_from_the_ledger_the_numbers_are_the_same(tenant: Tenant, database: Database) -> None:
    runnable, other = await make_runnable(tenant, None), await make_runnable(tenant, None)
    live = await make_live(tenant, overlap_policy="buffer_one", catchup_window_seconds=600)
    await live.fall_behind(timedelta(hours=3))
    await fire_all(database)
    await ledger.repair_schedule(tenant.principal, database, live.schedule.id)
    for _ in range(3):
        for one in (runnable, other):
            await run_some(one, *OUTCOMES)
        run = await runnable.start({"a": 1})
        await end(runnable, run, metrics={"rows": 0.1, "cost": 12})
        await move(database, timedelta(hours=13))
    await fold_all(database, limit=4)
    right = await stored(database)
    start = await oldest(database)
    async with database.connection() as connection:
        await connection.execute("UPDATE version_metrics SET count = count + 1, greatest = 0 WHERE span <> 'hour'")
        await connection.execute("DELETE FROM version_metrics WHERE span = 'hour'")
    for flow in (runnable.flow, other.flow, live.flow):
        await rollup.rebuild_metrics(operator(tenant), database, flow.id, start, page=3)
    assert await stored(database) == right
    assert (await compare(database))[1] == []


async def test_a_rebuild_counts_what_nobody_has_folded_yet_once(tenant: Tenant, database: Database) -> None:
    runnable, other = await make_runnable(tenant, None), await make_runnable(tenant, None)
    await run_some(runnable, *OUTCOMES)
    await run_some(other, *OUTCOMES)
    await fold_endings(database, 2)
    done = await rollup.rebuild_metrics(operator(tenant), database, runnable.flow.id, runnable.flow.created_at)
    assert done.endings == 4
    assert await fold_all(database) == 4, "those of the other flow are still to come"
    assert (await compare(database))[1] == []


async def test_a_rebuild_beside_folds_and_endings_loses_nothing(tenant: Tenant, database: Database) -> None:
    runnable = await make_runnable(tenant, None)
    over = asyncio.Event()

    async def go_on() -> None:
        for _ in range(12):
            await run_some(runnable, RunStatus.SUCCESS, RunStatus.FAILURE)
        over.set()

    async def roll() -> None:
        while not over.is_set():
            await fold_endings(database, 3)
            await asyncio.sleep(0)

    async def rebuild() -> None:
        while not over.is_set():
            await rollup.rebuild_metrics(operator(tenant), database, runnable.flow.id, runnable.flow.created_at, page=5)

    await asyncio.gather(go_on(), roll(), roll(), rebuild())
    await fold_all(database)
    assert (await compare(database))[1] == []


async def test_a_rebuild_is_of_the_companys_own_flow_and_of_what_the_ledger_has(
    tenant: Tenant, stranger: Tenant, database: Database
) -> None:
    runnable = await make_runnable(tenant, None)
    await run_some(runnable, RunStatus.SUCCESS)
    await fold_all(database)
    with pytest.raises(NotFound):
        await rollup.rebuild_metrics(operator(stranger), database, runnable.flow.id, runnable.flow.created_at)
    async with database.connection() as connection:
        await connection.execute("SELECT make_partition('runs', '2026-01-05', 7)")
        await connection.execute("SELECT drop_partition('runs', '2026-02-01', 7)")
        first = await connection.fetchval("SELECT before FROM ledger_horizons")
    assert first.isoformat() == "2026-01-12T00:00:00+00:00"
    await rollup.rebuild_metrics(operator(tenant), database, runnable.flow.id, first + timedelta(days=200))
    with pytest.raises(Conflict, match="before 2026-01-20"):
        await rollup.rebuild_metrics(operator(tenant), database, runnable.flow.id, first + timedelta(days=7))
    assert (await compare(database))[1] == []


async def test_a_summary_adds_one_version_up(tenant: Tenant, database: Database) -> None:
    runnable: Runnable = await make_runnable(tenant, None)
    await run_some(runnable, RunStatus.SUCCESS, RunStatus.FAILURE, took=timedelta(seconds=2))
    await move(database, timedelta(hours=1))
    await run_some(runnable, RunStatus.SUCCESS, took=timedelta(seconds=4))
    await fold_all(database)
    async with database.connection() as connection:
        now = await connection.fetchval("SELECT clock_timestamp()")
        for start in (now - timedelta(days=1), now - timedelta(days=20), now - timedelta(days=300)):
            found = await metrics.read_summary(
                connection, tenant.company_id, runnable.flow.id, runnable.version.id, start, now
            )
            assert (found.runs, found.successes, found.failures, found.duration.count) == (3, 2, 1, 3)
            average, middle = found.duration.average, found.duration.percentile(0.5)
            assert average is not None
            assert 2_600 < average < 3_000
            assert middle is not None
            assert abs(middle - 2_000) < 100
            assert found.start <= start
            assert found.end >= now
        none = await metrics.read_summary(connection, tenant.company_id + 1, runnable.flow.id, 1, now, now)
        assert (none.runs, none.duration.average, none.duration.deviation) == (0, None, None)
