"""Claim, account, advance, stage: on real rows, by any number of schedulers at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import orjson
import pytest

from core.domain.flows import FlowChange
from core.domain.runs import RunStatus
from core.domain.versions import VersionChange
from core.operations import schedules, versions
from core.operations.endings import Ending, end_runs
from core.operations.firing import USUAL, fire_due, next_due_in
from core.store.database import Connection, Database
from schemas.losant import SHOWN_VERSION
from tests.support.fires import Live, clock_at, fire_all, gaps, ledger, make_live, state
from tests.support.logs import Logs
from tests.support.tenants import Tenant
from tests.support.waiting import until

pytestmark = pytest.mark.leaves_jobs

MINUTE = timedelta(minutes=1)


async def end(live: Live, status: RunStatus = RunStatus.SUCCESS) -> int:
    """Ends every run of a schedule that is not waiting for another; returns how many."""

    async def work(connection: Connection) -> int:
        rows = await connection.fetch(
            "SELECT id, scheduled_for FROM runs"
            " WHERE schedule_id = $1 AND status IN ('queued', 'started') AND NOT buffered",
            live.schedule.id,
        )
        endings = [Ending(row["id"], row["scheduled_for"], status) for row in rows]
        return len(await end_runs(connection, endings))

    return await live.tenant.database.transaction(work)


async def test_what_is_due_is_a_run_and_a_job_in_one_transaction(tenant: Tenant, database: Database) -> None:
    live = await make_live(tenant)
    due = await live.fall_behind(timedelta())
    done = await fire_due(database, USUAL)
    assert (done.claimed, done.begun, done.left_out) == (1, 1, 0)
    async with database.connection() as connection:
        run = await connection.fetchrow("SELECT * FROM runs")
        job = await connection.fetchrow("SELECT * FROM jobs WHERE kind = 'dispatch_runs'")
    assert run["scheduled_for"] == due
    assert (run["status"], run["trigger"], run["version_name"]) == ("queued", "schedule", "v1")
    assert (run["digest"], run["version_revision"]) == (live.version.digest, (await version_of(live))["revision"])
    assert run["job_id"] == job["id"]
    assert job["company_id"] == tenant.company_id
    arguments = orjson.loads(job["arguments"])
    assert arguments["run_ids"] == [run["id"]]
    assert job["deliver_at"] is not None
    after = await state(database, live.schedule.id)
    assert after is not None
    assert (after["next_due"], after["active_runs"]) == (due + MINUTE, 1)


async def test_nothing_due_is_nothing_done(tenant: Tenant, database: Database) -> None:
    await make_live(tenant, cron="0 0 1 1 *")
    assert (await fire_due(database, USUAL)).claimed == 0
    assert (await next_due_in(database) or 0) > 0


async def test_two_schedulers_account_for_everything_once(tenant: Tenant, database: Database) -> None:
    lives = [await make_live(tenant, f"Fires {number}") for number in range(12)]
    for live in lives:
        await live.fall_behind(3 * MINUTE)

    async def scheduler() -> int:
        claimed = 0
        while (done := await fire_due(database, USUAL, claim=2)).claimed:
            claimed += done.claimed
        return claimed

    await asyncio.gather(*(scheduler() for _ in range(4)))
    await fire_all(database)
    for live in lives:
        assert len(await live.ledger()) >= 4
        async with database.connection() as connection:
            holes = await connection.fetchval(
                "SELECT count(*) FROM (SELECT scheduled_for - lag(scheduled_for) OVER (ORDER BY scheduled_for) AS step"
                " FROM runs WHERE schedule_id = $1) AS steps WHERE step <> interval '1 minute'",
                live.schedule.id,
            )
        assert holes == 0


async def test_an_instant_that_has_its_account_is_not_dispatched_again(
    tenant: Tenant, database: Database, logs: Logs
) -> None:
    """As when the schedules were set back to a copy, and the ledger was not."""
    live = await make_live(tenant, overlap_policy="allow")
    await live.fall_behind(MINUTE)
    first = await fire_all(database)
    await live.fall_behind(MINUTE)
    await fire_all(database)
    logs.expect("Instants were due again that have an account.")
    async with database.connection() as connection:
        runs = await connection.fetchval("SELECT count(*) FROM runs")
        handed = await connection.fetchval(
            "SELECT sum(jsonb_array_length(arguments -> 'run_ids')) FROM jobs WHERE kind = 'dispatch_runs'"
        )
    assert runs == handed
    assert runs - first.begun <= 1, "but for a minute that began meanwhile"
    after = await state(database, live.schedule.id)
    assert after is not None
    assert after["active_runs"] == runs


async def test_overlap_skips_until_the_run_ends(tenant: Tenant, database: Database) -> None:
    live = await make_live(tenant)
    await live.fall_behind(2 * MINUTE)
    await fire_all(database)
    assert (await live.ledger())[:3] == [("queued", None), ("skipped", "overlap"), ("skipped", "overlap")]
    assert await end(live) == 1
    assert await end(live) == 0, "a terminal state never changes"
    after = await state(database, live.schedule.id)
    assert after is not None
    assert after["active_runs"] == 0


async def test_the_buffered_run_begins_when_the_other_ends(tenant: Tenant, database: Database) -> None:
    live = await make_live(tenant, overlap_policy="buffer_one")
    await live.fall_behind(2 * MINUTE)
    await fire_all(database)
    told = await live.ledger()
    assert (told[0], told[-1]) == (("queued", None), ("queued", None))
    assert set(told[1:-1]) == {("skipped", "overlap")}
    assert await jobs_of_dispatch(database) == 1
    assert await end(live) == 1
    assert await jobs_of_dispatch(database) == 2, "what waited is handed to dispatch by the end of the other"
    after = await state(database, live.schedule.id)
    assert after is not None
    assert (after["active_runs"], after["buffered_runs"]) == (1, 0)
    assert await end(live) == 1


async def test_a_later_instant_takes_the_place_of_the_one_that_waits(tenant: Tenant, database: Database) -> None:
    live = await make_live(tenant, overlap_policy="buffer_one")
    await live.fall_behind(3 * MINUTE)
    await fire_all(database)
    before = await live.ledger()
    waiting = await state(database, live.schedule.id)
    assert waiting is not None
    due = waiting["next_due"]
    done = await fire_due(database, clock_at(lambda: due))
    assert done.claimed == 1
    told = await live.ledger()
    assert told[: len(before) - 1] == before[:-1]
    assert told[len(before) - 1] == ("skipped", "overlap")
    assert told[-1] == ("queued", None)
    after = await state(database, live.schedule.id)
    assert after is not None
    assert (after["active_runs"], after["buffered_runs"]) == (1, 1)


async def test_deleting_a_schedule_stops_what_waits(tenant: Tenant, database: Database) -> None:
    live = await make_live(tenant, overlap_policy="buffer_one")
    await live.fall_behind(2 * MINUTE)
    await fire_all(database)
    await schedules.delete_schedule(tenant.principal, database, live.version.id, live.schedule.id)
    told = await live.ledger()
    assert (told[0], told[-1]) == (("queued", None), ("stopped", "schedule_deleted"))
    after = await state(database, live.schedule.id)
    assert after is not None
    assert (after["live_since"], after["active_runs"], after["buffered_runs"]) == (None, 1, 0)


@pytest.mark.parametrize("switch", ["schedule", "version", "flow"])
async def test_what_is_switched_off_is_skipped_with_the_reason(tenant: Tenant, database: Database, switch: str) -> None:
    live = await make_live(tenant)
    if switch == "schedule":
        await live.change(paused=True)
    elif switch == "version":
        await switch_version(live, enabled=False)
    else:
        await tenant.change_flow(live.flow, FlowChange(enabled=False))
    await live.fall_behind(MINUTE)
    await fire_all(database)
    reason = "paused" if switch == "schedule" else "disabled"
    assert set(await live.ledger()) == {("skipped", reason)}
    assert await jobs_of_dispatch(database) == 0


async def test_a_long_outage_is_one_gap_and_the_window(tenant: Tenant, database: Database) -> None:
    live = await make_live(tenant, overlap_policy="allow")
    await live.fall_behind(timedelta(hours=8))
    done = await fire_all(database)
    assert done.left_out >= 469
    assert len(await gaps(database, live.schedule.id)) == 1
    assert {status for status, _ in await live.ledger()} == {"queued"}


async def test_current_instants_go_before_those_of_an_outage(tenant: Tenant, database: Database) -> None:
    late, current = [await make_live(tenant, name) for name in ("Late", "Current")]
    await late.fall_behind(timedelta(minutes=9))
    await current.fall_behind(timedelta())
    await fire_due(database, USUAL, claim=1)
    assert await current.ledger()
    assert await late.ledger() == []


async def test_a_week_that_is_missing_is_made_by_the_writer(tenant: Tenant, database: Database) -> None:
    live = await make_live(tenant)
    await live.fall_behind(timedelta())
    async with database.connection() as connection:
        for row in await connection.fetch(
            "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'runs'::regclass"
        ):
            if row["name"] != "runs_default":
                await connection.execute(f"DROP TABLE {row['name']}")
    await fire_all(database)
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM runs_default") == 0
    assert await live.ledger()


async def test_what_had_to_go_to_the_default_partition_moves_when_its_week_is_made(
    tenant: Tenant, database: Database
) -> None:
    live = await make_live(tenant)
    await live.fall_behind(timedelta())
    await fire_all(database)
    async with database.connection() as connection:
        await connection.execute("UPDATE runs SET scheduled_for = scheduled_for - interval '200 days'")
        assert await connection.fetchval("SELECT count(*) FROM runs_default") > 0
        moved = await connection.fetchval(
            "SELECT make_partition('runs', date_trunc('week', min(scheduled_for) AT TIME ZONE 'UTC')::date, 7)"
            " FROM runs"
        )
        assert moved > 0
        assert await connection.fetchval("SELECT count(*) FROM runs_default") == 0
    assert len(await live.ledger()) == moved


async def test_many_runs_are_dealt_out_to_jobs_of_one_company_each(
    tenant: Tenant, stranger: Tenant, database: Database
) -> None:
    ours, theirs = await make_live(tenant, overlap_policy="allow"), await make_live(stranger, overlap_policy="allow")
    async with database.connection() as connection:
        await connection.execute("UPDATE schedules SET catchup_window_seconds = 86400")
    await ours.fall_behind(150 * MINUTE)
    await theirs.fall_behind(MINUTE)
    await fire_all(database)
    async with database.connection() as connection:
        dealt = await connection.fetch(
            "SELECT j.company_id, r.company_id AS owner, count(*) AS runs"
            " FROM jobs j JOIN runs r ON r.job_id = j.id GROUP BY 1, 2, j.id"
        )
    assert all(row["company_id"] == row["owner"] and row["runs"] <= 100 for row in dealt)
    assert {row["company_id"] for row in dealt} == {tenant.company_id, stranger.company_id}


async def test_a_timer_of_the_deployed_version_fires_and_goes_with_it(tenant: Tenant, database: Database) -> None:
    body = (
        '{"nodes":[],"triggers":['
        '{"type":"timer","key":"often","config":{"seconds":30}},'
        '{"type":"timer","config":{"cron":"*/5 * * * *","tz":"Europe/Berlin"}},'
        '{"type":"timer","key":"odd","config":{"cron":"@daily"}},'
        '{"type":"webhook","key":"hook","config":{}}]}'
    )
    flow = await tenant.make_flow("Timed")
    version = await tenant.make_version(flow, "v1", body)
    await tenant.deploy(flow, version)
    async with database.connection() as connection:
        timers = await connection.fetch("SELECT * FROM timers ORDER BY trigger_key")
        assert [(row["trigger_key"], row["cron_string"], row["every_seconds"]) for row in timers] == [
            ("#2", "*/5 * * * *", None), ("often", None, 30),
        ]  # fmt: skip
        await connection.execute("UPDATE schedule_states SET next_due = next_due - interval '5 minutes'")
    await fire_all(database)
    async with database.connection() as connection:
        runs = await connection.fetch("SELECT DISTINCT trigger, trigger_key FROM runs ORDER BY trigger_key")
    assert [(row["trigger"], row["trigger_key"]) for row in runs] == [("timer", "#2"), ("timer", "often")]
    await tenant.change_flow(flow, FlowChange(undeploy=True))
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM timers") == 0
        assert await connection.fetchval("SELECT count(*) FROM schedule_states WHERE live_since IS NOT NULL") == 0
    assert await ledger(database, timers[0]["id"])


async def test_ending_a_run_waits_for_whoever_writes_it(tenant: Tenant, database: Database) -> None:
    """What changed while we waited for it is not left out: PostgreSQL looks at such rows once more."""
    live = await make_live(tenant)
    await live.fall_behind(timedelta())
    await fire_all(database)
    async with database.connection() as other:
        async with other.transaction():
            await other.execute("UPDATE runs SET attempts = attempts + 1, status = 'started', started_at = now()")
            ending = asyncio.create_task(end(live))
            await until(lambda: waiting(database), "somebody waits")
        assert await ending == 1


async def test_a_change_waits_for_whoever_accounts(tenant: Tenant, database: Database) -> None:
    """And accounts for what that one left: a schedule that changed while we waited for it is locked all the same."""
    live = await make_live(tenant, overlap_policy="allow")
    first = await live.fall_behind(timedelta(minutes=5))
    async with database.connection() as other:
        async with other.transaction():
            await other.execute("UPDATE schedule_states SET next_due = next_due + interval '2 minutes'")
            change = asyncio.create_task(live.change(paused=True))
            await until(lambda: waiting(database), "somebody waits")
        await change
    async with database.connection() as connection:
        accounted = await connection.fetchval("SELECT min(scheduled_for) FROM runs")
    assert accounted == first + timedelta(minutes=2)


async def waiting(database: Database) -> bool:
    async with database.connection() as connection:
        found: bool = await connection.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
    return found


async def version_of(live: Live) -> dict[str, object]:
    async with live.tenant.database.connection() as connection:
        return dict(await connection.fetchrow("SELECT * FROM flow_versions WHERE id = $1", live.version.id))


async def jobs_of_dispatch(database: Database) -> int:
    async with database.connection() as connection:
        number: int = await connection.fetchval("SELECT count(*) FROM jobs WHERE kind = 'dispatch_runs'")
    return number


async def switch_version(live: Live, *, enabled: bool) -> None:
    await versions.change_version(
        live.tenant.principal,
        live.tenant.database,
        live.tenant.application_id,
        live.flow.id,
        "v1",
        VersionChange(enabled=enabled),
        SHOWN_VERSION,
    )
