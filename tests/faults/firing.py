"""Flows that fire all the time, and the checker: what should have been due, beside what the ledger has.

A timer of one second is due every second from its deploy to its undeploy, and each deploy makes timers of their own, so
the instants of one timer must follow each other without a hole, and none may have two accounts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson

from core.domain.flows import Flow, FlowChange
from core.domain.versions import Version
from core.store.database import Database
from tests.faults.ground import Ground
from tests.support.waiting import until

SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Ticking:
    """A flow whose version has so many timers of one second."""

    ground: Ground
    flow: Flow
    version: Version

    async def undeploy(self) -> None:
        await self.ground.tenant.change_flow(self.flow, FlowChange(undeploy=True))

    async def deploy(self) -> None:
        await self.ground.tenant.deploy(self.flow, self.version)

    async def enable(self, *, enabled: bool) -> None:
        await self.ground.tenant.change_flow(self.flow, FlowChange(enabled=enabled))


async def make_ticking(ground: Ground, name: str, timers: int) -> Ticking:
    triggers = [{"type": "timer", "key": f"t{n}", "config": {"seconds": 1}} for n in range(timers)]
    flow = await ground.tenant.make_flow(name)
    body = orjson.dumps({"triggers": triggers, "nodes": []}).decode()
    ticking = Ticking(ground, flow, await ground.tenant.make_version(flow, "v1", body))
    await ticking.deploy()
    return ticking


async def fall_behind(database: Database, by: timedelta) -> None:
    """As if nobody had accounted for anything for so long."""
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE schedule_states SET next_due = next_due - $1::interval, live_since = live_since - $1::interval"
            " WHERE next_due IS NOT NULL",
            by,
        )


@dataclass(frozen=True)
class Account:
    """What the checker found. `expected` instants lie between the first and last of each timer, with both."""

    expected: int
    rows: int
    gaps: int
    unaccounted: int
    doubled: int
    undispatched: int
    """Runs that are to begin and are in no job's arguments, or in two."""

    def __str__(self) -> str:
        return f"{self.expected:,} instants, {self.unaccounted} unaccounted, {self.doubled} doubled"

    @property
    def faultless(self) -> bool:
        return not (self.unaccounted or self.doubled or self.undispatched)


_CHECK = """
WITH accounts AS (
    SELECT schedule_id, scheduled_for AS at FROM runs WHERE schedule_id IS NOT NULL
    UNION ALL
    SELECT schedule_id, generate_series(first_at, until_at - interval '1 microsecond', interval '1 second')
    FROM run_gaps
), spans AS (
    SELECT schedule_id, count(*) AS rows, count(DISTINCT at) AS instants,
           1 + extract(epoch FROM max(at) - min(at))::bigint AS expected
    FROM accounts GROUP BY schedule_id
), handed AS (
    SELECT (jsonb_array_elements_text(arguments -> 'run_ids'))::bigint AS run_id FROM jobs WHERE kind = 'dispatch_runs'
), once AS (
    SELECT run_id, count(*) AS times FROM handed GROUP BY run_id
)
SELECT sum(expected)::bigint AS expected, sum(expected - instants)::bigint AS unaccounted,
       sum(rows - instants)::bigint AS doubled, (SELECT count(*) FROM runs) AS rows,
       (SELECT count(*) FROM run_gaps) AS gaps,
       (SELECT count(*) FROM runs r LEFT JOIN once o ON o.run_id = r.id
        WHERE r.status <> 'skipped' AND r.status <> 'missed' AND NOT r.buffered AND o.times IS DISTINCT FROM 1)
           AS undispatched
FROM spans
"""


async def check(database: Database) -> Account:
    """The verdict on a ledger that stands still. What was staged is gone afterwards."""
    async with database.connection() as connection:
        row = await connection.fetchrow(_CHECK)
    await discard_jobs(database)
    return Account(**dict(row))


async def caught_up(database: Database) -> None:
    """Waits until nothing is due that was due when this was asked."""
    async with database.connection() as connection:
        now: datetime = await connection.fetchval("SELECT clock_timestamp()")

    async def present() -> bool:
        async with database.connection() as connection:
            behind = await connection.fetchval("SELECT count(*) FROM schedule_states WHERE next_due <= $1", now)
        return bool(behind == 0)

    await until(present, "everything due is accounted for", 60)


async def discard_jobs(database: Database) -> None:
    """What was staged is left to nobody: this is about the ledger, and dispatch has faults of its own."""
    async with database.connection() as connection:
        await connection.execute("DELETE FROM jobs WHERE kind = 'dispatch_runs'")
