"""What a caller can ask of flows. Each function is one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from core.domain.access import Principal
from core.domain.contents import DevelopChange, changed_content
from core.domain.errors import Invalid, NotFound
from core.domain.etags import ANY, Etag
from core.domain.flow_classes import CUSTOM_NODE
from core.domain.flows import AS_USUAL, UNSAID, Flow, FlowChange, PaletteEntry, Running
from core.domain.query import Selection
from core.domain.versions import Content
from core.operations import transitions
from core.operations.access import APPLICATION_UNKNOWN
from core.operations.lists import listed
from core.store import audit_events, flow_versions
from core.store import flows as store
from core.store.database import Connection, Database
from core.store.flows import LockedFlow
from core.store.lists import Order
from core.threads import computed

FLOW_UNKNOWN = "Flow was not found"
"""The one answer for an unknown flow, another application's and another company's."""


async def create_flow(
    principal: Principal,
    database: Database,
    application_id: int,
    *,
    name: str,
    description: str | None,
    flow_class: str,
    enabled: bool,
    palette: PaletteEntry = UNSAID,
    custom_node_supports: Sequence[str] | None = None,
    develop: DevelopChange | None = None,
    running: Running = AS_USUAL,
) -> Flow:
    """Makes a flow without any version but the Draft that `develop` becomes.

    Raises NotFound when the application is not the caller's, and Invalid for a content that a flow of this class
    cannot have.
    """
    plan = None if develop is None else await _plan(None, develop, flow_class)

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
            palette=palette,
            custom_node_supports=custom_node_supports,
            running=running,
        )
        await audit_events.record(connection, principal, "flow.create", ("flow", flow.id), details={"name": name})
        if plan is not None:
            await _develop(connection, principal, flow.id, plan)
            flow = replace(flow, develop=plan.after.body)
        return flow

    return await database.transaction(work)


async def read_flow(principal: Principal, database: Database, application_id: int | None, flow_id: int) -> Flow:
    """One flow with its develop content; of any application where that is None. Raises NotFound."""
    async with database.connection() as connection:
        flow = await store.read_with_develop(connection, principal.company_id, application_id, flow_id)
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
    principal: Principal,
    database: Database,
    application_id: int | None,
    flow_id: int,
    change: FlowChange,
    *,
    etag: Etag = ANY,
) -> Flow:
    """Changes what is given of the flow and of its develop content, and deploys or undeploys; all of it or nothing.

    Of any application where that is None. Deploying makes the old deployed version inactive. Raises NotFound for the
    flow, and for a version to deploy that this flow does not have; Invalid for what a flow of this class cannot have;
    PreconditionFailed when the flow is not the one the caller has seen.
    """
    plan = None
    if change.develop is not None:
        seen = await read_flow(principal, database, application_id, flow_id)
        plan = await _plan(seen.develop, change.develop, seen.flow_class)

    async def work(connection: Connection) -> Flow:
        locked = await store.lock(connection, principal.company_id, application_id, flow_id)
        if locked is None:
            raise NotFound(FLOW_UNKNOWN)
        etag.require(locked.revision)
        if change.deploy is not None and locked.flow_class == CUSTOM_NODE:
            raise Invalid(transitions.NOT_DEPLOYABLE, "defaultVersionId")
        if change.deploy is not None:
            await _deploy(connection, principal, locked, change.deploy)
        if change.undeploy:
            await transitions.undeploy(connection, principal, flow_id)
        if plan is not None:
            await _develop(connection, principal, flow_id, plan)
        await store.update(connection, principal, flow_id, change)
        await audit_events.record(
            connection, principal, "flow.change", ("flow", flow_id), details={"given": _given(change)}
        )
        flow = await store.read_with_develop(connection, principal.company_id, application_id, flow_id)
        assert flow is not None, "the flow is locked by this transaction"
        return flow

    return await database.transaction(work)


async def _deploy(connection: Connection, principal: Principal, flow: LockedFlow, version_id: int) -> None:
    """Losant deploys what has a name; a Draft is no version there."""
    version = await flow_versions.lock(connection, principal.company_id, flow.id, version_id=version_id, name=None)
    if version is None:
        raise NotFound("Flow version was not found")
    await transitions.deploy(connection, principal, flow, version)


@dataclass(frozen=True, slots=True)
class _Plan:
    """A develop copy as it was seen, and what a change makes of it."""

    before: str | None
    after: Content
    change: DevelopChange
    flow_class: str


async def _plan(before: str | None, change: DevelopChange, flow_class: str) -> _Plan:
    """Megabytes take seconds to put together, so that is done while nothing is locked."""
    size = change.size + len(before or "")
    return _Plan(before, await computed(size, lambda: changed_content(before, change, flow_class)), change, flow_class)


async def _develop(connection: Connection, principal: Principal, flow_id: int, plan: _Plan) -> None:
    """Puts a planned change into the Draft of a locked flow, or makes that Draft.

    Planned again if another change came first. What the Draft held goes to the trash, unless it meant the same: blanks
    and the order of keys can be told apart only by who reads the text.
    """
    draft = await flow_versions.lock_draft(connection, principal.company_id, flow_id)
    before = None if draft is None else draft.body
    if before != plan.before:
        plan = await _plan(before, plan.change, plan.flow_class)
    content = plan.after
    if draft is None:
        await transitions.start_draft(connection, principal, flow_id, content)
    elif content.body != draft.body:
        if content.digest != draft.digest:
            await flow_versions.keep_replaced(connection, principal.company_id, draft.id, plan.change.keep)
        await flow_versions.replace_draft(connection, principal, draft, content)
        await audit_events.record(
            connection, principal, "draft.change", ("version", draft.id), before=draft.digest, after=content.digest
        )


def _given(change: FlowChange) -> list[str]:
    asked = [name for name in ("name", "enabled", "description", "deploy") if getattr(change, name) is not None]
    asked += [field.name for field in fields(change.palette) if getattr(change.palette, field.name) is not None]
    asked += [field.name for field in fields(change.running) if getattr(change.running, field.name) is not None]
    asked += sorted(change.cleared)
    asked += change.develop.given.value if change.develop else ()
    return [*asked, "undeploy"] if change.undeploy else asked
