"""What can be asked of the ledger: what ran, what did not and why, what is to come; and to make up for what was
missed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice

from asyncpg import Record

from core.domain.access import Principal
from core.domain.accounting import MOST_CATCHUP, Entry
from core.domain.errors import NotFound
from core.domain.listings import Listing
from core.domain.runs import Run, RunStatus, Trigger
from core.domain.schedules import Calendar, timetable
from core.domain.stored_schedules import PREVIEW_DAYS, OverlapPolicy, StoredSchedule
from core.operations.endings import promote, stage_runs
from core.operations.firing import USUAL, Firing
from core.operations.schedules import SCHEDULE_UNKNOWN
from core.store import audit_events, run_gaps, run_lists, runs, schedule_states, schedules, starts
from core.store.database import Connection, Database
from core.store.run_gaps import StoredGap
from core.store.runs import DueRun

RUN_UNKNOWN = "Run was not found"

MOST_REPAIRED = MOST_CATCHUP
"""Instants that one repair runs: as many as the scheduler catches up with by itself."""


async def list_runs(principal: Principal, database: Database, listing: Listing) -> tuple[list[Run], int]:
    """A page of runs, the latest instant first unless sorted otherwise, and how many there are, up to 100,000."""
    async with database.connection() as connection:
        return await run_lists.list_page(connection, principal.company_id, principal.application_id, listing)


async def read_run(principal: Principal, database: Database, run_id: int) -> Run:
    """Raises NotFound."""
    async with database.connection() as connection:
        found = await starts.read(connection, principal.company_id, run_id, principal.application_id)
    if found is None:
        raise NotFound(RUN_UNKNOWN)
    return found[0]


async def list_gaps(
    principal: Principal, database: Database, schedule_id: int, *, limit: int, offset: int
) -> tuple[list[StoredGap], int]:
    """A page of a schedule's gaps, the newest first, and how many it has. Raises NotFound for the schedule."""
    async with database.connection() as connection:
        await _find(connection, principal, schedule_id)
        return await run_gaps.list_page(connection, principal.company_id, schedule_id, limit=limit, offset=offset)


async def show_calendar(
    principal: Principal, database: Database, schedule_id: int, start: datetime | None, most: int
) -> tuple[StoredSchedule, Calendar, datetime, datetime]:
    """The first `most` instants of a schedule from `start` on, or from now; and the window that was looked through.

    These are the instants that the ledger will account for if the schedule is live. Raises NotFound.
    """
    async with database.connection() as connection:
        found = await _find(connection, principal, schedule_id)
        start = start or await schedules.read_clock(connection)
    end = start + timedelta(days=PREVIEW_DAYS)
    at, rules = start, found.rules
    calendar = await asyncio.to_thread(lambda: timetable(rules.cron_string, rules.timezone).calendar(at, end, most))
    return found, calendar, start, end


async def repair_schedule(
    principal: Principal, database: Database, schedule_id: int, firing: Firing = USUAL
) -> tuple[int, int]:
    """Runs the missed instants of a schedule, the oldest first, up to MOST_REPAIRED; returns how many those are, and
    how many are left.

    Exactly those: what was skipped was not missed. Where runs must not overlap, one begins when the other ends. What is
    repaired is not missed any more, so a repetition does nothing twice. Raises NotFound.
    """

    async def work(connection: Connection) -> tuple[int, int]:
        found = await _find(connection, principal, schedule_id)
        held = await schedule_states.lock(connection, [schedule_id])
        repaired = await _reopen(connection, principal.company_id, schedule_id) if held else 0
        if repaired:
            await schedule_states.count_ended(connection, [(schedule_id, 0, -repaired)])
            await _begin(connection, firing, found)
            details = {"version": found.flow_version_id, "runs": repaired}
            subject = ("schedule", schedule_id)
            await audit_events.record(connection, principal, "schedule.repair", subject, details=details)
        return repaired, await run_gaps.count_missed(connection, principal.company_id, schedule_id)

    return await database.transaction(work)


async def _find(connection: Connection, principal: Principal, schedule_id: int) -> StoredSchedule:
    found = await schedules.find(connection, principal.company_id, schedule_id, principal.application_id)
    if found is None:
        raise NotFound(SCHEDULE_UNKNOWN)
    return found


async def _reopen(connection: Connection, company_id: int, schedule_id: int) -> int:
    """Makes runs that wait of the oldest missed instants of a locked schedule, with and without rows of their own."""
    rows = await runs.list_missed(connection, company_id, schedule_id, MOST_REPAIRED)
    gaps = await run_gaps.list_missed(connection, company_id, schedule_id, MOST_REPAIRED)
    inside = list(islice(_instants(gaps), MOST_REPAIRED + 1))
    chosen = sorted([*rows, *(at for at, _ in inside)])[:MOST_REPAIRED]
    if not chosen:
        return 0
    last = chosen[-1]
    await runs.reopen_missed(connection, company_id, schedule_id, [at for at in rows if at <= last])
    entries = [
        DueRun(schedule_id, Entry(at, RunStatus.QUEUED, None, True), stored.dues.merges(at), None)
        for at, stored in inside
        if at <= last
    ]
    if entries:
        await runs.make_weeks(connection, {runs.week_of(run.entry.at) for run in entries})
        await runs.insert_due(connection, entries, [], Trigger.REPAIR)
    for stored in gaps:
        taken = [at for at, of in inside if of is stored and at <= last]
        if taken:
            rest = stored.dues.following(taken[-1]) if len(taken) < stored.gap.instants else None
            await run_gaps.take_from(connection, company_id, stored, len(taken), rest)
    return len(chosen)


def _instants(gaps: Sequence[StoredGap]) -> Iterator[tuple[datetime, StoredGap]]:
    """Instant for instant, with the gap it is in; of a long one only as many as can be repaired at once."""
    for stored in gaps:
        for at in stored.dues.instants(stored.gap.first, stored.gap.until, MOST_REPAIRED + 1):
            yield at, stored


async def _begin(connection: Connection, firing: Firing, schedule: StoredSchedule) -> None:
    """Everything at once where runs may overlap, else the first one unless another goes on."""
    if schedule.rules.overlap_policy is not OverlapPolicy.ALLOW:
        await promote(connection, firing, [schedule.id])
        return
    waiting = await runs.list_buffered(connection, schedule.id)
    await stage_runs(connection, sorted(waiting, key=lambda run: run.scheduled_for), firing)
    await schedule_states.count_ended(connection, [(schedule.id, -len(waiting), len(waiting))])


async def list_recent_runs(database: Database, limit: int) -> list[Record]:
    """The newest runs of all companies, the newest first, for the command line."""
    async with database.connection() as connection:
        return await run_lists.list_recent(connection, limit)
