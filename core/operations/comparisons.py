"""Two versions of a flow compared: what they are, and how their runs went."""

from __future__ import annotations

from datetime import datetime

from core.domain.access import ActorType, Need, Principal, admits
from core.domain.comparison import Comparison, differ, put_to_test, range_of
from core.domain.errors import NotFound
from core.operations.metrics import read_summary
from core.operations.versions import VERSION_UNKNOWN
from core.store import comparisons, schedules
from core.store.database import Database
from core.threads import computed

STATISTICS = Need("flowVersion.stats", reads=True)
"""What a token needs to read the metrics of versions."""


async def compare_versions(
    principal: Principal,
    database: Database,
    flow_id: int,
    pair: tuple[int, int],
    since: datetime | None = None,
    until: datetime | None = None,
) -> Comparison:
    """What of the second version is other than in the first, Drafts included, and of its runs that ended in the range.

    Their contents and schedules are of one moment, the numbers of their runs some seconds old, and of whole periods; a
    token that may not read those of a version gets none.
    Raises NotFound unless both are versions of this flow, and Invalid for a range that ends before it begins.
    """
    async with database.connection() as connection:
        start, end = range_of(since, until, await schedules.read_clock(connection))
        found = await comparisons.read(connection, principal.company_id, flow_id, pair, principal.application_id)
        if any(version_id not in found for version_id in pair):
            raise NotFound(VERSION_UNKNOWN)
        summaries = [
            await read_summary(connection, principal.company_id, flow_id, version_id, start, end)
            for version_id in (pair if _may_read_runs(principal) else ())
        ]
    one, other = found[pair[0]], found[pair[1]]
    differences, patch = await computed(len(one.body) + len(other.body), lambda: differ(one, other))
    return Comparison(flow_id, (one, other), differences, patch, put_to_test(*summaries) if summaries else None)


def _may_read_runs(principal: Principal) -> bool:
    return principal.actor_type is not ActorType.API_TOKEN or admits(principal.scopes, STATISTICS)


async def find_place(database: Database, version_id: int) -> tuple[int, int] | None:
    """Company and flow of a version of anybody's, for the command line."""
    async with database.connection() as connection:
        return await comparisons.find_place(connection, version_id)
