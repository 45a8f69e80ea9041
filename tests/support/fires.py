"""Schedules that are due without waiting for it, and what the ledger says of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from core.domain.accounting import MOST_AT_ONCE
from core.domain.flows import Flow
from core.domain.stored_schedules import StoredSchedule
from core.domain.versions import Version
from core.operations import schedules
from core.operations.firing import USUAL, Fired, Firing, fire_due
from core.store.database import Connection, Database
from tests.support.tenants import Tenant

MINUTELY = "* * * * *"
"""Is never due in a test by itself: what is to be due is made due, and the rest of a minute is left to others."""


@dataclass(frozen=True)
class Live:
    """A flow whose version is deployed, with one schedule."""

    tenant: Tenant
    flow: Flow
    version: Version
    schedule: StoredSchedule

    async def change(self, **given: Any) -> StoredSchedule:
        return await schedules.change_schedule(
            self.tenant.principal, self.tenant.database, self.version.id, self.schedule.id, given
        )

    async def fall_behind(self, by: timedelta) -> datetime:
        """As if nobody had accounted for so long; returns the first instant without an account."""
        return await fall_behind(self.tenant.database, self.schedule, by)

    async def ledger(self) -> list[tuple[str, str | None]]:
        """Status and reason of the schedule's runs, the oldest first."""
        return await ledger(self.tenant.database, self.schedule.id)


async def make_live(
    tenant: Tenant, name: str = "Fires", *, cron: str = MINUTELY, body: str = '{"nodes":[]}', **given: Any
) -> Live:
    flow = await tenant.make_flow(name)
    version = await tenant.make_version(flow, "v1", body)
    await tenant.deploy(flow, version)
    rules = {"cron_string": cron, **given}
    schedule = await schedules.create_schedule(tenant.principal, tenant.database, version.id, rules)
    return Live(tenant, flow, version, schedule)


async def fall_behind(database: Database, schedule: StoredSchedule, by: timedelta) -> datetime:
    async with database.connection() as connection:
        first: datetime = await connection.fetchval(
            "UPDATE schedule_states SET next_due = date_trunc('minute', clock_timestamp() - $2::interval)"
            " WHERE schedule_id = $1 AND live_since IS NOT NULL RETURNING next_due",
            schedule.id,
            by,
        )
    assert first is not None, "the schedule is not live"
    return first


async def ledger(database: Database, schedule_id: int) -> list[tuple[str, str | None]]:
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT status, reason FROM runs WHERE schedule_id = $1 ORDER BY scheduled_for", schedule_id
        )
    return [(row["status"], row["reason"]) for row in rows]


async def gaps(database: Database, schedule_id: int) -> list[tuple[int, str]]:
    """Instants and reason of each gap, the oldest first."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT instants, reason FROM run_gaps WHERE schedule_id = $1 ORDER BY first_at", schedule_id
        )
    return [(row["instants"], row["reason"]) for row in rows]


async def state(database: Database, schedule_id: int) -> dict[str, Any] | None:
    async with database.connection() as connection:
        row = await connection.fetchrow("SELECT * FROM schedule_states WHERE schedule_id = $1", schedule_id)
    return None if row is None else dict(row)


async def fire_all(database: Database, given: Firing = USUAL) -> Fired:
    """Claims until nothing is due; returns the sums, and that of the last claim that did anything for the rest."""
    total = Fired()
    for _ in range(10 * MOST_AT_ONCE):
        done = await fire_due(database, given)
        if not done.claimed:
            return total
        total = replace(
            done,
            claimed=total.claimed + done.claimed,
            begun=total.begun + done.begun,
            left_out=total.left_out + done.left_out,
        )
    raise AssertionError("there is always something due")


def clock_at(read: Callable[[], datetime]) -> Firing:
    """Fires by another clock than the database's."""

    async def read_clock(connection: Connection) -> datetime:
        return read()

    return replace(USUAL, read_clock=read_clock)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
