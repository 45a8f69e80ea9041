"""Where schedules and timers stand: what is locked to account for them, and their counts of runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg

from core.domain.accounting import Account, Standing
from core.domain.dues import CronDues, Dues, EveryDues
from core.domain.runs import Reason
from core.domain.stored_schedules import CATCHUP_SECONDS, OverlapPolicy
from core.store.database import Connection
from core.store.queries import query

_LOCK_DUE = query("schedule_states.lock_due")
_LIST_LIVE = query("schedule_states.list_live")
_LOCK = query("schedule_states.lock_states")
_READ_STANDINGS = query("schedule_states.read_standings")
_ADVANCE = query("schedule_states.advance")
_SILENCE = query("schedule_states.silence")
_LIST_WANTED = query("schedule_states.list_wanted")
_ENLIVEN = query("schedule_states.enliven")
_READ_PLAN = query("schedule_states.read_plan")
_READ_PASSED = query("schedule_states.read_passed")
_LIST_SUSPECTS = query("schedule_states.list_suspects")
_READ_UNACCOUNTED_SINCE = query("schedule_states.read_unaccounted_since")
_FORGET = query("schedule_states.forget_states")
_NEXT_DUE_IN = query("schedule_states.next_due_in")
_COUNT_ENDED = query("schedule_states.count_ended")
_TAKE_PROMOTABLE = query("schedule_states.take_promotable")
_RECOUNT = query("schedule_states.recount")


@dataclass(frozen=True, slots=True)
class Due:
    """A locked schedule. `standing` is None where it is not live after all, or has nothing due. `planned_at` is when
    another version of its flow is to be deployed, if one is: its instants after that are not its own."""

    schedule_id: int
    company_id: int
    standing: Standing | None
    live: bool
    planned_at: datetime | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A schedule that should be live, by the rules it has now, and how it stands. `live_since` is None if it is not."""

    schedule_id: int
    flow_version_id: int
    dues: Dues
    deployed_at: datetime | None
    live_since: datetime | None
    next_due: datetime | None
    live_version_id: int | None


@dataclass(frozen=True, slots=True)
class Suspects:
    """A page of a walk through all schedules: flows, as company and flow, to be looked at with locks; and the id behind
    which the next page begins, 0 after the last."""

    flows: tuple[tuple[int, int], ...]
    after: int


async def lock_due(connection: Connection, after: datetime, until: datetime, limit: int) -> list[int]:
    return [row["schedule_id"] for row in await connection.fetch(_LOCK_DUE, after, until, limit)]


async def lock_live(connection: Connection, company_id: int, flow_id: int) -> list[int]:
    """The live schedules and timers of a locked flow, locked before anything changes what their instants mean."""
    found = [row["schedule_id"] for row in await connection.fetch(_LIST_LIVE, company_id, flow_id)]
    return await lock(connection, found) if found else []


async def lock(connection: Connection, schedule_ids: Sequence[int]) -> list[int]:
    """Those that there are of them, locked."""
    return [row["schedule_id"] for row in await connection.fetch(_LOCK, schedule_ids)]


async def read_standings(connection: Connection, schedule_ids: Sequence[int]) -> list[Due]:
    """Locked schedules as they stand, the one with the earliest instant first."""
    return [_due_of(row) for row in await connection.fetch(_READ_STANDINGS, schedule_ids)]


async def advance(connection: Connection, accounts: Sequence[tuple[int, Account]]) -> None:
    await connection.execute(
        _ADVANCE,
        [schedule_id for schedule_id, _ in accounts],
        [account.next_due for _, account in accounts],
        [account.active for _, account in accounts],
        [account.buffered for _, account in accounts],
    )


async def silence(connection: Connection, schedule_ids: Sequence[int]) -> None:
    await connection.execute(_SILENCE, schedule_ids)


async def list_wanted(connection: Connection, company_id: int, flow_id: int) -> list[Wanted]:
    """What of a locked flow should be live."""
    return [
        Wanted(
            row["id"], row["flow_version_id"], _dues_of(row), row["deployed_at"], row["live_since"], row["next_due"],
            row["live_version_id"],
        )
        for row in await connection.fetch(_LIST_WANTED, company_id, flow_id)
    ]  # fmt: skip


async def enliven(
    connection: Connection,
    company_id: int,
    flow_id: int,
    wanted: Sequence[tuple[Wanted, datetime | None]],
    since: datetime,
) -> None:
    """Makes schedules live, or live by other rules, each with its first instant."""
    await connection.execute(
        _ENLIVEN,
        company_id,
        flow_id,
        [one.schedule_id for one, _ in wanted],
        [one.flow_version_id for one, _ in wanted],
        [first for _, first in wanted],
        since,
    )


async def read_plan(connection: Connection, company_id: int, flow_id: int) -> datetime | None:
    at: datetime | None = await connection.fetchval(_READ_PLAN, company_id, flow_id)
    return at


async def read_passed(
    connection: Connection, company_id: int, flow_id: int, now: datetime, until: datetime
) -> datetime | None:
    """The latest account in (now, until] of anything of a locked flow; None if there is none."""
    at: datetime | None = await connection.fetchval(_READ_PASSED, company_id, flow_id, now, until)
    return at


async def list_suspects(connection: Connection, after: int, limit: int) -> Suspects:
    row = await connection.fetchrow(_LIST_SUSPECTS, after, limit)
    found = zip(row["company_ids"] or (), row["flow_ids"] or (), strict=True)
    return Suspects(tuple(dict.fromkeys(found)), row["last"] if row["size"] == limit else 0)


async def read_unaccounted_since(connection: Connection, company_id: int, wanted: Wanted) -> datetime:
    """The latest instant by which a locked schedule has all its accounts, as far as anything tells."""
    at: datetime = await connection.fetchval(
        _READ_UNACCOUNTED_SINCE, wanted.schedule_id, company_id, wanted.flow_version_id
    )
    return at


async def forget(connection: Connection, limit: int) -> int:
    """Ends the states of what is gone; returns how many."""
    return int((await connection.execute(_FORGET, limit)).rpartition(" ")[2])


async def next_due_in(connection: Connection) -> float | None:
    seconds: float | None = await connection.fetchval(_NEXT_DUE_IN)
    return seconds


async def count_ended(connection: Connection, ended: Sequence[tuple[int, int, int]]) -> None:
    """`ended`: of which locked schedule, how many active and how many buffered runs have ended."""
    await connection.execute(_COUNT_ENDED, *(list(column) for column in zip(*ended, strict=True)))


async def take_promotable(connection: Connection, schedule_ids: Sequence[int]) -> list[int]:
    return [row["schedule_id"] for row in await connection.fetch(_TAKE_PROMOTABLE, schedule_ids)]


async def recount(connection: Connection, schedule_ids: Sequence[int]) -> None:
    await connection.execute(_RECOUNT, schedule_ids)


def _due_of(row: asyncpg.Record) -> Due:
    about = row["schedule_id"], row["company_id"]
    if not row["live"] or row["next_due"] is None:
        return Due(*about, None, row["live"], None)
    standing = Standing(
        dues=_dues_of(row),
        next_due=row["next_due"],
        active=row["active_runs"],
        buffered=row["buffered_runs"],
        overlap=_OVERLAPS[row["overlap_policy"]],
        window=_windows(row["catchup_window_seconds"]),
        withheld=Reason.PAUSED if row["paused"] else None if row["enabled"] else Reason.DISABLED,
    )
    return Due(*about, standing, True, row["planned_at"])


_OVERLAPS: dict[str | None, OverlapPolicy] = {
    **{policy.value: policy for policy in OverlapPolicy},
    None: OverlapPolicy.SKIP,  # a timer says nothing about it
}


def _windows(seconds: int | None) -> timedelta:
    return timedelta(seconds=CATCHUP_SECONDS if seconds is None else seconds)


def _dues_of(row: asyncpg.Record) -> Dues:
    every: int | None = row["every_seconds"]
    return CronDues(row["cron_string"], row["timezone"]) if every is None else EveryDues(every)
