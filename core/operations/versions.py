"""What a caller can ask of single versions. Each function is one transaction."""

from __future__ import annotations

from datetime import timedelta

from asyncpg import Record

from core.domain.access import Claim, Principal
from core.domain.errors import AlreadyExists, Conflict, NotFound, VersionProtected
from core.domain.etags import ANY, Etag
from core.domain.flow_classes import CUSTOM_NODE, Outline, check_class, fitting_classes
from core.domain.identifiers import parse_hex_id
from core.domain.query import EVERYTHING, Selection
from core.domain.templates import Template
from core.domain.versions import NewVersion, Version, VersionChange, VersionStatus, check_name
from core.operations.access import admit, admitted
from core.operations.firing import accounted
from core.operations.flows import FLOW_UNKNOWN
from core.operations.lists import listed
from core.operations.shown import Page, Shown
from core.store import audit_events, flows
from core.store import flow_versions as store
from core.store.database import Connection, Database
from core.store.lists import Order

VERSION_UNKNOWN = "Flow version was not found"


async def create_version(
    claim: Claim, database: Database, flow_id: int, new: NewVersion, template: Template, *, etag: Etag = ANY
) -> Shown:
    """Keeps a new inactive version, in one statement.

    Raises what `admit` raises, Invalid for a name that cannot be used or a content the flow's class cannot have,
    AlreadyExists for a taken name, NotFound for the flow, and PreconditionFailed for a caller who has seen a version of
    that name.
    """
    check_name(new.name)
    etag.require(None)

    async def work(connection: Connection) -> Shown:
        return await _insert(connection, claim, flow_id, new, template)

    try:
        return await database.statement(work)
    except AlreadyExists:
        raise AlreadyExists(f'A version named "{new.name}" already exists.') from None


async def create_or_replace_version(
    claim: Claim,
    database: Database,
    flow_id: int,
    new: NewVersion,
    template: Template,
    *,
    keep: timedelta,
    etag: Etag = ANY,
) -> Shown:
    """The same, but gives an existing version of that name new content.

    A replacement keeps id and creation date, raises the revision, and leaves the old content in the trash for `keep`.
    Raises Conflict for a version of a custom node, which others rely on to stay as it is, and PreconditionFailed when
    the version to be replaced is not the one the caller has seen.
    """
    check_name(new.name)

    async def work(connection: Connection) -> Shown:
        principal = await admitted(connection, claim)
        flow = await flows.lock(connection, principal.company_id, claim.application_id, flow_id)
        if flow is None:
            raise NotFound(FLOW_UNKNOWN)
        old = await store.lock(connection, principal.company_id, flow_id, version_id=None, name=new.name)
        etag.require(old.revision if old else None)
        if old is None:
            return await _insert(connection, claim, flow_id, new, template)
        if flow.flow_class == CUSTOM_NODE:
            raise Conflict("A version of a custom node cannot be replaced; delete it first.")
        check_class(_outline(new), flow.flow_class)
        async with accounted(connection, principal.company_id, flow_id, content=True):
            version = await _replace(connection, principal, old, new, keep)
        return Shown.of(await store.show_changed(connection, principal.company_id, version.id, template))

    return await database.transaction(work)


async def show_version(claim: Claim, database: Database, flow_id: int, segment: str, template: Template) -> Shown:
    """A version by id, or by name if the flow has no such id. Raises what `admit` raises, and NotFound."""
    async with database.connection() as connection:
        row = await store.show(connection, claim, flow_id, template, version_id=parse_hex_id(segment), name=segment)
    row = admit(claim, row)
    if row["revision"] is None:
        raise NotFound(VERSION_UNKNOWN)
    return Shown.of(row)


async def show_versions(
    claim: Claim, database: Database, flow_id: int, selection: Selection, order: Order, template: Template
) -> Page:
    """A page of a flow's selected versions. Raises what `admit` raises, and NotFound for the flow.

    Only a selection that asks something of the flow has to know it first; one that is not there has nothing to be
    compared with.
    """

    async def work(connection: Connection) -> Record | None:
        constants, asked = {}, selection
        if store.asks_flow(selection):
            constants = await flows.read_constants(connection, claim, flow_id)
            asked = selection if constants else EVERYTHING
        return await store.show_page(connection, claim, flow_id, asked, order, template, constants)

    row = admit(claim, await listed(database, selection, work))
    if not row["found"]:
        raise NotFound(FLOW_UNKNOWN)
    return Page.of(row)


async def show_namesakes(
    claim: Claim, database: Database, name: str, selection: Selection, order: Order, template: Template
) -> Page:
    """A page of the selected versions of this name in all flows of the application. Raises what `admit` raises."""

    async def work(connection: Connection) -> Record | None:
        return await store.show_namesakes(connection, claim, name, selection, order, template)

    return Page.of(admit(claim, await listed(database, selection, work)))


async def change_version(
    principal: Principal,
    database: Database,
    application_id: int,
    flow_id: int,
    segment: str,
    change: VersionChange,
    template: Template,
    *,
    etag: Etag = ANY,
) -> Shown:
    """Changes notes and enabled. Raises NotFound, PreconditionFailed."""

    async def work(connection: Connection) -> Shown:
        version = await _lock(connection, principal, application_id, flow_id, segment)
        etag.require(version.revision)
        async with accounted(connection, principal.company_id, flow_id):
            await store.patch(connection, principal, version.id, change)
        await audit_events.record(connection, principal, "version.change", ("version", version.id))
        return Shown.of(await store.show_changed(connection, principal.company_id, version.id, template))

    return await database.transaction(work)


async def delete_version(
    principal: Principal,
    database: Database,
    application_id: int,
    flow_id: int,
    segment: str,
    *,
    keep: timedelta,
    etag: Etag = ANY,
) -> None:
    """Moves one version to the trash for `keep`.

    Raises NotFound, PreconditionFailed, and VersionProtected for a deployed one.
    """

    async def work(connection: Connection) -> None:
        version = await _lock(connection, principal, application_id, flow_id, segment)
        etag.require(version.revision)
        if not await store.delete(connection, principal.company_id, version.id, keep):
            raise VersionProtected
        await audit_events.record(
            connection, principal, "version.delete", ("version", version.id), before=version.digest
        )

    await database.transaction(work)


async def _lock(
    connection: Connection, principal: Principal, application_id: int, flow_id: int, segment: str
) -> Version:
    if await flows.lock(connection, principal.company_id, application_id, flow_id) is None:
        raise NotFound(FLOW_UNKNOWN)
    version = await store.lock(
        connection, principal.company_id, flow_id, version_id=parse_hex_id(segment), name=segment
    )
    if version is None or version.status is VersionStatus.DRAFT:
        raise NotFound(VERSION_UNKNOWN)
    return version


async def _insert(connection: Connection, claim: Claim, flow_id: int, new: NewVersion, template: Template) -> Shown:
    outline = _outline(new)
    row = await store.insert(connection, claim, flow_id, new, fitting_classes(outline), template)
    if row is None:
        await admitted(connection, claim)
        flow_class = (await flows.read_constants(connection, claim, flow_id)).get("flowClass")
        if flow_class is not None:
            check_class(outline, flow_class)
        raise NotFound(FLOW_UNKNOWN)
    return Shown(row["id"], row["shown"] + new.content.body[1:].encode(), row["revision"])


def _outline(new: NewVersion) -> Outline:
    assert new.content.outline is not None, "a new content is judged before it comes here"
    return new.content.outline


async def _replace(
    connection: Connection, principal: Principal, old: Version, new: NewVersion, keep: timedelta
) -> Version:
    await store.keep_replaced(connection, principal.company_id, old.id, keep)
    version = await store.replace(connection, principal, old.id, new)
    await audit_events.record(
        connection, principal, "version.replace", ("version", old.id), before=old.digest, after=version.digest
    )
    return version
