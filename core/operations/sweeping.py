"""What is looked after now and then so that nothing is lost silently. Each function is its own transactions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from core.store import flows, run_gaps, run_logs, runs, schedule_states, schedules
from core.store.database import Connection, Database
from core.store.schedule_states import Wanted

WEEKS_AHEAD = 2
"""A scheduler that was away for so long finds the partitions it writes to all the same; a writer makes one in need."""

DAYS_AHEAD = 3
"""The same for logs."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What one page of the sweep found: the schedules that were repaired, and where the next page begins."""

    repaired: tuple[int, ...]
    after: int


async def make_partitions(database: Database) -> int:
    """Makes the partitions of the weeks and days ahead, and of what is in the default ones; returns how many rows were
    moved out of those."""

    async def work(connection: Connection) -> int:
        now = await schedules.read_clock(connection)
        weeks = {runs.week_of(now + timedelta(weeks=ahead)) for ahead in range(-1, WEEKS_AHEAD + 1)}
        moved = await runs.make_weeks(connection, weeks | set(await runs.list_default_weeks(connection)))
        return moved + await run_logs.make_days(connection, now, DAYS_AHEAD)

    return await database.transaction(work)


async def sweep(database: Database, *, after: int, limit: int) -> Swept:
    """Looks at the next `limit` schedules behind this id for such as should be live and are not, or never due again.

    What they should have done since then is left to the scheduler, which accounts for it like after an outage.
    """
    async with database.connection() as connection:
        page = await schedule_states.list_suspects(connection, after, limit)
    repaired: list[int] = []
    for company_id, flow_id in page.flows:
        repaired += await database.transaction(_repairing(company_id, flow_id))
    return Swept(tuple(repaired), page.after)


def _repairing(company_id: int, flow_id: int) -> Callable[[Connection], Awaitable[list[int]]]:
    """What looks at a flow again with it and its schedules locked, and makes live what is to be."""

    async def work(connection: Connection) -> list[int]:
        if await flows.lock_of_company(connection, company_id, flow_id, None) is None:
            return []
        wanted = await schedule_states.list_wanted(connection, company_id, flow_id)
        await schedule_states.lock(connection, [one.schedule_id for one in wanted])
        broken = [one for one in await schedule_states.list_wanted(connection, company_id, flow_id) if _is_broken(one)]
        for one in broken:
            since = await schedule_states.read_unaccounted_since(connection, company_id, one)
            await schedule_states.enliven(connection, company_id, flow_id, [(one, one.dues.following(since))], since)
        return [one.schedule_id for one in broken]

    return work


def _is_broken(one: Wanted) -> bool:
    if one.live_since is None or one.live_version_id != one.flow_version_id:
        return True
    return one.next_due is None and one.dues.following(one.live_since) is not None


async def prune_runs(database: Database, *, keep: timedelta, keep_logs: timedelta, limit: int) -> int:
    """Drops the oldest week of runs and day of logs past their keep time, whole, and ends as many gaps and states of
    what is gone; returns how many of all that. A partition that others are using is left for the next time."""

    async def work(connection: Connection) -> int:
        gaps = await run_gaps.prune(connection, keep, limit)
        return gaps + await schedule_states.forget(connection, limit)

    week = await database.statement(lambda connection: runs.drop_week(connection, keep))
    day = await database.statement(lambda connection: run_logs.drop_day(connection, keep_logs))
    return (week is not None) + (day is not None) + await database.transaction(work)
