"""A version's way from Draft to trash, by ids alone. Each function is one transaction.

In the order of locks everywhere, the flow comes first; what is decided about a version is decided on what is read once
it is locked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from asyncpg import Record

from core.domain.access import ActorType, Principal, Visitor
from core.domain.contents import empty_develop
from core.domain.errors import Conflict, Invalid, NotFound, VersionProtected
from core.domain.etags import ANY, Etag
from core.domain.listings import Listing
from core.domain.templates import Template
from core.domain.versions import (
    MOST_AHEAD_SECONDS,
    NOW_SECONDS,
    Content,
    Version,
    VersionStatus,
)
from core.operations import transitions
from core.operations.access import settle
from core.operations.flows import FLOW_UNKNOWN
from core.operations.shown import Page, Shown
from core.operations.versions import VERSION_UNKNOWN
from core.store import audit_events, deployments, flow_versions, flows, version_views
from core.store.database import Connection, Database
from core.store.deployments import Due
from core.store.flows import LockedFlow


@dataclass(frozen=True, slots=True)
class Carried:
    """A planned deploy that was carried out, and how many seconds after its instant."""

    version_id: int
    late_seconds: float


async def show_flow_versions(
    visitor: Visitor, database: Database, flow_id: int, listing: Listing, template: Template
) -> Page:
    """A page of a flow's versions, the Draft among them. Raises what `settle` raises, and NotFound."""
    async with database.connection() as connection:
        row = await version_views.show_page(connection, visitor, flow_id, listing, template)
    settle(visitor, row)
    if row is None or row["found"] is None:
        raise NotFound(FLOW_UNKNOWN)
    return Page.of(row)


async def show_flow_version(
    visitor: Visitor, database: Database, flow_id: int, version_id: int, template: Template
) -> Shown:
    """Raises what `settle` raises, and NotFound, the same for an unknown flow and for one without such a version."""
    async with database.connection() as connection:
        row = await version_views.show(connection, visitor, flow_id, version_id, template)
    settle(visitor, row)
    if row is None or row["revision"] is None:
        raise NotFound(VERSION_UNKNOWN)
    return Shown.of(row)


async def create_draft(principal: Principal, database: Database, flow_id: int, template: Template) -> Shown:
    """A Draft without content. Raises NotFound, and Conflict where there is a Draft."""

    async def work(connection: Connection) -> Shown:
        flow = await _lock_flow(connection, principal, flow_id)
        if await flow_versions.lock_draft(connection, principal.company_id, flow_id) is not None:
            raise Conflict("This flow already has a draft.")
        draft = await transitions.start_draft(connection, principal, flow.id, empty_develop())
        return await _show_touched(connection, principal, flow_id, draft.id, template)

    return await database.transaction(work)


async def set_deployment(
    principal: Principal,
    database: Database,
    flow_id: int,
    version_id: int,
    at: datetime | None,
    template: Template,
    *,
    etag: Etag = ANY,
) -> Shown:
    """Deploys a version if `at` has come, or nearly; plans its deploy for `at` otherwise; with None it undeploys it, or
    takes back what was planned. What is so already stays as it is.

    Raises NotFound, PreconditionFailed, Invalid for an instant too far ahead, and what `deploy` and `plan` raise.
    """

    async def change(connection: Connection, flow: LockedFlow, version: Version, ahead: float) -> bool:
        if at is None:
            return await _withdraw(connection, principal, version)
        if ahead <= NOW_SECONDS:
            return await transitions.deploy(connection, principal, flow, version) is not None
        if ahead > MOST_AHEAD_SECONDS:
            raise Invalid(f"must be at most {MOST_AHEAD_SECONDS / 86_400:.0f} days ahead", "deployed_at")
        return await transitions.plan(connection, principal, flow, version, at)

    async def work(connection: Connection) -> Shown:
        flow, version, ahead = await _lock_at(connection, principal, flow_id, version_id, at)
        etag.require(version.revision)
        if await change(connection, flow, version, ahead):
            return await _show_touched(connection, principal, flow_id, version_id, template)
        return await _show(connection, principal, version_id, template)

    if at is not None and etag == ANY:
        shown = await _deploy_at_once(principal, database, flow_id, version_id, at, template)
        if shown is not None:
            return shown
    return await database.transaction(work)


async def keep_deployment(
    principal: Principal,
    database: Database,
    flow_id: int,
    version_id: int,
    template: Template,
    *,
    etag: Etag = ANY,
) -> Shown:
    """A version as it stands, for whoever asks for a change and says none. Raises NotFound, PreconditionFailed."""

    async def work(connection: Connection) -> Shown:
        _, version = await _lock(connection, principal, flow_id, version_id)
        etag.require(version.revision)
        return await _show(connection, principal, version_id, template)

    return await database.transaction(work)


async def copy_version(
    principal: Principal,
    database: Database,
    flow_id: int,
    version_id: int,
    template: Template,
    *,
    keep: timedelta,
    etag: Etag = ANY,
) -> Shown:
    """A new Draft with the content and the schedules of a version. A Draft that is there goes to the trash for `keep`.

    Raises NotFound, PreconditionFailed, Conflict for a Draft, and VersionProtected where the Draft is about to be
    deployed.
    """

    async def work(connection: Connection) -> Shown:
        flow, version = await _lock(connection, principal, flow_id, version_id)
        etag.require(version.revision)
        if version.status is VersionStatus.DRAFT:
            raise Conflict("A draft cannot be copied.")
        await _discard_draft(connection, principal, flow_id, keep)
        content = Content(version.body, version.digest)
        draft = await transitions.start_draft(connection, principal, flow.id, content, scheduled_like=version.id)
        details = {"draft": draft.id}
        await audit_events.record(connection, principal, "version.copy", ("version", version.id), details=details)
        return await _show_touched(connection, principal, flow_id, draft.id, template)

    return await database.transaction(work)


async def remove_version(
    principal: Principal,
    database: Database,
    flow_id: int,
    version_id: int,
    *,
    keep: timedelta,
    etag: Etag = ANY,
) -> None:
    """Moves an inactive version to the trash for `keep`.

    Raises NotFound, PreconditionFailed, Conflict for a Draft, and VersionProtected for a deployed version and one
    about to be deployed.
    """

    async def work(connection: Connection) -> None:
        _, version = await _lock(connection, principal, flow_id, version_id)
        etag.require(version.revision)
        if version.status is VersionStatus.DRAFT:
            raise Conflict("A draft cannot be deleted.")
        if not await flow_versions.delete(connection, principal.company_id, version.id, keep):
            raise VersionProtected
        await audit_events.record(
            connection, principal, "version.delete", ("version", version.id), before=version.digest
        )

    await database.transaction(work)


async def deploy_due(database: Database, limit: int) -> list[Carried]:
    """Carries out planned deploys whose instant has come, the earliest first, each in a transaction of its own.

    Any number of callers may do so at once: whoever locks the flow second finds that there is nothing left to do.
    """
    async with database.connection() as connection:
        due = await deployments.list_due(connection, limit)
    carried = [await database.transaction(_carrying(one)) for one in due]
    return [one for one in carried if one is not None]


async def next_deploy_in(database: Database) -> float | None:
    """Seconds until the next planned deploy is due; None if there is none."""
    async with database.connection() as connection:
        return await deployments.next_due_in(connection)


def _carrying(due: Due) -> Callable[[Connection], Awaitable[Carried | None]]:
    """What carries one out, unless it was taken back, planned anew or carried out since it was seen."""
    principal = Principal(due.company_id, ActorType.SCHEDULER, None)

    async def work(connection: Connection) -> Carried | None:
        flow = await flows.lock(connection, due.company_id, None, due.flow_id)
        if flow is None:
            return None
        found = await flow_versions.lock_any(connection, due.company_id, due.flow_id, due.version_id, due.deploy_at)
        if found is None or found[0].deploy_at != due.deploy_at:
            return None
        version, late = found[0], -found[1]
        details = {"planned_for": due.deploy_at.isoformat(), "late_ms": round(late * 1000)}
        await transitions.deploy(connection, principal, flow, version, details, planned_for=due.deploy_at)
        await flows.touch(connection, principal, flow.id)
        return Carried(version.id, late)

    return work


async def _deploy_at_once(
    principal: Principal, database: Database, flow_id: int, version_id: int, at: datetime, template: Template
) -> Shown | None:
    """A kept version of a flow without schedules, as most are, in one statement; None for anything else."""

    async def work(connection: Connection) -> Record | None:
        return await deployments.deploy_at_once(connection, principal, flow_id, version_id, at, template)

    row = await database.statement(work)
    return None if row is None else Shown.of(row)


async def _withdraw(connection: Connection, principal: Principal, version: Version) -> bool:
    if version.status is VersionStatus.DEPLOYED:
        return await transitions.undeploy(connection, principal, version.flow_id)
    if version.deploy_at is not None:
        return await transitions.cancel_pending(connection, principal, version.flow_id)
    return False


async def _discard_draft(connection: Connection, principal: Principal, flow_id: int, keep: timedelta) -> None:
    draft = await flow_versions.lock_draft(connection, principal.company_id, flow_id)
    if draft is None:
        return
    if not await flow_versions.discard_draft(connection, principal.company_id, draft.id, keep):
        raise VersionProtected("The draft is about to be deployed; take that back first.")
    await audit_events.record(connection, principal, "draft.discard", ("version", draft.id), before=draft.digest)


async def _lock_flow(connection: Connection, principal: Principal, flow_id: int) -> LockedFlow:
    flow = await flows.lock(connection, principal.company_id, principal.application_id, flow_id)
    if flow is None:
        raise NotFound(FLOW_UNKNOWN)
    return flow


async def _lock(
    connection: Connection, principal: Principal, flow_id: int, version_id: int
) -> tuple[LockedFlow, Version]:
    flow, version, _ = await _lock_at(connection, principal, flow_id, version_id, None)
    return flow, version


async def _lock_at(
    connection: Connection, principal: Principal, flow_id: int, version_id: int, at: datetime | None
) -> tuple[LockedFlow, Version, float]:
    """With how many seconds ahead `at` is."""
    flow = await _lock_flow(connection, principal, flow_id)
    found = await flow_versions.lock_any(connection, principal.company_id, flow_id, version_id, at)
    if found is None:
        raise NotFound(VERSION_UNKNOWN)
    return flow, *found


async def _show_touched(
    connection: Connection, principal: Principal, flow_id: int, version_id: int, template: Template
) -> Shown:
    """After a change of what is read with the flow."""
    return Shown.of(await flow_versions.show_touched(connection, principal, flow_id, version_id, template))


async def _show(connection: Connection, principal: Principal, version_id: int, template: Template) -> Shown:
    return Shown.of(await flow_versions.show_changed(connection, principal.company_id, version_id, template))
