"""A clock that was set back: what a flow has been through is not due again, whatever is changed meanwhile.

The clock is the real one. What makes it one that was set back is a ledger that has accounts of what lies ahead of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import pytest

from core.domain.flows import FlowChange
from core.operations import firing
from core.operations.firing import SET_BACK
from core.store.database import Database
from tests.support.fires import Live, clock_at, fire_all, make_live, state
from tests.support.tenants import Tenant

pytestmark = pytest.mark.leaves_jobs

AHEAD = timedelta(minutes=50)
TIMERS = '{"triggers":[{"type":"timer","key":"t","config":{"seconds":60}}],"nodes":[]}'


async def _edit(live: Live) -> None:
    await live.change(cron_string="*/2 * * * *")


async def _widen(live: Live) -> None:
    await live.change(catchup_window_seconds=60)


async def _redeploy(live: Live) -> None:
    await live.tenant.change_flow(live.flow, FlowChange(undeploy=True))
    await live.tenant.deploy(live.flow, live.version)


async def _switch(live: Live) -> None:
    for enabled in (False, True):
        await live.tenant.change_flow(live.flow, FlowChange(enabled=enabled))


async def _both(live: Live) -> None:
    await _redeploy(live)
    await _switch(live)


CHANGES = {"edit": _edit, "widen": _widen, "redeploy": _redeploy, "switch off and on": _switch, "both": _both}


@pytest.mark.parametrize("window", [0, 86_400], ids=["as a gap", "as runs"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_change_makes_nothing_due_again(
    tenant: Tenant, database: Database, change: Callable[[Live], Awaitable[None]], window: int
) -> None:
    live = await make_live(tenant, body=TIMERS, catchup_window_seconds=window, overlap_policy="allow")
    came_to = await go_ahead(database, AHEAD)
    await change(live)
    async with database.connection() as connection:
        due = await connection.fetch("SELECT next_due FROM schedule_states WHERE next_due IS NOT NULL")
    assert len(due) == 2, "the schedule and the timer"
    assert all(row["next_due"] > came_to - timedelta(minutes=1) for row in due)
    before = await rows(database)
    assert (await fire_all(database)).claimed == 0
    assert await rows(database) == before


async def test_what_had_no_account_yet_keeps_its_turn(tenant: Tenant, database: Database) -> None:
    """The clock was set back before a schedule had all that another of its flow has."""
    live, other = await make_live(tenant), await make_live(tenant, "Other")
    async with database.connection() as connection:
        await connection.execute("UPDATE schedules SET flow_id = $1, flow_version_id = $2 WHERE id = $3",
                                 live.flow.id, live.version.id, other.schedule.id)  # fmt: skip
        await connection.execute("UPDATE schedule_states SET flow_id = $1, flow_version_id = $2", live.flow.id,
                                 live.version.id)  # fmt: skip
    await go_ahead(database, AHEAD)
    left = await state(database, other.schedule.id)
    assert left is not None
    waiting = left["next_due"] - timedelta(minutes=3)
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE schedule_states SET next_due = $2 WHERE schedule_id = $1", other.schedule.id, waiting
        )
    await _edit(live)
    kept = await state(database, other.schedule.id)
    assert kept is not None
    assert kept["next_due"] == waiting


async def test_a_clock_that_was_plainly_wrong_does_not_silence_a_flow(tenant: Tenant, database: Database) -> None:
    live = await make_live(tenant)
    await go_ahead(database, SET_BACK + AHEAD)
    async with database.connection() as connection:
        now: datetime = await connection.fetchval("SELECT clock_timestamp()")
    await _edit(live)
    due = await state(database, live.schedule.id)
    assert due is not None
    assert due["next_due"] <= now + timedelta(minutes=3)


async def test_a_pause_of_later_than_now_can_be_ended(tenant: Tenant, database: Database) -> None:
    await firing.pause_firing(tenant.principal, database, None)
    async with database.connection() as connection:
        await connection.execute("UPDATE firing_pauses SET began_at = began_at + $1::interval", AHEAD)
    assert await firing.resume_firing(tenant.principal, database) is not None


async def go_ahead(database: Database, by: timedelta) -> datetime:
    """Fires by a clock that is so far ahead; returns what it showed."""
    async with database.connection() as connection:
        now: datetime = await connection.fetchval("SELECT clock_timestamp()")
    await fire_all(database, clock_at(lambda: now + by))
    return now + by


async def rows(database: Database) -> tuple[int, int]:
    async with database.connection() as connection:
        row = await connection.fetchrow(
            "SELECT (SELECT count(*) FROM runs), (SELECT coalesce(sum(instants), 0) FROM run_gaps)"
        )
    return row[0], row[1]
