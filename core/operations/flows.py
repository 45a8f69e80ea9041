"""What a caller can ask of flows. Each function is one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from asyncpg import Record

from core.domain.access import Claim, Principal
from core.domain.contents import DevelopChange, changed_content
from core.domain.errors import Invalid, NotFound
from core.domain.etags import ANY, Etag
from core.domain.flow_classes import CUSTOM_NODE
from core.domain.flows import AS_USUAL, UNSAID, Flow, FlowChange, PaletteEntry, Running
from core.domain.query import Selection
from core.domain.templates import Template
from core.domain.versions import Content
from core.operations import transitions
from core.operations.access import APPLICATION_UNKNOWN, admit
from core.operations.firing import accounted
from core.operations.lists import listed
from core.operations.shown import Page, Shown
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
    template: Template,
    palette: PaletteEntry = UNSAID,
    custom_node_supports: Sequence[str] | None = None,
    develop: DevelopChange | None = None,
    running: Running = AS_USUAL,
) -> Shown:
    """Makes a flow without any version but the Draft that `develop` becomes.

    Raises NotFound when the application is not the caller's, and Invalid for a content that a flow of this class
    cannot have.
    """
    plan = None if develop is None else await _plan(None, develop, flow_class)

    async def work(connection: Connection) -> Shown:
        if not await store.has_application(connection, principal.company_id, application_id):
            raise NotFound(APPLICATION_UNKNOWN)
        flow_id = await store.create(
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
        await audit_events.record(connection, principal, "flow.create", ("flow", flow_id), details={"name": name})
        if plan is not None:
            await _develop(connection, principal, flow_id, plan)
        return Shown.of(await store.show_changed(connection, principal.company_id, flow_id, template))

    return await database.transaction(work)


async def show_flow(claim: Claim, database: Database, flow_id: int, template: Template) -> Shown:
    """One flow with its develop content. Raises what `admit` raises, and NotFound."""
    async with database.connection() as connection:
        row = await store.show(connection, claim, flow_id, template)
    row = admit(claim, row)
    if row["revision"] is None:
        raise NotFound(FLOW_UNKNOWN)
    return Shown.of(row)


async def has_flow(principal: Principal, database: Database, application_id: int, flow_id: int) -> bool:
    """Whether there is such a flow, neither removed nor being removed."""
    async with database.connection() as connection:
        return await store.is_visible(connection, principal.company_id, flow_id, application_id)


async def show_flows(
    claim: Claim,
    database: Database,
    selection: Selection,
    order: Order,
    template: Template,
    *,
    all_versions: bool = False,
) -> Page:
    """A page of an application's selected flows. Raises what `admit` raises.

    With `all_versions` a flow is selected, too, if it would be with the content of one of its versions.
    """

    async def work(connection: Connection) -> Record | None:
        return await store.show_page(connection, claim, selection, order, template, all_versions=all_versions)

    return Page.of(admit(claim, await listed(database, selection, work)))


async def change_flow(
    principal: Principal,
    database: Database,
    application_id: int | None,
    flow_id: int,
    change: FlowChange,
    template: Template,
    *,
    etag: Etag = ANY,
) -> Shown:
    """Changes what is given of the flow and of its develop content, and deploys or undeploys; all of it or nothing.

    Of any application where that is None. Deploying makes the old deployed version inactive. Raises NotFound for the
    flow, and for a version to deploy that this flow does not have; Invalid for what a flow of this class cannot have;
    PreconditionFailed when the flow is not the one the caller has seen.
    """
    plan = None
    if change.develop is not None:
        seen = await _read(principal, database, application_id, flow_id)
        plan = await _plan(seen.develop, change.develop, seen.flow_class)

    async def work(connection: Connection) -> Shown:
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
        if change.enabled is None:
            await store.update(connection, principal, flow_id, change)
        else:
            async with accounted(connection, principal.company_id, flow_id):
                await store.update(connection, principal, flow_id, change)
        await audit_events.record(
            connection, principal, "flow.change", ("flow", flow_id), details={"given": _given(change)}
        )
        return Shown.of(await store.show_changed(connection, principal.company_id, flow_id, template))

    return await database.transaction(work)


async def _read(principal: Principal, database: Database, application_id: int | None, flow_id: int) -> Flow:
    """A flow with its develop content. Raises NotFound."""
    async with database.connection() as connection:
        flow = await store.read_with_develop(connection, principal.company_id, application_id, flow_id)
    if flow is None:
        raise NotFound(FLOW_UNKNOWN)
    return flow


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
