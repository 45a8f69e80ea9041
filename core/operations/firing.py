"""Firing: the account of every due instant, written with the runs and the jobs that follow from it.

Claim, account, advance and stage are one transaction. Who else changes what an instant means does so
`accounted`: under the same locks, everything that was due until then is accounted for first.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import structlog

from core.domain.access import Principal
from core.domain.accounting import MOST_CATCHUP, Account, account
from core.domain.identifiers import new_public_id
from core.domain.runs import DISPATCH_BATCH, RunStatus
from core.store import audit_events, firing_pauses, run_gaps, runs, schedule_states, schedules, timers
from core.store.database import Connection, Database
from core.store.runs import DueRun
from core.store.schedule_states import Due, Wanted

CLAIM = 2_000
"""Schedules of one claim: 50 to 100 ms of work, so that an edit that waits for one of them hardly notices."""

BEHIND_CLAIM = 200
"""The same for schedules that are behind: each may have a hundred instants to account for."""

CURRENT = timedelta(seconds=60)
"""Younger instants are claimed before all others: whoever is in time does not wait for what is late anyway."""

SET_BACK = timedelta(days=1)
"""The furthest that a clock is set back without having been plainly wrong: what flows have accounts of in that time is
not due again. Further ahead, it must not keep a flow from firing."""

_TICK = timedelta(microseconds=1)
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

ReadClock = Callable[[Connection], Awaitable[datetime]]

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Firing:
    """What an installation, or a test, decides about firing: public ids of jobs, and the time.

    The time is the database's for everybody but a test that makes a year of it.
    """

    new_id: Callable[[], str]
    read_clock: ReadClock = schedules.read_clock


USUAL = Firing(lambda: new_public_id(os.urandom))


@dataclass(frozen=True, slots=True)
class Fired:
    """What one claim did: schedules accounted for, runs that are to begin, and how late the latest of those was."""

    claimed: int = 0
    begun: int = 0
    left_out: int = 0
    """Instants in gaps."""
    latest: timedelta = timedelta()
    full: bool = False
    """There may be more to claim at once."""


async def fire_due(database: Database, firing: Firing, *, claim: int = CLAIM) -> Fired:
    """Accounts for up to `claim` schedules that have something due, current ones first; one transaction.

    Any number of callers may do so at once. What one of them has locked the others leave alone.
    """

    async def work(connection: Connection) -> Fired:
        now = await firing.read_clock(connection)
        current = await schedule_states.lock_due(connection, now - CURRENT, now, claim)
        behind = []
        if len(current) < claim:
            behind = await schedule_states.lock_due(connection, _LONG_AGO, now - CURRENT, min(BEHIND_CLAIM, claim))
        if not current and not behind:
            return Fired()
        done = await _account_for(connection, firing, current + behind, now, None)
        return replace(done, full=len(current) == claim or len(behind) == min(BEHIND_CLAIM, claim))

    return await database.transaction(work)


async def pause_firing(principal: Principal, database: Database, reason: str | None) -> datetime | None:
    """Stops all firing and dispatch of the installation from now on; when, or None if it was stopped before.

    What is due meanwhile is accounted for as skipped, whenever somebody comes to it.
    """

    async def work(connection: Connection) -> datetime | None:
        begun = await firing_pauses.begin(connection, reason)
        if begun is None:
            return None
        pause_id, since = begun
        subject, details = ("firing_pause", pause_id), {"reason": reason}
        await audit_events.record(connection, principal, "firing.pause", subject, details=details)
        return since

    return await database.transaction(work)


async def resume_firing(principal: Principal, database: Database) -> datetime | None:
    """Lets everything fire again from now on; since when nothing had been fired, or None if it was not stopped."""

    async def work(connection: Connection) -> datetime | None:
        ended = await firing_pauses.end(connection)
        if ended is None:
            return None
        pause_id, since = ended
        subject, details = ("firing_pause", pause_id), {"since": since.isoformat()}
        await audit_events.record(connection, principal, "firing.resume", subject, details=details)
        return since

    return await database.transaction(work)


async def next_due_in(database: Database) -> float | None:
    """Seconds until the next instant is due; None if none ever is."""
    async with database.connection() as connection:
        return await schedule_states.next_due_in(connection)


async def _account_for(
    connection: Connection, firing: Firing, schedule_ids: Sequence[int], now: datetime, until: datetime | None
) -> Fired:
    """Writes the accounts of locked schedules for everything due by `until`, each up to its bound; without it, by `now`
    or until another version is to be deployed."""
    found = await schedule_states.read_standings(connection, schedule_ids)
    await _silence_dead(connection, [due.schedule_id for due in found if not due.live])
    to_do = [(due, due.standing, until or min(now, due.planned_at or now)) for due in found if due.standing is not None]
    to_do = [(due, standing, end) for due, standing, end in to_do if standing.next_due <= end]
    if not to_do:
        return Fired()
    pauses = await firing_pauses.list_since(connection, min(standing.next_due for _, standing, _ in to_do))

    def compute() -> list[_Accounted]:
        return [(due, account(standing, now, pauses, until=end)) for due, standing, end in to_do]

    accounts = await asyncio.to_thread(compute)
    begun = await _write(connection, firing, accounts)
    return Fired(
        claimed=len(accounts),
        begun=begun,
        left_out=sum(gap.instants for _, one in accounts for gap in one.gaps),
        latest=max((now - entry.at for _, one in accounts for entry in one.entries), default=timedelta()),
    )


_Accounted = tuple[Due, Account]


async def _write(connection: Connection, firing: Firing, accounts: Sequence[_Accounted]) -> int:
    """Runs, jobs and gaps, then where everybody stands; returns how many runs are to begin."""
    await _supersede(connection, accounts)
    entries = [(due, entry) for due, one in accounts for entry in one.entries]
    begun = Counter(due.company_id for due, entry in entries if _begins(entry.status, entry.buffered))
    jobs = await _number_jobs(connection, firing, begun)
    stored = await _insert(connection, accounts, jobs)
    gaps = [(due.schedule_id, gap) for due, one in accounts for gap in one.gaps]
    if gaps:
        await run_gaps.insert(connection, gaps)
    await schedule_states.advance(connection, [(due.schedule_id, one) for due, one in accounts])
    if stored < len(entries):
        # Only a ledger that knows more than the schedules do: one of the two was set back to a copy.
        _log.error("Instants were due again that have an account.", instants=len(entries) - stored)
        await schedule_states.recount(connection, [due.schedule_id for due, _ in accounts])
    return begun.total()


def _begins(status: RunStatus, buffered: bool) -> bool:
    return status is RunStatus.QUEUED and not buffered


async def _supersede(connection: Connection, accounts: Sequence[_Accounted]) -> None:
    waiting = {due.schedule_id: one for due, one in accounts if one.superseded}
    if waiting:
        for schedule_id in await runs.supersede(connection, list(waiting)):
            waiting[schedule_id].buffered -= 1


async def _number_jobs(connection: Connection, firing: Firing, begun: Counter[int]) -> dict[int, list[tuple[int, str]]]:
    """The dispatch jobs, id and public id, that the runs of each company take."""
    needed = {company_id: -(-number // DISPATCH_BATCH) for company_id, number in begun.items()}
    if not needed:
        return {}
    numbers = iter(await runs.take_job_ids(connection, sum(needed.values())))
    return {
        company_id: [(next(numbers), firing.new_id()) for _ in range(number)] for company_id, number in needed.items()
    }


async def _insert(
    connection: Connection, accounts: Sequence[_Accounted], jobs: dict[int, list[tuple[int, str]]]
) -> int:
    """Deals the runs out to the jobs and writes both; returns how many runs were new."""
    dealt: Counter[int] = Counter()
    rows: list[DueRun] = []
    for due, one in accounts:
        standing = due.standing
        assert standing is not None
        for entry in one.entries:
            job_id = None
            if _begins(entry.status, entry.buffered):
                job_id = jobs[due.company_id][dealt[due.company_id] // DISPATCH_BATCH][0]
                dealt[due.company_id] += 1
            rows.append(DueRun(due.schedule_id, entry, standing.dues.merges(entry.at), job_id))
    if not rows:
        return 0
    await runs.make_weeks(connection, {runs.week_of(run.entry.at) for run in rows})
    return await runs.insert_due(connection, rows, [job for of in jobs.values() for job in of])


async def _silence_dead(connection: Connection, schedule_ids: Sequence[int]) -> None:
    """Whatever made them silent should have said so here; nothing of theirs is fired."""
    if schedule_ids:
        _log.error("Schedules counted as live and are not; they were silenced.", schedules=schedule_ids[:20])
        await schedule_states.silence(connection, schedule_ids)


@dataclass(frozen=True, slots=True)
class Deploys:
    """A change of what is deployed: now, or as of the instant that it was planned for."""

    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """Until when a flow is accounted for, and its schedules and timers that were live then, locked. Where none was live
    and nothing was planned, it does not matter when: `at` is None."""

    at: datetime | None
    live: frozenset[int]


async def settle(
    connection: Connection, company_id: int, flow_id: int, firing: Firing = USUAL, *, deploys: Deploys | None = None
) -> Settled:
    """Accounts for everything of a locked flow that was due until now, before its meaning changes.

    All of it, not only a claim's share: what this transaction leaves behind would be judged by the new rules. Where
    another version should have been deployed by now, only until then: what is due later will be that version's, unless
    the change is itself one of what is deployed.
    """
    locked = await schedule_states.lock_live(connection, company_id, flow_id)
    if not locked:
        return Settled(deploys.at if deploys else None, frozenset())
    now = await firing.read_clock(connection)
    planned = await schedule_states.read_plan(connection, company_id, flow_id) if deploys is None else deploys.at
    until = min(now, planned or now)
    for _ in range(MOST_CATCHUP):
        if (await _account_for(connection, firing, locked, now, until)).claimed == 0:
            break
    return Settled(until, frozenset(locked))


@asynccontextmanager
async def accounted(
    connection: Connection,
    company_id: int,
    flow_id: int,
    *,
    content: bool = False,
    deploys: Deploys | None = None,
    firing: Firing = USUAL,
) -> AsyncIterator[None]:
    """Around every change of what the instants of a locked flow mean: what was due before is accounted for by the old
    rules, and what is due after it counts by the new ones.

    `content`: another content may be deployed afterwards, with other timers; `deploys`: certainly. Never one inside
    another.
    """
    settled = await settle(connection, company_id, flow_id, firing, deploys=deploys)
    yield
    if (content or deploys) and (unread := await timers.replace(connection, company_id, flow_id)):
        _log.warning("A deployed version has timers that mean nothing and do not fire.", flow=flow_id, keys=unread)
    await renew(connection, company_id, flow_id, settled, firing)


async def renew(
    connection: Connection, company_id: int, flow_id: int, settled: Settled, firing: Firing = USUAL
) -> None:
    """Makes live what is to be live after the change, and silent what is not: instants later than `settled` count.

    A clock that was set back shows again what the flow has been through: that does not count a second time, unless it
    had been further ahead than SET_BACK.
    """
    wanted = await schedule_states.list_wanted(connection, company_id, flow_id)
    if gone := settled.live - {one.schedule_id for one in wanted}:
        await schedule_states.silence(connection, sorted(gone))
    if wanted:
        now = settled.at or await firing.read_clock(connection)
        passed = await schedule_states.read_passed(connection, company_id, flow_id, now, now + SET_BACK) or now
        first = [(one, one.dues.following(_counting_from(one, settled, now, passed))) for one in wanted]
        await schedule_states.enliven(connection, company_id, flow_id, first, passed)


def _counting_from(one: Wanted, settled: Settled, now: datetime, passed: datetime) -> datetime:
    """What the flow has been through is no more due; what of it still has no account, of one that stays live, is."""
    if one.schedule_id in settled.live and one.next_due is not None:
        passed = min(passed, one.next_due - _TICK)
    return max(now, passed, one.deployed_at or now)
