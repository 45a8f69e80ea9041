"""What a caller can ask of flows. Each function is one transaction."""

from __future__ import annotations

from core.domain.access import Principal
from core.domain.errors import NotFound
from core.domain.etags import ANY, Etag
from core.domain.flows import Flow, FlowChange
from core.domain.query import Selection
from core.operations.lists import listed
from core.store import audit_events, flow_versions
from core.store import flows as store
from core.store.database import Connection, Database
from core.store.lists import Order

FLOW_UNKNOWN = "Flow was not found"
"""The one answer for an unknown flow, another application's and another company's."""

APPLICATION_UNKNOWN = "Application was not found"


async def create_flow(
    principal: Principal,
    database: Database,
    application_id: int,
    *,
    name: str,
    description: str | None,
    flow_class: str,
    enabled: bool,
) -> Flow:
    """Makes a flow without any version. Raises NotFound when the application is not the caller's."""

    async def work(connection: Connection) -> Flow:
        if not await store.has_application(connection, principal.company_id, application_id):
            raise NotFound(APPLICATION_UNKNOWN)
        flow = await store.create(
            connection,
            principal,
            application_id,
            name=name,
            description=description,
            flow_class=flow_class,
            enabled=enabled,
        )
        await audit_events.record(connection, principal, "flow.create", ("flow", flow.id), details={"name": name})
        return flow

    return await database.transaction(work)


async def read_flow(principal: Principal, database: Database, application_id: int, flow_id: int) -> Flow:
    """One flow. Raises NotFound."""
    async with database.connection() as connection:
        flow = await store.read(connection, principal.company_id, application_id, flow_id)
    if flow is None:
        raise NotFound(FLOW_UNKNOWN)
    return flow


async def list_flows(
    principal: Principal,
    database: Database,
    application_id: int,
    selection: Selection,
    order: Order,
    *,
    all_versions: bool = False,
) -> tuple[list[Flow], int]:
    """A page of an application's selected flows, and how many are selected in all. Raises NotFound.

    With `all_versions` a flow is selected, too, if it would be with the content of one of its versions.
    """

    async def work(connection: Connection) -> tuple[list[Flow], int]:
        found = await store.list_page(
            connection, principal.company_id, application_id, selection, order, all_versions=all_versions
        )
        if not found[1] and not await store.has_application(connection, principal.company_id, application_id):
            raise NotFound(APPLICATION_UNKNOWN)
        return found

    return await listed(database, selection, work)


async def change_flow(
    principal: Principal, database: Database, application_id: int, flow_id: int, change: FlowChange, *, etag: Etag = ANY
) -> Flow:
    """Changes name, description or enabled, and deploys or undeploys; all of it or nothing.

    Deploying makes the old deployed version inactive. Raises NotFound for the flow, and for a version to deploy that
    this flow does not have; PreconditionFailed when the flow is not the one the caller has seen.
    """

    async def work(connection: Connection) -> Flow:
        locked = await store.lock(connection, principal.company_id, application_id, flow_id)
        if locked is None:
            raise NotFound(FLOW_UNKNOWN)
        etag.require(locked.revision)
        if change.deploy is not None or change.undeploy:
            await _deploy(connection, principal, flow_id, change.deploy)
        await store.update(connection, principal, flow_id, change)
        await audit_events.record(
            connection, principal, "flow.change", ("flow", flow_id), details={"given": _given(change)}
        )
        flow = await store.read(connection, principal.company_id, application_id, flow_id)
        assert flow is not None, "the flow is locked by this transaction"
        return flow

    return await database.transaction(work)


async def _deploy(connection: Connection, principal: Principal, flow_id: int, version_id: int | None) -> None:
    """Makes this version, or none, the flow's deployed one. Deploying what is deployed changes nothing."""
    if version_id is not None:
        version = await flow_versions.lock(connection, principal.company_id, flow_id, version_id=version_id, name=None)
        if version is None:
            raise NotFound("Flow version was not found")
        if version.deployed_at is not None:
            return
    demoted = await flow_versions.demote(connection, principal, flow_id)
    if demoted is not None:
        await audit_events.record(
            connection, principal, "version.undeploy", ("version", demoted.id), before=demoted.digest
        )
    if version_id is not None:
        promoted = await flow_versions.promote(connection, principal, version_id)
        await audit_events.record(
            connection, principal, "version.deploy", ("version", promoted.id), after=promoted.digest
        )


def _given(change: FlowChange) -> list[str]:
    asked = [name for name in ("name", "enabled", "description", "deploy") if getattr(change, name) is not None]
    return [*asked, "undeploy"] if change.undeploy else asked
