"""All flows of a company, whatever application they are in, with what of their versions shall come along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from core.domain.access import Principal, Visitor
from core.domain.errors import NotFound
from core.domain.flows import Running
from core.domain.listings import Listing
from core.domain.templates import Template
from core.operations.access import settle
from core.operations.flows import FLOW_UNKNOWN, create_flow
from core.operations.shown import Page, Shown
from core.store import applications, flows, version_views
from core.store.database import Connection, Database

MOST_RELATED = 100
"""Versions that come along with a flow, the newest: as many as the largest page of them. A flow can have a million."""

CLASS = "cloud"
"""What a flow is to Losant that says nothing of its class."""


@dataclass(frozen=True, slots=True)
class Along:
    """What of their versions comes along with flows."""

    versions: bool = False
    latest: bool = False
    deployed: bool = False
    counted: bool = False
    existing: bool = False
    """Whether there are any, and whether one is deployed."""


@dataclass(slots=True)
class Related:
    """What of its versions came along with a flow; empty, or None, where it was not asked for or there is none."""

    versions: list[bytes] = field(default_factory=list)
    latest: list[bytes] = field(default_factory=list)
    deployed: list[bytes] = field(default_factory=list)
    """One at most, like `latest`."""
    count: int | None = None
    exists: bool | None = None
    is_deployed: bool | None = None


async def show_company_flow(visitor: Visitor, database: Database, flow_id: int, template: Template) -> Shown:
    """One flow the caller can see. Raises what `settle` raises, and NotFound."""
    async with database.connection() as connection:
        row = await flows.show_of_company(connection, visitor, flow_id, template)
    settle(visitor, row)
    if row is None or row["revision"] is None:
        raise NotFound(FLOW_UNKNOWN)
    return Shown.of(row)


async def show_company_flows(visitor: Visitor, database: Database, listing: Listing, template: Template) -> Page:
    """A page of the flows the caller can see. Raises what `settle` raises."""
    async with database.connection() as connection:
        row = await flows.show_page_of_company(connection, visitor, listing, template)
    settle(visitor, row)
    return Page.of(row)


async def show_related(
    principal: Principal, database: Database, flow_ids: Sequence[int], along: Along, template: Template
) -> Mapping[int, Related]:
    """What is to come along with each of these flows of the caller's company: at most two statements for all of them.

    Versions are in the words of the template.
    """
    related = {flow_id: Related() for flow_id in flow_ids}
    async with database.connection() as connection:
        if along.versions or along.latest or along.deployed:
            await _add_versions(connection, principal, related, along, template)
        if along.counted or along.existing:
            await _add_counts(connection, principal, related, along)
    return related


async def create_company_flow(
    principal: Principal,
    database: Database,
    *,
    name: str,
    description: str | None,
    enabled: bool,
    running: Running,
    template: Template,
) -> Shown:
    """Makes a flow without any version, in the caller's application or else in the company's default one."""
    application_id = principal.application_id
    if application_id is None:
        async with database.connection() as connection:
            application_id = await applications.find_default(connection, principal.company_id)
    assert application_id is not None, "every company is born with an application"
    return await create_flow(
        principal,
        database,
        application_id,
        name=name,
        description=description,
        flow_class=CLASS,
        enabled=enabled,
        running=running,
        template=template,
    )


async def _add_versions(
    connection: Connection, principal: Principal, related: Mapping[int, Related], along: Along, template: Template
) -> None:
    rows = await version_views.show_related(
        connection,
        principal.company_id,
        [*related],
        template,
        versions=MOST_RELATED if along.versions else 0,
        latest=along.latest,
        deployed=along.deployed,
    )
    for row in rows:
        getattr(related[row["flow_id"]], row["relation"]).append(row["shown"])


async def _add_counts(
    connection: Connection, principal: Principal, related: Mapping[int, Related], along: Along
) -> None:
    rows = await version_views.count_related(connection, principal.company_id, [*related], counted=along.counted)
    for row in rows:
        of_flow = related[row["flow_id"]]
        of_flow.count, of_flow.exists, of_flow.is_deployed = row["versions"], row["has_versions"], row["has_deployed"]
