"""How ended runs become numbers: folded as they end, or made anew from the ledger.

Both end with the same numbers, since both hand the same endings to the same arithmetic. What keeps an ending from
counting twice is that folding it deletes it, in the transaction that adds it up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.domain.access import Principal
from core.domain.errors import Conflict, NotFound
from core.domain.metrics import Ending, Interval, Names, Place, Tally, days_of, fold
from core.operations.flows import FLOW_UNKNOWN
from core.store import audit_events, run_endings, schedules, version_metrics
from core.store.database import Connection, Database

PAGE = 5_000
"""Runs of the ledger that are read at a time while numbers are made anew."""

MOST_TOLD = 256 * 1024
"""Bytes of what runners told that one transaction folds: some ten thousand values, each of which may be a row of each
interval. The largest reports would otherwise make a transaction of minutes out of one of 100 ms."""

MOST_OCTETS = 4
"""Of a character; whoever has taken a quarter of the bytes in characters may have left others."""

LONGEST_RUN = timedelta(days=8)
"""How long after it was due a run may have ended, with a day to spare: a run goes on for seven days at most. One that a
repair runs, or that waits behind others, may end later; docs/metrics.md says what becomes of it."""

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Folded:
    """How many endings one transaction folded, and whether there may be more that it could have taken."""

    endings: int
    full: bool


async def fold_endings(database: Database, limit: int, told: int = MOST_TOLD) -> Folded:
    """Folds up to `limit` endings, whose runners told up to some `told` bytes, into the numbers of their periods.

    Any number of callers may do so at once: what one has taken the others leave alone, and they add to shared rows in
    the same order.
    """

    async def work(connection: Connection) -> Folded:
        await version_metrics.hold_back_rebuilds(connection)
        endings = await run_endings.take(connection, limit, told)
        if endings:
            names = await _known_names(connection, endings)
            await version_metrics.add(connection, await asyncio.to_thread(fold, endings, names))
        full = len(endings) == limit or sum(len(one.metrics or "") for one in endings) * MOST_OCTETS > told
        return Folded(len(endings), full)

    return await database.transaction(work)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was made anew: from when on, the days, and the endings that the ledger had of them."""

    start: datetime
    days: int
    endings: int


async def rebuild_metrics(
    principal: Principal, database: Database, flow_id: int, start: datetime, page: int = PAGE
) -> Rebuilt:
    """Makes the numbers of a flow anew from the ledger, from the beginning of this day in UTC until now, a day a
    transaction. Killed in between, some days are as they were; the rest is made anew.

    While a day is read nothing is folded, of any flow: the numbers of others are so much later. Raises NotFound, and
    Conflict for a day of which the ledger does not have all runs any more.
    """
    day = Interval.DAY.floor(start)
    async with database.connection() as connection:
        if await version_metrics.find_company(connection, flow_id) != principal.company_id:
            raise NotFound(FLOW_UNKNOWN)
        now = await schedules.read_clock(connection)
        await _check(connection, day)
    days = [day + number * DAY for number in range((now - day) // DAY + 1)]
    endings = 0
    for each in days:
        endings += await _rebuild_day(principal, database, flow_id, each, page)
    return Rebuilt(day, len(days), endings)


async def find_flow_company(database: Database, flow_id: int) -> int | None:
    """Whose flow it is, or was, for the command line."""
    async with database.connection() as connection:
        return await version_metrics.find_company(connection, flow_id)


async def prune_metrics(database: Database, keep: Mapping[Interval, timedelta], limit: int) -> int:
    """Ends up to `limit` numbers of each interval that are past its keep time; returns how many."""

    async def work(connection: Connection) -> int:
        return sum([await version_metrics.prune(connection, one, most, limit) for one, most in keep.items()])

    return await database.transaction(work)


async def _check(connection: Connection, day: datetime) -> None:
    horizon = await run_endings.find_horizon(connection)
    if horizon is not None and day < (first := Interval.DAY.ceiling(horizon + LONGEST_RUN)):
        raise Conflict(f"The ledger no longer has all runs that ended before {first:%Y-%m-%d}.")


async def _rebuild_day(principal: Principal, database: Database, flow_id: int, day: datetime, page: int) -> int:
    async def work(connection: Connection) -> int:
        await version_metrics.hold_back_others(connection)
        await _check(connection, day)  # again: a week may have left the ledger meanwhile
        found: dict[Place, Tally] = {}
        names: Names = {}
        number = 0
        await run_endings.drop(connection, principal.company_id, flow_id, day, day + DAY)
        async for endings in run_endings.read_ledger(connection, principal.company_id, flow_id, day, day + DAY, page):
            number += len(endings)
            names = await _more_names(connection, endings, names)
            _merge(found, await asyncio.to_thread(fold, endings, names))
        await version_metrics.drop(connection, principal.company_id, flow_id, day, day + DAY)
        await version_metrics.add(connection, found)
        details = {"day": day.date().isoformat(), "endings": number}
        await audit_events.record(connection, principal, "metrics.rebuild", ("flow", flow_id), details=details)
        return number

    return await database.transaction(work)


async def _known_names(connection: Connection, endings: Iterable[Ending]) -> Names:
    """The names that the versions of these endings have, and that nobody else adds to until this transaction ends."""
    days = days_of(endings)
    if not days:
        return {}
    await version_metrics.lock_names(connection, days)
    return await version_metrics.read_names(connection, days)


async def _more_names(connection: Connection, endings: Sequence[Ending], names: Names) -> Names:
    """Those known so far and those that the numbers about to be dropped have kept: what was kept before is kept again,
    so that a day with too many names comes out the same."""
    days = {one for one in days_of(endings) if one[1:] not in names}
    found = await version_metrics.read_names(connection, days) if days else {}
    return {**found, **names}


def _merge(whole: dict[Place, Tally], found: dict[Place, Tally]) -> None:
    for place, tally in found.items():
        if place in whole:
            whole[place].merge(tally)
        else:
            whole[place] = tally
