"""What firing and dispatch do, each time without one of their guards: the controls run this, and it goes wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import asyncpg

from core.domain.access import ActorType, Principal
from core.domain.accounting import account
from core.domain.dispatch import Cause, Failed, Outgoing
from core.domain.jobs import ClaimedJob, JobStatus
from core.operations import firing
from core.operations.dispatch import Turn, take_turn
from core.operations.settling import Terms
from core.store import deployments, jobs, schedule_states, schedules
from core.store.database import Connection, Database
from core.store.jobs import HeldJob

WAIT = timedelta(milliseconds=200)


async def drop_key(database: Database) -> None:
    """A ledger that has two accounts of an instant if it is given two."""
    async with database.connection() as connection:
        await connection.execute("ALTER TABLE runs DROP CONSTRAINT runs_instant_key")


async def waits_without_skipping(database: Database) -> bool:
    """Whether a claim that does not leave alone what others have locked waits for one who stands still."""
    claim = "SELECT schedule_id FROM schedule_states WHERE next_due <= clock_timestamp() FOR NO KEY UPDATE"

    async def work(connection: Connection) -> None:
        await connection.execute(f"SET LOCAL lock_timeout = '{WAIT / timedelta(milliseconds=1):.0f}ms'")
        await connection.fetch(claim)

    try:
        await database.transaction(work)
    except asyncpg.LockNotAvailableError:
        return True
    return False


async def undeploy_without_accounting(database: Database, company_id: int, flow_id: int) -> int:
    """Takes what is deployed back, and makes silent what was live; returns how many instants of timers of a second were
    due, and nobody will ever ask for them."""
    principal = Principal(company_id, ActorType.CLI, None)

    async def work(connection: Connection) -> int:
        live = await schedule_states.lock_live(connection, company_id, flow_id)
        due: int = await connection.fetchval(
            "SELECT sum(floor(extract(epoch FROM clock_timestamp() - next_due)) + 1)::bigint FROM schedule_states"
        )
        await deployments.release(connection, principal, flow_id, but=0)
        await schedule_states.silence(connection, live)
        return due

    return await database.transaction(work)


async def account_beside_a_change(database: Database, change: Callable[[], Awaitable[None]]) -> datetime:
    """A scheduler that has read where its schedules stand without a lock, and writes their accounts when something of
    them was changed; returns by what time it judged."""

    async def read(connection: Connection) -> tuple[datetime, Sequence[schedule_states.Due]]:
        moment = await schedules.read_clock(connection)
        rows = await connection.fetch("SELECT schedule_id FROM schedule_states WHERE next_due <= $1", moment)
        return moment, await schedule_states.read_standings(connection, [row["schedule_id"] for row in rows])

    moment, found = await database.transaction(read)
    await change()
    accounts = [(due, account(due.standing, moment)) for due in found if due.standing is not None]

    async def write(connection: Connection) -> None:
        await firing._write(connection, firing.USUAL, accounts)

    await database.transaction(write)
    return moment


async def account_without_staging(database: Database) -> None:
    """The first half of a scheduler that writes accounts in one transaction and stages their jobs in another."""
    await firing.fire_due(database, firing.USUAL)
    async with database.connection() as connection:
        await connection.execute("DELETE FROM jobs WHERE kind = 'dispatch_runs'")


async def take_turn_without_fence(database: Database, job: ClaimedJob, lost: Sequence[Outgoing], terms: Terms) -> Turn:
    """The turn of a worker whose requests came to nothing, and that does not ask whether the job is still its own."""
    async with database.connection() as connection:
        attempt = await connection.fetchval("SELECT attempt FROM jobs WHERE id = $1", job.id)
    tried = [Failed(run, Cause.TIMEOUT, "No answer.") for run in lost]
    return await take_turn(
        database, replace(job, attempt=attempt), tried, [], room=10, terms=terms, fraction=lambda: 0.5
    )


async def end_without_taking_back(database: Database, claimed: ClaimedJob) -> None:
    """Ends a dispatch job that nobody could finish, and leaves the runs that it held to it."""

    async def work(connection: Connection) -> None:
        held: HeldJob | None = await jobs.hold(connection, claimed)
        assert held is not None
        await jobs.conclude(connection, held, JobStatus.FAILED, ("worker_lost", "It stopped without a word."))

    await database.transaction(work)


async def go_live_by_the_clock_alone(database: Database) -> None:
    """What a change leaves that asks nothing but the clock from when on schedules count, and the clock was set back."""
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE schedule_states SET next_due = date_trunc('minute', clock_timestamp()) + interval '1 minute'"
            " WHERE next_due IS NOT NULL"
        )
