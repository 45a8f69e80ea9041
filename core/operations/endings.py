"""How a run ends, whoever says so, and what that lets begin. Part of a transaction that may hold jobs already.

In the order of locks everywhere, schedules come before runs: whoever ends a run holds its schedule first, so nobody
begins or buffers another one of it meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from core.domain.runs import DISPATCH_BATCH, Reason, RunStatus
from core.operations.firing import USUAL, Firing
from core.store import runs, schedule_states
from core.store.database import Connection
from core.store.runs import ActiveRun

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Ending:
    """What is to become of a run. `result` is the JSON text of what the runner answered or reported, `started_at` when
    the runner took the run, where that is not known before its end."""

    run_id: int
    scheduled_for: datetime
    status: RunStatus
    reason: str | None = None
    message: str | None = None
    result: str | None = None
    started_at: datetime | None = None


async def end_runs(connection: Connection, endings: Sequence[Ending], firing: Firing = USUAL) -> set[int]:
    """Ends those of the runs that still go on, and stages the ones that waited for them; returns which were ended.

    A run that ended before is left as it is: terminal states never change. No run may be named twice.
    """
    places = [(ending.run_id, ending.scheduled_for) for ending in endings]
    if not places:
        return set()
    held = await runs.list_schedules_of(connection, places)
    if held:
        await schedule_states.lock(connection, held)
    active = {run.id: run for run in await runs.lock_active(connection, places)}
    if not active:
        return set()
    await runs.end(connection, [
        (one.run_id, one.scheduled_for, one.status, one.reason, one.message, one.result, one.started_at)
        for one in endings if one.run_id in active
    ])  # fmt: skip
    await _count_ended(connection, list(active.values()))
    await promote(connection, firing, sorted({run.schedule_id for run in active.values() if run.schedule_id}))
    return set(active)


async def drop_buffered(connection: Connection, schedule_id: int, firing: Firing = USUAL) -> None:
    """Stops what waits for an earlier run of a schedule that is gone; what goes on already goes on."""
    await schedule_states.lock(connection, [schedule_id])
    waiting = await runs.list_buffered(connection, schedule_id)
    stopped = [Ending(one.id, one.scheduled_for, RunStatus.STOPPED, Reason.SCHEDULE_DELETED) for one in waiting]
    await end_runs(connection, stopped, firing)


async def stage_runs(connection: Connection, handed: Sequence[ActiveRun], firing: Firing = USUAL) -> None:
    """Hands runs that are to begin, or to be looked at again, to dispatch jobs: some of one company to each."""
    by_company: dict[int, list[ActiveRun]] = {}
    for run in handed:
        by_company.setdefault(run.company_id, []).append(run)
    batches = [
        of[first : first + DISPATCH_BATCH] for of in by_company.values() for first in range(0, len(of), DISPATCH_BATCH)
    ]
    if not batches:
        return
    jobs = [(number, firing.new_id()) for number in await runs.take_job_ids(connection, len(batches))]
    dealt = [(run, number) for batch, (number, _) in zip(batches, jobs, strict=True) for run in batch]
    await runs.stage(connection, dealt, jobs)


async def _count_ended(connection: Connection, ended: Sequence[ActiveRun]) -> None:
    scheduled = [run for run in ended if run.schedule_id is not None]
    active = Counter(run.schedule_id for run in scheduled if not run.buffered)
    buffered = Counter(run.schedule_id for run in scheduled if run.buffered)
    counts = [(one, active[one], buffered[one]) for one in active | buffered if one is not None]
    if counts:
        await schedule_states.count_ended(connection, counts)


async def promote(connection: Connection, firing: Firing, schedule_ids: Sequence[int]) -> None:
    """Whatever waited for the last active run of its schedule begins."""
    if not schedule_ids:
        return
    free = await schedule_states.take_promotable(connection, schedule_ids)
    if not free:
        return
    first = await runs.find_first_buffered(connection, free)
    if len(first) < len(free):
        _log.error("Schedules counted runs that wait, and there are none.", schedules=len(free) - len(first))
        await stage_runs(connection, first, firing)
        await schedule_states.recount(connection, free)
    else:
        await stage_runs(connection, first, firing)
