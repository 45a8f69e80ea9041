"""What a caller can ask of the schedules of a version. Each function is one transaction.

A change locks the flow first, like any change of what belongs to it, so a version cannot leave in the middle of one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from core.domain.access import Principal
from core.domain.errors import Conflict, Invalid, NotFound
from core.domain.etags import ANY, Etag
from core.domain.schedules import Calendar, check_schedule, timetable
from core.domain.stored_schedules import MOST_SCHEDULES, PREVIEW_DAYS, UTC_NAME, Rules, StoredSchedule
from core.operations.endings import drop_buffered
from core.operations.firing import accounted
from core.operations.versions import VERSION_UNKNOWN
from core.store import audit_events, flow_versions, flows
from core.store import schedules as store
from core.store.database import Connection, Database
from core.store.schedules import Place

SCHEDULE_UNKNOWN = "Schedule was not found"

MOST_ALONG = 1_000
"""Schedules that come along with a page of versions: some 400 kB. A hundred versions could have ten thousand."""

_ANY_CRON = "* * * * *"


async def list_schedules(
    principal: Principal, database: Database, version_id: int, *, limit: int, offset: int
) -> tuple[list[StoredSchedule], int]:
    """A page of a version's schedules, oldest first, and how many there are. Raises NotFound for the version."""
    async with database.connection() as connection:
        place = await _find(connection, principal, version_id)
        return await store.list_page(connection, place, limit=limit, offset=offset)


async def list_schedules_along(
    principal: Principal, database: Database, version_ids: Sequence[int]
) -> Mapping[int, Sequence[StoredSchedule]]:
    """The schedules of each of these versions of the company, oldest first. Raises Invalid for more than MOST_ALONG."""
    async with database.connection() as connection:
        found = await store.list_of_versions(connection, principal.company_id, version_ids, MOST_ALONG + 1)
    if len(found) > MOST_ALONG:
        raise Invalid(f"would bring along more than {MOST_ALONG:,} schedules; ask for fewer versions", "include")
    along: dict[int, list[StoredSchedule]] = {version_id: [] for version_id in version_ids}
    for schedule in found:
        along[schedule.flow_version_id].append(schedule)
    return along


async def create_schedule(
    principal: Principal, database: Database, version_id: int, given: Mapping[str, Any]
) -> StoredSchedule:
    """A new schedule with the rules that are given, by name, of which `cron_string` must be one.

    Without `deployed_at` it counts from now on. Raises NotFound for the version, Invalid for rules that cannot be, and
    Conflict for one schedule too many.
    """
    await _check(database, given)
    rules = Rules(given["cron_string"]).changed(given)

    async def work(connection: Connection) -> StoredSchedule:
        place = await _lock(connection, principal, version_id)
        if await store.count(connection, place) >= MOST_SCHEDULES:
            raise Conflict(f"A version can have {MOST_SCHEDULES} schedules, and this one has as many.")
        async with accounted(connection, place.company_id, place.flow_id):
            made = await store.insert(connection, principal, place, rules, from_now="deployed_at" not in given)
        await _record(connection, principal, "schedule.create", made, {"rules": made.rules.told()})
        return made

    return await database.transaction(work)


async def change_schedule(
    principal: Principal,
    database: Database,
    version_id: int,
    schedule_id: int,
    given: Mapping[str, Any],
    *,
    etag: Etag = ANY,
) -> StoredSchedule:
    """Changes the rules that are given, by name; what changes nothing leaves no trace.

    Raises NotFound for the version and for the schedule, PreconditionFailed, and Invalid for rules that cannot be.
    """
    await _check(database, given)

    async def work(connection: Connection) -> StoredSchedule:
        old = await _lock_schedule(connection, principal, version_id, schedule_id)
        etag.require(old.revision)
        rules = old.rules.changed(given)
        names = rules.differing(old.rules)
        if not names:
            return old
        async with accounted(connection, principal.company_id, old.flow_id):
            new = await store.update(connection, principal, schedule_id, rules)
        before, after = old.rules.told(), new.rules.told()
        changes = {name: {"before": before[name], "after": after[name]} for name in names}
        await _record(connection, principal, "schedule.change", new, {"changes": changes})
        return new

    return await database.transaction(work)


async def delete_schedule(
    principal: Principal, database: Database, version_id: int, schedule_id: int, *, etag: Etag = ANY
) -> None:
    """Ends a schedule for good; what it was stands in the audit trail.

    Raises NotFound for the version and for the schedule, and PreconditionFailed.
    """

    async def work(connection: Connection) -> None:
        old = await _lock_schedule(connection, principal, version_id, schedule_id)
        etag.require(old.revision)
        async with accounted(connection, principal.company_id, old.flow_id):
            await store.delete(connection, principal.company_id, schedule_id)
        await drop_buffered(connection, schedule_id)
        await _record(connection, principal, "schedule.delete", old, {"rules": old.rules.told()})

    await database.transaction(work)


async def preview_schedule(
    database: Database, cron_string: str, zone_name: str, start: datetime | None, most: int
) -> tuple[Calendar, datetime, datetime]:
    """The first `most` instants that are due from `start` on, or from now; and the window that was looked through.

    Whatever stores such rules will be due at exactly these. One that never fires is none less: the calendar says so.
    Raises Invalid for an expression or a zone that is not understood.
    """
    if start is None:
        start = await _now(database)
    end = start + timedelta(days=PREVIEW_DAYS)
    # Some 10 ms for a zone that nobody asked about before and an expression of few days.
    calendar = await asyncio.to_thread(lambda: timetable(cron_string, zone_name).calendar(start, end, most))
    return calendar, start, end


async def _check(database: Database, given: Mapping[str, Any]) -> None:
    """Raises Invalid for an expression or a zone that cannot be stored, before anything is locked.

    An expression that comes without a zone is looked at in UTC: which years have its days does not depend on that.
    """
    if "cron_string" in given or "timezone" in given:
        cron_string, zone_name = given.get("cron_string", _ANY_CRON), given.get("timezone", UTC_NAME)
        now = await _now(database)
        await asyncio.to_thread(check_schedule, cron_string, zone_name, now)


async def _now(database: Database) -> datetime:
    async with database.connection() as connection:
        return await store.read_clock(connection)


async def _find(connection: Connection, principal: Principal, version_id: int) -> Place:
    flow_id = await flow_versions.find_flow(connection, principal.company_id, version_id, principal.application_id)
    if flow_id is None:
        raise NotFound(VERSION_UNKNOWN)
    return Place(principal.company_id, flow_id, version_id)


async def _lock(connection: Connection, principal: Principal, version_id: int) -> Place:
    """Holds the flow, then looks again whether the version is still there."""
    place = await _find(connection, principal, version_id)
    if await flows.lock_of_company(connection, principal.company_id, place.flow_id, principal.application_id) is None:
        raise NotFound(VERSION_UNKNOWN)
    return await _find(connection, principal, version_id)


async def _lock_schedule(
    connection: Connection, principal: Principal, version_id: int, schedule_id: int
) -> StoredSchedule:
    place = await _lock(connection, principal, version_id)
    found = await store.lock(connection, place, schedule_id)
    if found is None:
        raise NotFound(SCHEDULE_UNKNOWN)
    return found


async def _record(
    connection: Connection, principal: Principal, action: str, schedule: StoredSchedule, details: Mapping[str, object]
) -> None:
    told = {"version": schedule.flow_version_id, **details}
    await audit_events.record(connection, principal, action, ("schedule", schedule.id), details=told)
