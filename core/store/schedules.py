"""Schedules of versions: one typed function per query. Whoever writes holds their flow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from core.domain.access import Principal
from core.domain.stored_schedules import OverlapPolicy, Rules, StoredSchedule
from core.store.database import Connection
from core.store.queries import query
from core.store.rows import build

_READ_CLOCK = query("schedules.read_clock")
_LIST = query("schedules.list_schedules")
_LIST_OF_VERSIONS = query("schedules.list_schedules_of_versions")
_COUNT = query("schedules.count_schedules")
_INSERT = query("schedules.insert_schedule")
_FIND = query("schedules.find_schedule")
_LOCK = query("schedules.lock_schedule")
_UPDATE = query("schedules.update_schedule")
_DELETE = query("schedules.delete_schedule")
_COPY = query("schedules.copy_schedules")
_PUT_BACK = query("schedules.put_back_schedules")


@dataclass(frozen=True, slots=True)
class Place:
    """The version whose schedules are meant, and where it is."""

    company_id: int
    flow_id: int
    version_id: int


async def read_clock(connection: Connection) -> datetime:
    now: datetime = await connection.fetchval(_READ_CLOCK)
    return now


async def list_page(
    connection: Connection, place: Place, *, limit: int, offset: int
) -> tuple[list[StoredSchedule], int]:
    """A page of a version's schedules, oldest first, and how many it has."""
    rows = await connection.fetch(_LIST, *_of(place), limit, offset)
    return [_schedule_of(row) for row in rows], await count(connection, place)


async def list_of_versions(
    connection: Connection, company_id: int, version_ids: Sequence[int], limit: int
) -> list[StoredSchedule]:
    """Those of several versions, each version's oldest first."""
    return [_schedule_of(row) for row in await connection.fetch(_LIST_OF_VERSIONS, company_id, version_ids, limit)]


async def count(connection: Connection, place: Place) -> int:
    number: int = await connection.fetchval(_COUNT, *_of(place))
    return number


async def insert(
    connection: Connection, principal: Principal, place: Place, rules: Rules, *, from_now: bool
) -> StoredSchedule:
    """`from_now`: it counts from this moment of the database on, whatever the rules say."""
    row = await connection.fetchrow(
        _INSERT,
        *_of(place),
        rules.cron_string,
        rules.timezone,
        rules.overlap_policy,
        rules.catchup_window_seconds,
        rules.paused,
        rules.pause_reason,
        from_now,
        rules.deployed_at,
        principal.actor_type,
        principal.actor_id,
    )
    return _schedule_of(row)


async def find(
    connection: Connection, company_id: int, schedule_id: int, application_id: int | None
) -> StoredSchedule | None:
    """A schedule by its id, of any application where that is None."""
    row = await connection.fetchrow(_FIND, company_id, schedule_id, application_id)
    return _schedule_of(row) if row else None


async def lock(connection: Connection, place: Place, schedule_id: int) -> StoredSchedule | None:
    """Holds one schedule of a version whose flow is held; None if it has none such."""
    row = await connection.fetchrow(_LOCK, *_of(place), schedule_id)
    return _schedule_of(row) if row else None


async def update(connection: Connection, principal: Principal, schedule_id: int, rules: Rules) -> StoredSchedule:
    row = await connection.fetchrow(
        _UPDATE,
        principal.company_id,
        schedule_id,
        rules.cron_string,
        rules.timezone,
        rules.overlap_policy,
        rules.catchup_window_seconds,
        rules.paused,
        rules.pause_reason,
        rules.deployed_at,
        principal.actor_type,
        principal.actor_id,
    )
    return _schedule_of(row)


async def delete(connection: Connection, company_id: int, schedule_id: int) -> None:
    await connection.execute(_DELETE, company_id, schedule_id)


async def copy_schedules(connection: Connection, principal: Principal, from_version: int, to_version: int) -> int:
    """Gives a version of the same, locked flow a copy of each schedule of another one; returns how many.

    A copy has the same rules, `deployed_at` and pause included, and is the principal's.
    """
    tag: str = await connection.execute(
        _COPY, principal.company_id, from_version, to_version, principal.actor_type, principal.actor_id
    )
    return int(tag.rpartition(" ")[2])


async def put_back(connection: Connection, company_id: int, version_id: int, kept: str) -> None:
    """Brings back what the trash kept of a version's schedules (JSON), under their ids, as schedules of this one."""
    await connection.execute(_PUT_BACK, company_id, version_id, kept)


def _of(place: Place) -> tuple[int, int, int]:
    return place.company_id, place.flow_id, place.version_id


def _schedule_of(row: asyncpg.Record) -> StoredSchedule:
    rules = build(Rules, row, overlap_policy=OverlapPolicy(row["overlap_policy"]))
    return build(StoredSchedule, row, rules=rules)
