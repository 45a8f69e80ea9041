"""Two versions of a flow compared: what they are, and how their runs went."""

from __future__ import annotations

from datetime import datetime

from core.domain.access import Principal
from core.domain.comparison import Comparison, differ, put_to_test, range_of
from core.domain.errors import NotFound
from core.operations.metrics import read_summary
from core.operations.versions import VERSION_UNKNOWN
from core.store import comparisons, schedules
from core.store.database import Database
from core.threads import computed


async def compare_versions(
    principal: Principal,
    database: Database,
    flow_id: int,
    pair: tuple[int, int],
    since: datetime | None = None,
    until: datetime | None = None,
) -> Comparison:
    """What of the second version is other than in the first, Drafts included, and of its runs that ended in the range.

    Their contents and schedules are of one moment, the numbers of their runs some seconds old, and of whole periods.
    Raises NotFound unless both are versions of this flow, and Invalid for a range that ends before it begins.
    """
    async with database.connection() as connection:
        start, end = range_of(since, until, await schedules.read_clock(connection))
        found = await comparisons.read(connection, principal.company_id, flow_id, pair, principal.application_id)
        if any(version_id not in found for version_id in pair):
            raise NotFound(VERSION_UNKNOWN)
        asked = [(connection, principal.company_id, flow_id, version_id, start, end) for version_id in pair]
        runs = await read_summary(*asked[0]), await read_summary(*asked[1])
    one, other = found[pair[0]], found[pair[1]]
    differences, patch = await computed(len(one.body) + len(other.body), lambda: differ(one, other))
    return Comparison(flow_id, (one, other), differences, patch, runs, *put_to_test(runs))


async def find_place(database: Database, version_id: int) -> tuple[int, int] | None:
    """Company and flow of a version of anybody's, for the command line."""
    async with database.connection() as connection:
        return await comparisons.find_place(connection, version_id)
