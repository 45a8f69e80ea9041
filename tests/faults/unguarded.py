"""What the product does, each time without one of its guards: the controls run this, and it goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from core.domain import metrics
from core.domain.access import ActorType, Principal
from core.domain.accounting import account
from core.domain.artifacts import Made
from core.domain.dispatch import Ended, Report
from core.domain.jobs import ClaimedJob, JobStatus
from core.domain.runs import Run, RunStatus
from core.operations import deletions, firing
from core.operations.arrivals import Arrival, arrive
from core.operations.dispatch import take_turn
from core.operations.endings import Ending, end_runs
from core.operations.settling import Terms
from core.store import (
    deliveries,
    job_items,
    jobs,
    marketplace,
    run_endings,
    schedule_states,
    schedules,
    version_metrics,
)
from core.store.database import Connection, Database
from core.store.deliveries import Delivery
from core.store.jobs import HeldJob
from core.store.marketplace import NewItem
from worker.mail.mailer import Letter, Mailer
from worker.relay import LEASE


async def move_without_fence(database: Database, remembered: HeldJob, limit: int, terms: Terms) -> None:
    """A batch from the worker's memory: nobody asks whether the job is still its own, or where it stands now."""

    async def work(connection: Connection) -> None:
        pairs = await job_items.read_pairs(connection, remembered.id, remembered.position, limit)
        await deletions._move(connection, remembered, pairs, terms)
        await jobs.advance(connection, remembered, terms.lease)

    await database.transaction(work)


async def move_without_counting(database: Database, claimed: ClaimedJob, limit: int, terms: Terms) -> None:
    """The first half of a batch whose versions and whose count are two transactions."""

    async def work(connection: Connection) -> None:
        held = await jobs.hold(connection, claimed)
        assert held is not None
        pairs = await job_items.read_pairs(connection, held.id, held.position, limit)
        await deletions._move(connection, held, pairs, terms)

    await database.transaction(work)


async def move_and_write(database: Database, claimed: ClaimedJob, limit: int, mailer: Mailer, terms: Terms) -> None:
    """A deletion that sends its letter itself, before it commits."""

    async def work(connection: Connection) -> None:
        held = await jobs.hold(connection, claimed)
        assert held is not None
        pairs = await job_items.read_pairs(connection, held.id, held.position, limit)
        await deletions._move(connection, held, pairs, terms)
        await mailer.send(letter(f"<{claimed.public_id}@penstock.example>"))
        await jobs.conclude(connection, held, JobStatus.COMPLETED, None)

    await database.transaction(work)


def letter(message_id: str) -> Letter:
    return Letter(
        sender="penstock@penstock.example",
        recipient="ops@example.com",
        message_id=message_id,
        date=datetime.now(UTC),
        subject="Deleted",
        text="Deleted.",
        html="<p>Deleted.</p>",
    )


async def mark_before_sending(database: Database) -> list[Delivery]:
    """The first half of a relay that tells PostgreSQL before it tells Redis."""

    async def work(connection: Connection) -> list[Delivery]:
        claimed = await deliveries.claim_staged(connection, limit=10, lease=LEASE, bulk_cap=10, dispatch_cap=10)
        await deliveries.mark_delivered(connection, claimed)
        return claimed

    return await database.transaction(work)


async def claim_for_good(database: Database) -> None:
    """What a relay leaves that dies in between and whose claims do not run out."""
    async with database.connection() as connection:
        claimed = await deliveries.claim_staged(
            connection, limit=10, lease=timedelta(days=1), bulk_cap=10, dispatch_cap=10
        )
    assert claimed


async def forget_to_stage(database: Database, job_id: str) -> None:
    """What an accepting transaction leaves that writes the job but no order to deliver it."""
    async with database.connection() as connection:
        await connection.execute("UPDATE jobs SET deliver_at = NULL WHERE public_id = $1", job_id)


async def find_expired_without_lock(database: Database) -> list[int]:
    """The first half of a rescuer that only looks."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT id FROM jobs WHERE status = 'in_progress' AND leased_until < clock_timestamp()"
        )
    return [row["id"] for row in rows]


async def restage_what_was_found(database: Database, found: list[int]) -> None:
    """The second half: it does not look again."""

    async def work(connection: Connection) -> None:
        for job_id in found:
            await jobs.restage(connection, job_id, after=0, failures=1, error=None)

    await database.transaction(work)


async def delete_what_matches_now(database: Database, flow_id: int) -> None:
    """A deletion whose set is whatever matches when it runs."""
    async with database.connection() as connection:
        await connection.execute("DELETE FROM flow_versions WHERE flow_id = $1 AND status = 'Inactive'", flow_id)


async def delete_by_id(database: Database, version_ids: list[int]) -> None:
    """A deletion that keeps only the ids of its set, and looks at nothing else."""
    async with database.connection() as connection:
        await connection.execute("DELETE FROM flow_versions WHERE id = ANY($1::bigint[])", version_ids)


async def add_item_alone(database: Database, claimed: ClaimedJob, made: Made) -> None:
    """The first half of an upload whose item and whose log are two transactions."""

    async def work(connection: Connection) -> None:
        held = await jobs.hold(connection, claimed)
        assert held is not None
        uploader = Principal(held.company_id, ActorType(held.requested_by_type), held.requested_by_id)
        item = NewItem(
            int(str(held.arguments["flow_id"])), int(str(held.arguments["version_id"])), "Orders", "1.0", None, True,
            held.id,
        )  # fmt: skip
        await marketplace.insert(connection, uploader, item, made)

    await database.transaction(work)


async def arrive_alone(database: Database, claimed: ClaimedJob, arrival: Arrival, application_id: int) -> None:
    """The first half of an install whose flow and whose end are two transactions."""
    item_id = int(str(claimed.arguments["item_id"]))
    principal = Principal(claimed.company_id, ActorType.CLI, None)

    async def work(connection: Connection) -> None:
        assert await jobs.hold(connection, claimed) is not None
        await arrive(connection, principal, application_id, arrival, name=None, installed_from=item_id)

    await database.transaction(work)


async def take_back_before_deploying(database: Database) -> None:
    """The first half of a planned deploy that is carried out in two transactions."""
    async with database.connection() as connection:
        await connection.execute("UPDATE flow_versions SET deploy_at = NULL WHERE deploy_at <= clock_timestamp()")


async def advance_before_accounting(database: Database) -> None:
    """What a scheduler leaves that says what comes next before it has written what was due, and dies in between."""
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE schedule_states SET next_due = date_trunc('second', clock_timestamp()) + interval '1 second'"
            " WHERE next_due IS NOT NULL"
        )


async def unaccounted_since(database: Database, by: timedelta) -> int:
    """Of what was due so long ago and since, how many instants have neither row nor gap. Timers of one second."""
    async with database.connection() as connection:
        number: int = await connection.fetchval(
            "SELECT sum(extract(epoch FROM first - live_since)::bigint) FROM ("
            "  SELECT st.live_since, coalesce((SELECT min(r.scheduled_for) FROM runs r"
            "         WHERE r.schedule_id = st.schedule_id), clock_timestamp()) AS first FROM schedule_states st"
            ") AS timers WHERE first - live_since > $1::interval / 2",
            by,
        )
    return number or 0


async def account_without_locks(database: Database) -> int:
    """Two schedulers that read before either writes, over a ledger without its key; returns the instants that are there
    twice."""
    async with database.connection() as connection:
        await connection.execute("ALTER TABLE runs DROP CONSTRAINT runs_instant_key")
    both = asyncio.Barrier(2)

    async def scheduler() -> None:
        async def work(connection: Connection) -> None:
            moment = await schedules.read_clock(connection)
            rows = await connection.fetch("SELECT schedule_id FROM schedule_states WHERE next_due <= $1", moment)
            found = await schedule_states.read_standings(connection, [row["schedule_id"] for row in rows])
            await both.wait()
            accounts = [(due, account(due.standing, moment)) for due in found if due.standing is not None]
            await firing._write(connection, firing.USUAL, accounts)

        await database.transaction(work)

    await asyncio.gather(scheduler(), scheduler())
    async with database.connection() as connection:
        number: int = await connection.fetchval(
            "SELECT count(*) FROM (SELECT FROM runs GROUP BY schedule_id, scheduled_for HAVING count(*) > 1) AS twice"
        )
    return number


async def end_before_sending(database: Database, claimed: ClaimedJob, terms: Terms) -> None:
    """The first half of a dispatch that writes down what became of a run before it has sent it."""
    turn = await take_turn(database, claimed, [], [], room=1, terms=terms, fraction=lambda: 0.5)
    tried = [Ended(run, RunStatus.SUCCESS, None, None, Report()) for run in turn.sending]
    await take_turn(database, claimed, tried, [], room=1, terms=terms, fraction=lambda: 0.5)


async def take_before_adding(database: Database) -> int:
    """The first half of a roll-up that takes ended runs in one transaction and counts them in another."""
    return len(await database.transaction(lambda connection: run_endings.take(connection, 1_000, 1_000_000)))


async def fold_behind_the_highest(database: Database) -> int:
    """A roll-up that remembers the highest number it has seen, and never looks below it again."""

    async def work(connection: Connection) -> int:
        await connection.execute("CREATE TABLE IF NOT EXISTS seen (number bigint)")
        highest = await connection.fetchval("SELECT coalesce(max(number), 0) FROM seen")
        rows = await connection.fetch("SELECT * FROM run_endings WHERE id > $1 ORDER BY id", highest)
        endings = [metrics.Ending(*list(row.values())[1:]) for row in rows]
        await version_metrics.add(connection, metrics.fold(endings, {}))
        if rows:
            await connection.execute("INSERT INTO seen VALUES ($1)", rows[-1]["id"])
        return len(rows)

    return await database.transaction(work)


async def end_around(database: Database, slow: Run, fast: Run, count: Callable[[Database], Awaitable[int]]) -> None:
    """Ends one run in a transaction that commits only after another one was ended and counted; then counts again."""
    numbered, counted = asyncio.Event(), asyncio.Event()

    async def end_slowly(connection: Connection) -> None:
        await end_runs(connection, [Ending(slow.id, slow.scheduled_for, RunStatus.SUCCESS)])
        numbered.set()
        await counted.wait()

    async def end_fast(connection: Connection) -> None:
        await end_runs(connection, [Ending(fast.id, fast.scheduled_for, RunStatus.SUCCESS)])

    task = asyncio.create_task(database.transaction(end_slowly))
    await numbered.wait()
    await database.transaction(end_fast)
    await count(database)
    counted.set()
    await task
    await count(database)
