"""Versions without their content, as lists and answers show them, and the deploys that wait for their instant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from core.domain.listings import Listing
from core.domain.versions import VersionStatus, VersionView
from core.store.database import Connection
from core.store.listings import VERSIONS, listed_by, total_of
from core.store.queries import query
from core.store.rows import build

_READ = query("flow_versions.read_view")
_LIST = query("flow_versions.list_views")
_COUNT = query("flow_versions.count_views")
_LIST_RELATED = query("flow_versions.list_related")
_LIST_DUE = query("flow_versions.list_due")
_NEXT_DUE_IN = query("flow_versions.next_due_in")


@dataclass(frozen=True, slots=True)
class Due:
    """A deploy whose instant, `deploy_at`, has come."""

    company_id: int
    flow_id: int
    version_id: int
    deploy_at: datetime


async def read(
    connection: Connection, company_id: int, flow_id: int, version_id: int, application_id: int | None
) -> VersionView | None:
    """One version of a flow; of any application where that is None."""
    row = await connection.fetchrow(_READ, company_id, flow_id, version_id, application_id)
    return view_of(row) if row else None


async def list_page(
    connection: Connection, company_id: int, flow_id: int, application_id: int | None, listing: Listing
) -> tuple[list[VersionView], int]:
    """A page of a flow's versions, the Draft among them, and how many there are in all."""
    at = (company_id, flow_id, application_id)
    statement, values = listed_by(_LIST, VERSIONS, listing, first=6)
    rows = await connection.fetch(statement, *at, listing.limit, listing.offset, *values)
    total = await total_of(connection, _COUNT, VERSIONS, listing, at, len(rows))
    return [view_of(row) for row in rows], total


async def list_related(
    connection: Connection, company_id: int, flow_ids: Sequence[int], *, versions: int, latest: bool, deployed: bool
) -> list[tuple[str, VersionView]]:
    """Each flow's newest versions, up to so many, its latest and its deployed one, those that are wanted: pairs of
    `versions`, `latest` or `deployed` and the version, the newest of a flow first."""
    rows = await connection.fetch(_LIST_RELATED, company_id, flow_ids, versions, int(latest), deployed)
    return [(row["relation"], view_of(row)) for row in rows]


async def list_due(connection: Connection, limit: int) -> list[Due]:
    """Deploys of any company whose instant has come, the earliest first."""
    return [build(Due, row) for row in await connection.fetch(_LIST_DUE, limit)]


async def next_due_in(connection: Connection) -> float | None:
    """Seconds until the next pending deploy is due; None if there is none."""
    seconds: float | None = await connection.fetchval(_NEXT_DUE_IN)
    return seconds


def view_of(row: asyncpg.Record) -> VersionView:
    return build(VersionView, row, status=VersionStatus(row["status"]))
