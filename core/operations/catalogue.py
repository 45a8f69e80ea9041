"""All flows of a company, whatever application they are in, with what of their versions shall come along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from core.domain.access import Principal
from core.domain.errors import NotFound
from core.domain.flows import Flow, Running
from core.domain.listings import Listing
from core.domain.templates import Template
from core.domain.versions import VersionView
from core.operations.flows import FLOW_UNKNOWN, create_flow
from core.operations.shown import Shown
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
    versions_count: bool = False
    versions_exist: bool = False

    @property
    def relates(self) -> bool:
        """Whether whole versions are wanted."""
        return self.versions or self.latest or self.deployed


NOTHING = Along()


@dataclass(frozen=True, slots=True)
class Entry:
    """A flow, and what came along: None or nothing where it was not asked for, or where there is none."""

    flow: Flow
    versions_count: int | None = None
    has_versions: bool | None = None
    versions: Sequence[VersionView] = ()
    latest: VersionView | None = None
    deployed: VersionView | None = None


@dataclass(slots=True)
class _Related:
    """The versions of one flow by the relation that they are asked for."""

    versions: list[VersionView] = field(default_factory=list)
    latest: list[VersionView] = field(default_factory=list)
    deployed: list[VersionView] = field(default_factory=list)


async def list_company_flows(
    principal: Principal, database: Database, listing: Listing, along: Along = NOTHING
) -> tuple[list[Entry], int]:
    """A page of the flows the caller can see, and how many there are in all: two statements, and a third for the count
    of what does not fit on the page."""
    async with database.connection() as connection:
        found, total = await flows.list_of_company(
            connection,
            principal.company_id,
            principal.application_id,
            listing,
            counted=along.versions_count,
            existing=along.versions_exist,
        )
        entries = [Entry(one.flow, one.versions_count, one.has_versions) for one in found]
        if not along.relates or not entries:
            return entries, total
        related = await _related(connection, principal, [entry.flow.id for entry in entries], along)
    return [_with(entry, related) for entry in entries], total


async def read_company_flow(principal: Principal, database: Database, flow_id: int, along: Along = NOTHING) -> Entry:
    """One flow the caller can see. Raises NotFound."""
    entries, _ = await list_company_flows(principal, database, Listing(1, 0, {"id": [flow_id]}), along)
    if not entries:
        raise NotFound(FLOW_UNKNOWN)
    return entries[0]


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


async def _related(
    connection: Connection, principal: Principal, flow_ids: Sequence[int], along: Along
) -> Mapping[int, _Related]:
    rows = await version_views.list_related(
        connection,
        principal.company_id,
        flow_ids,
        versions=MOST_RELATED if along.versions else 0,
        latest=along.latest,
        deployed=along.deployed,
    )
    related = {flow_id: _Related() for flow_id in flow_ids}
    for relation, view in rows:
        getattr(related[view.flow_id], relation).append(view)
    return related


def _with(entry: Entry, related: Mapping[int, _Related]) -> Entry:
    of_flow = related[entry.flow.id]
    return replace(
        entry,
        versions=of_flow.versions,
        latest=next(iter(of_flow.latest), None),
        deployed=next(iter(of_flow.deployed), None),
    )
