"""A year of firing by a clock that runs ahead, through both changes of the clocks in six zones.

Only the reading of the database's clock is replaced. What should have been due is found by looking at every minute
that the clocks of a zone show; what the ledger has must be exactly that.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from core.operations import schedules
from core.operations.firing import fire_due
from core.store import run_gaps
from core.store.database import Database
from tests.support.crons import due_instants
from tests.support.fires import clock_at
from tests.support.tenants import Tenant

START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(days=366)
MINUTE = timedelta(minutes=1)
SEED = 20261122

ZONES = (
    "UTC", "Europe/Berlin", "America/New_York", "America/Havana", "Australia/Lord_Howe", "Pacific/Chatham",
)  # fmt: skip
EXPRESSIONS = ("30 2 * * *", "15 */6 * * *", "0,30 0-3 * * 0", "45 1 29 * *")
WINDOWS = (0, 600, 86_400)


@pytest.mark.leaves_jobs
@pytest.mark.timeout(300)
async def test_a_year_is_accounted_for_instant_by_instant(tenant: Tenant, database: Database) -> None:
    rules = await _make(tenant)
    source = random.Random(SEED)
    now = START
    while now < END:
        # Mostly in time, now and then away for days.
        away = source.choice([timedelta(minutes=20), timedelta(hours=3), timedelta(hours=8), timedelta(days=4)])
        now = min(now + away * source.random(), END)
        clock = clock_at(partial(_same, now))
        while (await fire_due(database, clock)).claimed:
            pass
    unaccounted = extra = doubled = 0
    for schedule_id, (expression, zone) in rules.items():
        wanted = set(due_instants(expression, zone, START + MINUTE, END + MINUTE))
        found = Counter(await _accounts(database, tenant, schedule_id))
        unaccounted += len(wanted - set(found))
        extra += len(set(found) - wanted)
        doubled += sum(times - 1 for times in found.values())
    assert (unaccounted, extra, doubled) == (0, 0, 0)


def _same(moment: datetime) -> datetime:
    return moment


async def _make(tenant: Tenant) -> dict[int, tuple[str, str]]:
    """One live schedule of each kind, of which nothing is accounted for since the beginning of the year."""
    flow = await tenant.make_flow("A year")
    version = await tenant.make_version(flow, "v1")
    await tenant.deploy(flow, version)
    rules = {}
    for place, (zone, expression) in enumerate((zone, text) for zone in ZONES for text in EXPRESSIONS):
        given = {
            "cron_string": expression,
            "timezone": zone,
            "overlap_policy": ("allow", "skip", "buffer_one")[place % 3],
            "catchup_window_seconds": WINDOWS[place % len(WINDOWS)],
            "deployed_at": START,
        }
        made = await schedules.create_schedule(tenant.principal, tenant.database, version.id, given)
        rules[made.id] = (expression, zone)
    async with tenant.database.connection() as connection:
        for schedule_id, (expression, zone) in rules.items():
            first = due_instants(expression, zone, START + MINUTE, START + timedelta(days=40))[0]
            await connection.execute(
                "UPDATE schedule_states SET live_since = $2, next_due = $3 WHERE schedule_id = $1",
                schedule_id,
                START,
                first,
            )
    return rules


async def _accounts(database: Database, tenant: Tenant, schedule_id: int) -> list[datetime]:
    """Every instant that has an account, as often as it has one."""
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT scheduled_for FROM runs WHERE schedule_id = $1", schedule_id)
        gaps, _ = await run_gaps.list_page(connection, tenant.company_id, schedule_id, limit=10_000, offset=0)
    inside = [at for stored in gaps for at in stored.dues.instants(stored.gap.first, stored.gap.until, 1 << 20)]
    assert sum(stored.gap.instants for stored in gaps) == len(inside)
    return [row["scheduled_for"] for row in rows] + inside
