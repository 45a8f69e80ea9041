"""What can be asked of version metrics. They are what the roll-up has folded: a few seconds behind the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from core.domain.access import Principal
from core.domain.errors import Invalid, NotFound
from core.domain.listings import Listing
from core.domain.metrics import Interval, Metric, MetricType, Summary, Window, interval_for
from core.operations.flows import FLOW_UNKNOWN
from core.store import flows, schedules, version_metrics
from core.store.database import Connection, Database, plan_in_order


@dataclass(frozen=True, slots=True)
class Range:
    """Which periods are wanted: those that reach into [start, end). Where `end` is left out it is now, where `start`
    is, as long before as is usual for the shortest interval."""

    start: datetime | None = None
    end: datetime | None = None
    intervals: Sequence[Interval] = field(default=tuple(Interval))


async def list_metrics(
    principal: Principal, database: Database, flow_id: int, asked: Range, listing: Listing
) -> tuple[list[Metric], int]:
    """A page of a flow's numbers, by type and then the oldest period first unless sorted otherwise, and how many there
    are, those of up to 100,000 rows. Raises NotFound for the flow, and Invalid for a range that ends before it begins
    or is too long."""

    async def work(connection: Connection) -> tuple[list[Metric], int]:
        if not await flows.is_visible(connection, principal.company_id, flow_id, principal.application_id):
            raise NotFound(FLOW_UNKNOWN)
        windows = _windows_of(asked, asked.end or await schedules.read_clock(connection))
        await plan_in_order(connection)
        return await version_metrics.list_page(connection, principal.company_id, flow_id, windows, listing)

    return await database.transaction(work)


def _windows_of(asked: Range, end: datetime) -> list[Window]:
    """The periods of each interval, which all begin and end with whole ones."""
    shortest = min(asked.intervals, key=lambda interval: interval.seconds)
    start = asked.start or end - min(shortest.usual, end - _FIRST)
    if asked.end is None:
        end = max(start, end)
    if start > end:
        raise Invalid("must not be later than filter[to]", "filter[from]")
    if end - start > shortest.longest:
        raise Invalid(
            f"must be at most {shortest.longest.days} days before filter[to] for the interval {shortest}",
            "filter[from]",
        )
    return [Window(interval, interval.floor(start), end) for interval in dict.fromkeys(asked.intervals)]


_FIRST = datetime.min.replace(tzinfo=UTC)


async def read_summary(
    connection: Connection, company_id: int, flow_id: int, version_id: int, start: datetime, end: datetime
) -> Summary:
    """The numbers of one version over the periods that reach into [start, end), added up: none at all of a version that
    never ran. Which interval's periods those are depends on how long ago `start` is, as they are kept for so long.

    The caller has seen that the flow may be read. It has the runs that had ended some seconds ago.
    """
    interval = interval_for(start, await schedules.read_clock(connection))
    window = Window(interval, interval.floor(start), end)
    whole = await version_metrics.read_version(connection, company_id, flow_id, version_id, window)
    return Summary(
        interval,
        window.since,
        interval.ceiling(end),
        dict(whole.counts),
        whole.of(MetricType.DURATION),
        whole.of(MetricType.LATENESS),
        whole.of(MetricType.PAYLOAD),
        {name: found for (kind, name), found in whole.distributions.items() if kind is MetricType.CUSTOM},
    )
