"""What a caller can ask of single versions. Each function is one transaction."""

from __future__ import annotations

from datetime import timedelta

from core.domain.access import Principal
from core.domain.errors import AlreadyExists, NotFound, VersionProtected
from core.domain.identifiers import parse_hex_id
from core.domain.versions import NewVersion, Version, VersionStatus, check_name
from core.operations.flows import FLOW_UNKNOWN
from core.store import audit_events, flows
from core.store import flow_versions as store
from core.store.database import Connection, Database
from core.store.flows import LockedFlow

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
) -> tuple[Version, LockedFlow]:
    """Keeps a new inactive version, or with `replace` gives an existing one of that name new content.

    A replacement keeps id and creation date, raises the revision, and leaves the old content in the trash for `keep`.
    Raises Invalid for a name that cannot be used, AlreadyExists for a taken one, NotFound for the flow.
    """
    check_name(new.name)

    async def work(connection: Connection) -> tuple[Version, LockedFlow]:
        flow = await flows.lock(connection, principal.company_id, application_id, flow_id)
        if flow is None:
            raise NotFound(FLOW_UNKNOWN)
        old = await store.lock(connection, principal.company_id, flow_id, version_id=None, name=new.name)
        if old is None:
            return await _insert(connection, principal, flow_id, new), flow
        if not replace:
            raise AlreadyExists(f'A version named "{new.name}" already exists.')
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
    principal: Principal,
    database: Database,
    application_id: int,
    flow_id: int,
    *,
    sort: str,
    descending: bool,
    page: int,
    per_page: int,
) -> tuple[list[Version], int, str]:
    """A page of a flow's versions, counted from 0, how many there are in all, and the flow's class."""
    async with database.connection() as connection:
        flow = await flows.read(connection, principal.company_id, application_id, flow_id)
        if flow is None:
            raise NotFound(FLOW_UNKNOWN)
        versions, total = await store.list_page(
            connection,
            principal.company_id,
            flow_id,
            sort=sort,
            descending=descending,
            limit=per_page,
            offset=page * per_page,
        )
    return versions, total, flow.flow_class


async def delete_version(
    principal: Principal,
    database: Database,
    application_id: int,
    flow_id: int,
    segment: str,
    *,
    keep: timedelta,
) -> None:
    """Moves one version to the trash for `keep`. Raises NotFound, and VersionProtected for a deployed one."""

    async def work(connection: Connection) -> None:
        if await flows.lock(connection, principal.company_id, application_id, flow_id) is None:
            raise NotFound(FLOW_UNKNOWN)
        version = await store.lock(
            connection, principal.company_id, flow_id, version_id=parse_hex_id(segment), name=segment
        )
        if version is None or version.status is VersionStatus.DRAFT:
            raise NotFound(VERSION_UNKNOWN)
        if not await store.delete(connection, principal.company_id, version.id, keep):
            raise VersionProtected
        await audit_events.record(
            connection, principal, "version.delete", ("version", version.id), before=version.digest
        )

    await database.transaction(work)


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
