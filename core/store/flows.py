"""Flows: one typed function per query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from core.domain.access import Claim, Principal, Visitor
from core.domain.flows import (
    USUAL_PRIORITY,
    USUAL_RUN_SECONDS,
    Flow,
    FlowChange,
    PaletteEntry,
    Running,
    constants_of,
)
from core.domain.listings import Listing
from core.domain.query import Selection
from core.domain.templates import Template
from core.domain.versions import fold
from core.store.database import Connection
from core.store.listings import FLOWS as SHELF
from core.store.listings import listed_by
from core.store.lists import Order, page_of
from core.store.predicates import compile_query, widen_to_versions
from core.store.queries import query
from core.store.rows import build
from core.store.subjects import FLOWS
from core.store.templates import showing

_CREATE = query("flows.create_flow")
_READ = query("flows.read_flow")
_READ_WITH_DEVELOP = query("flows.read_flow_with_develop")
_SHOW = query("flows.show_flow")
_SHOW_CHANGED = query("flows.show_changed_flow")
_SHOW_PAGE = query("flows.show_flows")
_READ_CONSTANTS = query("flows.read_constants")
_FIND_APPLICATION = query("flows.find_application")
_LOCK = query("flows.lock_flow")
_LOCK_FOR_JOB = query("flows.lock_flow_of_job")
_UPDATE = query("flows.update_flow")
_TOUCH = query("flows.touch_flow")
_HIDE = query("flows.hide_flow")
_MOVE = query("flows.move_flow_to_trash")
_RESTORE = query("flows.restore_flow_of_job")
_SHOW_OF_COMPANY = query("flows.show_company_flow")
_SHOW_PAGE_OF_COMPANY = query("flows.show_company_flows")
_IS_VISIBLE = query("flows.is_visible")
_LOCK_OF_COMPANY = query("flows.lock_flow_of_company")

COLUMNS = {
    "id": "f.id",
    "application_id": "f.application_id",
    "name": "f.name",
    "description": "f.description",
    "flow_class": "f.flow_class",
    "enabled": "f.enabled",
    "created_at": "f.created_at",
    "created_by_type": "f.created_by_type",
    "created_by_id": "f.created_by_id",
    "updated_at": "f.updated_at",
    "updated_by_type": "f.updated_by_type",
    "updated_by_id": "f.updated_by_id",
    "short_description": "f.short_description",
    "icon_data": "f.icon_data",
    "docs_url": "f.docs_url",
    "category": "f.category",
    "custom_node_supports": "f.custom_node_supports",
    "runner_url": "f.runner_url",
    "flow_priority": "f.flow_priority",
    "run_timeout_seconds": "f.run_timeout_seconds",
    "revision": "f.revision",
    "deployed_version_id": "d.id",
    "develop": "v.body",
}
"""What a dialect's template of a flow can show: its word and our column."""

_showing = showing(COLUMNS)


@dataclass(frozen=True, slots=True)
class LockedFlow:
    """A flow that this transaction holds."""

    id: int
    application_id: int
    name: str
    flow_class: str
    custom_node_supports: Sequence[str] | None
    revision: int

    @property
    def constants(self) -> dict[str, str | None]:
        """What a query on versions may ask that is the same for all versions of one flow."""
        return constants_of(self.name, self.flow_class, self.custom_node_supports)


async def create(
    connection: Connection,
    principal: Principal,
    application_id: int,
    *,
    name: str,
    description: str | None,
    flow_class: str,
    enabled: bool,
    palette: PaletteEntry,
    custom_node_supports: Sequence[str] | None,
    running: Running,
) -> int:
    """Returns the id of the new flow."""
    flow_id: int = await connection.fetchval(
        _CREATE,
        principal.company_id,
        application_id,
        name,
        description,
        flow_class,
        enabled,
        principal.actor_type,
        principal.actor_id,
        palette.short_description,
        palette.icon_data,
        palette.docs_url,
        palette.category,
        custom_node_supports,
        fold(name),
        running.runner_url,
        running.flow_priority or USUAL_PRIORITY,
        running.run_timeout_seconds or USUAL_RUN_SECONDS,
    )
    return flow_id


async def read(connection: Connection, company_id: int, application_id: int | None, flow_id: int) -> Flow | None:
    """One flow without its develop content; of any application where that is None."""
    row = await connection.fetchrow(_READ, company_id, application_id, flow_id)
    return build(Flow, row, develop=None) if row else None


async def read_with_develop(
    connection: Connection, company_id: int, application_id: int | None, flow_id: int
) -> Flow | None:
    row = await connection.fetchrow(_READ_WITH_DEVELOP, company_id, application_id, flow_id)
    return build(Flow, row) if row else None


async def read_constants(connection: Connection, claim: Claim, flow_id: int) -> dict[str, str | None]:
    """What is the same for all versions of a flow; empty if the token sees no such flow."""
    row = await connection.fetchrow(_READ_CONSTANTS, claim.digest, flow_id)
    return constants_of(row["name"], row["flow_class"], row["custom_node_supports"]) if row else {}


async def show(connection: Connection, claim: Claim, flow_id: int, template: Template) -> asyncpg.Record | None:
    """application_id and scopes, for admission; then id and revision, which are null if there is no such flow, and
    shown. None if the token opens nothing.
    """
    return await connection.fetchrow(_showing(_SHOW, template), claim.digest, flow_id)


async def show_changed(connection: Connection, company_id: int, flow_id: int, template: Template) -> asyncpg.Record:
    """id, revision and shown of a flow, after a change by this transaction."""
    return await connection.fetchrow(_showing(_SHOW_CHANGED, template), company_id, flow_id)


async def show_page(
    connection: Connection,
    claim: Claim,
    selection: Selection,
    order: Order,
    template: Template,
    *,
    all_versions: bool = False,
) -> asyncpg.Record | None:
    """A page of the selected flows: application_id and scopes, for admission; then items (JSON in UTF-8, joined by
    commas), ids (in this order; null for none) and total. None if the token opens nothing.

    With `all_versions` a flow is selected, too, if it would be with the content of one of its versions.
    """
    predicate = compile_query(selection, first=5, subject=FLOWS)
    if all_versions and predicate.joined:
        widen_to_versions(predicate)
    return await connection.fetchrow(
        page_of(_showing(_SHOW_PAGE, template), predicate, order),
        claim.digest,
        claim.application_id,
        order.limit,
        order.offset,
        *predicate.parameters,
    )


async def show_of_company(
    connection: Connection, visitor: Visitor, flow_id: int, template: Template
) -> asyncpg.Record | None:
    """Who asks, to settle; then id and revision, which are null if there is no such flow to be seen, and shown. None
    for a caller who is nobody.
    """
    return await connection.fetchrow(_showing(_SHOW_OF_COMPANY, template), *visitor.shown, flow_id)


async def show_page_of_company(
    connection: Connection, visitor: Visitor, listing: Listing, template: Template
) -> asyncpg.Record | None:
    """A page of the flows the caller can see: who asks, to settle; then items (JSON in UTF-8, joined by commas), ids
    (in this order; null for none) and total. None for a caller who is nobody.
    """
    statement, values = listed_by(_showing(_SHOW_PAGE_OF_COMPANY, template), SHELF, listing, first=7)
    return await connection.fetchrow(statement, *visitor.shown, listing.limit, listing.offset, *values)


async def has_application(connection: Connection, company_id: int, application_id: int) -> bool:
    return await connection.fetchval(_FIND_APPLICATION, company_id, application_id) is not None


async def lock(connection: Connection, company_id: int, application_id: int | None, flow_id: int) -> LockedFlow | None:
    """Holds the flow until the transaction ends; None if the caller has no such flow. In any application where that is
    None."""
    row = await connection.fetchrow(_LOCK, company_id, application_id, flow_id)
    return build(LockedFlow, row) if row else None


async def lock_for_job(connection: Connection, company_id: int, flow_id: int) -> None:
    """The same for a job's batch, also when the flow is hidden by its removal."""
    await connection.fetchval(_LOCK_FOR_JOB, company_id, flow_id)


async def update(connection: Connection, principal: Principal, flow_id: int, change: FlowChange) -> None:
    await connection.fetchval(
        _UPDATE,
        principal.company_id,
        flow_id,
        change.name,
        change.enabled,
        change.description,
        principal.actor_type,
        principal.actor_id,
        change.palette.short_description,
        change.palette.icon_data,
        change.palette.docs_url,
        change.palette.category,
        None if change.name is None else fold(change.name),
        list(change.cleared),
        change.running.runner_url,
        change.running.flow_priority,
        change.running.run_timeout_seconds,
    )


async def touch(connection: Connection, principal: Principal, flow_id: int) -> None:
    """Raises the revision of a locked flow, for a change of what is read with it."""
    await connection.execute(_TOUCH, principal.company_id, flow_id, principal.actor_type, principal.actor_id)


async def hide(connection: Connection, company_id: int, flow_id: int) -> None:
    await connection.execute(_HIDE, company_id, flow_id)


async def lock_of_company(
    connection: Connection, company_id: int, flow_id: int, application_id: int | None
) -> LockedFlow | None:
    """Holds a flow that an address names without its application; of any application where that is None."""
    row = await connection.fetchrow(_LOCK_OF_COMPANY, company_id, flow_id, application_id)
    return build(LockedFlow, row) if row else None


async def is_visible(connection: Connection, company_id: int, flow_id: int, application_id: int | None) -> bool:
    """Whether there is such a flow to be seen; in any application where that is None."""
    visible: bool = await connection.fetchval(_IS_VISIBLE, company_id, flow_id, application_id)
    return visible


async def move_to_trash(connection: Connection, company_id: int, flow_id: int, job_id: int) -> None:
    await connection.execute(_MOVE, company_id, flow_id, job_id)


async def restore_of_job(connection: Connection, job_id: int) -> None:
    """Brings a removed flow back, empty; nothing happens if it is back already."""
    await connection.execute(_RESTORE, job_id)
