"""What a caller can ask about the runs of a flow as a whole: how many there were, what went wrong, which were the last.

Each reads the ledger as it stands, within the time that any list has.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import asyncpg

from core.domain.access import Principal
from core.domain.errors import NotFound, TooSlow
from core.domain.identifiers import parse_hex_id
from core.domain.tallies import EndedRun, Narrowed, RunError, Tally, Whose, Window, check_points, errors_of
from core.domain.versions import DEVELOP
from core.operations.flows import FLOW_UNKNOWN
from core.operations.lists import watched
from core.operations.versions import VERSION_UNKNOWN
from core.store import flows, schedules
from core.store import tallies as store
from core.store.database import Connection, Database

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Period:
    """A time of this length that ends then; now, by the database's clock, where `end` is None."""

    duration: timedelta
    end: datetime | None


async def sum_runs(
    principal: Principal, database: Database, whose: Whose, period: Period, resolution: timedelta
) -> tuple[Narrowed, Window, list[Tally]]:
    """One tally an interval, in order, whether or not anything ended in it.

    Raises NotFound, TooSlow, and Invalid for more intervals than there can be.
    """
    check_points(period.duration, resolution)

    async def work(connection: Connection) -> tuple[Narrowed, Window, list[Tally]]:
        narrowed, window = await _find(connection, principal, whose), await _window(connection, period)
        asked = (connection, principal.company_id, narrowed, window, resolution)
        summed = {} if whose.of_device else {tally.at: tally for tally in await store.sum_runs(*asked)}
        return narrowed, window, [summed.get(at, Tally(at)) for at in window.points(resolution)]

    return await _watched(database, work)


async def list_errors(
    principal: Principal, database: Database, whose: Whose, period: Period, *, descending: bool, limit: int
) -> tuple[Narrowed, Window, list[RunError]]:
    """What went wrong in runs that ended in a period, up to `limit` things, in the order of those ends or against it.

    Raises NotFound, TooSlow.
    """

    async def work(connection: Connection) -> tuple[Narrowed, Window, list[RunError]]:
        narrowed, window = await _find(connection, principal, whose), await _window(connection, period)
        asked = (connection, principal.company_id, narrowed, window)
        runs = [] if whose.of_device else await store.list_failed(*asked, descending=descending, limit=limit)
        told = await _with_errors(connection, principal, runs)
        return narrowed, window, [error for _, errors in told for error in errors][:limit]

    return await _watched(database, work)


async def list_log(
    principal: Principal, database: Database, whose: Whose, *, since: datetime, limit: int
) -> list[tuple[EndedRun, list[RunError]]]:
    """The runs that ended last, the last first, each with what went wrong in it. Raises NotFound, TooSlow."""

    async def work(connection: Connection) -> list[tuple[EndedRun, list[RunError]]]:
        narrowed = await _find(connection, principal, whose)
        runs = await store.list_ended(connection, principal.company_id, narrowed, since, limit)
        return await _with_errors(connection, principal, runs)

    return await _watched(database, work)


async def _with_errors(
    connection: Connection, principal: Principal, runs: Sequence[EndedRun]
) -> list[tuple[EndedRun, list[RunError]]]:
    failed = [run for run in runs if run.has_failed]
    lines = await store.list_error_lines(connection, principal.company_id, failed)
    return [(run, errors_of(run, lines.get(run.id, []))) for run in runs]


async def _find(connection: Connection, principal: Principal, whose: Whose) -> Narrowed:
    flow_id, segment = whose.flow_id, whose.segment
    if not await flows.is_visible(connection, principal.company_id, flow_id, principal.application_id):
        raise NotFound(FLOW_UNKNOWN)
    if segment is None or (segment == DEVELOP and not whose.must_be):
        return Narrowed(flow_id, None, segment)
    version_id = parse_hex_id(segment)
    found = await store.find_version(connection, principal.company_id, flow_id, version_id, segment)
    if found is not None:
        return Narrowed(flow_id, *found)
    if whose.must_be:
        raise NotFound(VERSION_UNKNOWN)
    return Narrowed(flow_id, version_id, segment if version_id is None else None)


async def _window(connection: Connection, period: Period) -> Window:
    end = period.end or await schedules.read_clock(connection)
    return Window.until(end, period.duration)


async def _watched(database: Database, work: Callable[[Connection], Awaitable[Found]]) -> Found:
    try:
        return await watched(database, work)
    except asyncpg.QueryCanceledError:
        raise TooSlow from None
