"""Versions as they are compared: one typed function per query."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from core.domain.comparison import Compared
from core.domain.versions import VersionStatus
from core.store.database import Connection
from core.store.queries import query
from core.store.rows import build

_READ = query("comparisons.read_versions")
_FIND_PLACE = query("comparisons.find_place")


async def read(
    connection: Connection, company_id: int, flow_id: int, version_ids: Sequence[int], application_id: int | None
) -> dict[int, Compared]:
    """Those versions of a flow that there are, by id, in any application where that is None; all of one moment."""
    rows = await connection.fetch(_READ, company_id, flow_id, version_ids, application_id)
    found = (
        build(
            Compared,
            row,
            status=VersionStatus(row["status"]),
            schedules=orjson.loads(row["schedules"]) if row["schedules"] else [],
        )
        for row in rows
    )
    return {version.id: version for version in found}


async def find_place(connection: Connection, version_id: int) -> tuple[int, int] | None:
    """Company and flow of a version of anybody's."""
    row = await connection.fetchrow(_FIND_PLACE, version_id)
    return (row["company_id"], row["flow_id"]) if row else None
