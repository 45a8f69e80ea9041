"""Lists of runs, narrowed and sorted as the Patchworks dialect asks."""

from __future__ import annotations

from asyncpg import Record

from core.domain.listings import Listing
from core.domain.runs import Run, RunStatus, Trigger
from core.store.database import Connection
from core.store.listings import Filter, Shelf, Sort, listed_by
from core.store.queries import query
from core.store.rows import build

_LIST = query("run_lists.list_runs")
_COUNT = query("run_lists.count_runs")
_LIST_RECENT = query("run_lists.list_recent")

MOST_COUNTED = 100_000
"""Runs that are counted for a page: some 50 ms. Whoever looks for older ones narrows the list by time."""

RUNS = Shelf(
    {
        "status": Filter("r.status = ANY ({}::text[])"),
        "flow_id": Filter("r.flow_id = ANY ({}::bigint[])"),
        "flow_version_id": Filter("r.flow_version_id = ANY ({}::bigint[])"),
        "schedule_id": Filter("r.schedule_id = ANY ({}::bigint[])"),
        "trigger": Filter("r.trigger = ANY ({}::text[])"),
        "started_after": Filter("r.started_at > ANY ({}::timestamptz[])"),
        "started_before": Filter("r.started_at < ANY ({}::timestamptz[])"),
    },
    {
        "started_at": Sort("r.started_at", nullable=True),
        "finished_at": Sort("r.finished_at", nullable=True),
        "scheduled_for": Sort("r.scheduled_for"),
        "id": Sort("r.id"),
    },
    order=(Sort("r.scheduled_for DESC, r.id"), True),  # the index's own order, walked from its end
)


async def list_page(
    connection: Connection, company_id: int, application_id: int | None, listing: Listing
) -> tuple[list[Run], int]:
    """A page, and how many there are, up to MOST_COUNTED; of any application where that is None."""
    statement, values = listed_by(_LIST, RUNS, listing, first=5)
    rows = await connection.fetch(statement, company_id, application_id, listing.limit, listing.offset, *values)
    found = [
        build(Run, row, status=RunStatus(row["status"]), trigger=Trigger(row["trigger"]), result=None, late_result=None)
        for row in rows
    ]
    if len(rows) < listing.limit and (rows or not listing.offset):
        return found, listing.offset + len(rows)
    statement, values = listed_by(_COUNT, RUNS, listing, first=4)
    total: int = await connection.fetchval(statement, company_id, application_id, MOST_COUNTED, *values)
    return found, total


async def list_recent(connection: Connection, limit: int) -> list[Record]:
    """The newest runs of all companies, the newest first."""
    rows: list[Record] = await connection.fetch(_LIST_RECENT, limit)
    return rows
