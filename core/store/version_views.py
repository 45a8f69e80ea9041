"""Versions without their content, as lists and answers show them."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from core.domain.access import Visitor
from core.domain.listings import Listing
from core.domain.templates import Template
from core.store.database import Connection
from core.store.flow_versions import showing_version
from core.store.listings import VERSIONS, listed_by
from core.store.queries import query

_SHOW = query("flow_versions.show_flow_version")
_SHOW_PAGE = query("flow_versions.show_flow_versions")
_SHOW_RELATED = query("flow_versions.show_related")
_COUNT_RELATED = query("flow_versions.count_related")


async def show(
    connection: Connection, visitor: Visitor, flow_id: int, version_id: int, template: Template
) -> asyncpg.Record | None:
    """Who asks, to settle; then id and revision, which are null if there is no such version to be seen, and shown. None
    for a caller who is nobody.
    """
    return await connection.fetchrow(showing_version(_SHOW, template), *visitor.shown, flow_id, version_id)


async def show_page(
    connection: Connection, visitor: Visitor, flow_id: int, listing: Listing, template: Template
) -> asyncpg.Record | None:
    """A page of a flow's versions, the Draft among them: who asks, to settle; then found, which is null if there is no
    such flow to be seen, items (JSON in UTF-8, joined by commas), ids (in this order; null for none) and total. None
    for a caller who is nobody.
    """
    statement, values = listed_by(showing_version(_SHOW_PAGE, template), VERSIONS, listing, first=8)
    return await connection.fetchrow(statement, *visitor.shown, flow_id, listing.limit, listing.offset, *values)


async def show_related(
    connection: Connection,
    company_id: int,
    flow_ids: Sequence[int],
    template: Template,
    *,
    versions: int,
    latest: bool,
    deployed: bool,
) -> list[asyncpg.Record]:
    """Each flow's newest versions, up to so many, its latest and its deployed one, those that are wanted: flow_id,
    relation (`versions`, `latest` or `deployed`) and shown, the newest of a flow first."""
    statement = showing_version(_SHOW_RELATED, template)
    rows: list[asyncpg.Record] = await connection.fetch(
        statement, company_id, flow_ids, versions, int(latest), deployed
    )
    return rows


async def count_related(
    connection: Connection, company_id: int, flow_ids: Sequence[int], *, counted: bool
) -> list[asyncpg.Record]:
    """Of each flow: flow_id, versions (how many; null unless `counted`), has_versions and has_deployed."""
    rows: list[asyncpg.Record] = await connection.fetch(_COUNT_RELATED, company_id, flow_ids, counted)
    return rows
