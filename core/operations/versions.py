"""What a caller can ask of single versions. Each function is one transaction."""

from __future__ import annotations

from datetime import timedelta

from core.domain.access import Principal
from core.domain.errors import AlreadyExists, NotFound, VersionProtected
from core.domain.etags import ANY, Etag
from core.domain.identifiers import parse_hex_id
from core.domain.query import EVERYTHING, Selection
from core.domain.versions import NewVersion, Version, VersionChange, VersionStatus, check_name
from core.operations.flows import APPLICATION_UNKNOWN, FLOW_UNKNOWN
from core.operations.lists import LIST_SECONDS, listed
from core.store import audit_events, flows
from core.store import flow_versions as store
from core.store.database import Connection, Database, limit_statements
from core.store.flows import LockedFlow
from core.store.lists import Order

VERSION_UNKNOWN = "Flow version was not found"


async def create_version(
    principal: Principal,
    database: Database,
    application_id: int,
    flow_id: int,
    new: NewVersion,
    *,
    replace: bool,
    keep: timedelta,
    etag: Etag = ANY,
) -> tuple[Version, LockedFlow]:
    """Keeps a new inactive version, or with `replace` gives an existing one of that name new content.

    A replacement keeps id and creation date, raises the revision, and leaves the old content in the trash for `keep`.
    Raises Invalid for a name that cannot be used, AlreadyExists for a taken one, NotFound for the flow, and
    PreconditionFailed when the version to be replaced is not the one the caller has seen.
    """
    check_name(new.name)

    async def work(connection: Connection) -> tuple[Version, LockedFlow]:
        flow = await flows.lock(connection, principal.company_id, application_id, flow_id)
        if flow is None:
            raise NotFound(FLOW_UNKNOWN)
        old = await store.lock(connection, principal.company_id, flow_id, version_id=None, name=new.name)
        if old is None:
            etag.require(None)
            return await _insert(connection, principal, flow_id, new), flow
        if not replace:
            raise AlreadyExists(f'A version named "{new.name}" already exists.')
        etag.require(old.revision)
        return await _replace(connection, principal, old, new, keep), flow

    return await database.transaction(work)


async def read_version(
    principal: Principal, database: Database, application_id: int, flow_id: int, segment: str
) -> tuple[Version, str]:
    """A version by id, or by name if the flow has no such id, and its flow's class. Raises NotFound."""
    async with database.connection() as connection:
        found = await store.read(
            connection,
            principal.company_id,
            application_id,
            flow_id,
            version_id=parse_hex_id(segment),
            name=segment,
        )
    if found is None:
        raise NotFound(VERSION_UNKNOWN)
    return found


async def list_versions(
    principal: Principal, database: Database, application_id: int, flow_id: int, selection: Selection, order: Order
) -> tuple[list[Version], int, str]:
    """A page of a flow's selected versions, how many are selected in all, and the flow's class."""

    async def work(connection: Connection) -> tuple[list[Version], int, str]:
        flow = await flows.read(connection, principal.company_id, application_id, flow_id)
        if flow is None:
            raise NotFound(FLOW_UNKNOWN)
        if selection != EVERYTHING:
            await limit_statements(connection, LIST_SECONDS)
        versions, total = await store.list_page(connection, principal.company_id, flow, selection, order)
        return versions, total, flow.flow_class

    if selection != EVERYTHING:
        return await database.transaction(work)
    async with database.connection() as connection:
        return await work(connection)


async def list_namesakes(
    principal: Principal, database: Database, application_id: int, name: str, selection: Selection, order: Order
) -> tuple[list[tuple[Version, str]], int]:
    """A page of the selected versions of this name in all flows of an application, each with its flow's class, and how
    many are selected in all. Raises NotFound for the application."""

    async def work(connection: Connection) -> tuple[list[tuple[Version, str]], int]:
        found = await store.list_namesakes(connection, principal.company_id, application_id, name, selection, order)
        if not found[1] and not await flows.has_application(connection, principal.company_id, application_id):
            raise NotFound(APPLICATION_UNKNOWN)
        return found

    return await listed(database, selection, work)


async def change_version(
    principal: Principal,
    database: Database,
    application_id: int,
    flow_id: int,
    segment: str,
    change: VersionChange,
    *,
    etag: Etag = ANY,
) -> tuple[Version, str]:
    """Changes notes and enabled; returns the version and its flow's class. Raises NotFound, PreconditionFailed."""

    async def work(connection: Connection) -> tuple[Version, str]:
        flow, version = await _lock(connection, principal, application_id, flow_id, segment)
        etag.require(version.revision)
        changed = await store.patch(connection, principal, version.id, change)
        await audit_events.record(connection, principal, "version.change", ("version", version.id))
        return changed, flow.flow_class

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
        _, version = await _lock(connection, principal, application_id, flow_id, segment)
        etag.require(version.revision)
        if not await store.delete(connection, principal.company_id, version.id, keep):
            raise VersionProtected
        await audit_events.record(
            connection, principal, "version.delete", ("version", version.id), before=version.digest
        )

    await database.transaction(work)


async def _lock(
    connection: Connection, principal: Principal, application_id: int, flow_id: int, segment: str
) -> tuple[LockedFlow, Version]:
    flow = await flows.lock(connection, principal.company_id, application_id, flow_id)
    if flow is None:
        raise NotFound(FLOW_UNKNOWN)
    version = await store.lock(
        connection, principal.company_id, flow_id, version_id=parse_hex_id(segment), name=segment
    )
    if version is None or version.status is VersionStatus.DRAFT:
        raise NotFound(VERSION_UNKNOWN)
    return flow, version


async def _insert(connection: Connection, principal: Principal, flow_id: int, new: NewVersion) -> Version:
    iteration = await flows.take_iteration(connection, flow_id)
    version = await store.insert(connection, principal, flow_id, iteration, new)
    await audit_events.record(connection, principal, "version.create", ("version", version.id), after=version.digest)
    return version


async def _replace(
    connection: Connection, principal: Principal, old: Version, new: NewVersion, keep: timedelta
) -> Version:
    await store.keep_replaced(connection, principal.company_id, old.id, keep)
    version = await store.replace(connection, principal, old.id, new)
    await audit_events.record(
        connection, principal, "version.replace", ("version", old.id), before=old.digest, after=version.digest
    )
    return version
