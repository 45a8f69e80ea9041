"""A run that ends while somebody else is at its row, in a ledger that has grown: whoever waited sees it as it is then.

What tests/store/test_run_waits.py asks of each statement, by what a caller sees of it. The plans are those of the API,
which are made for any arguments.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from core.domain.dispatch import Report
from core.domain.runs import Run
from core.operations import starts
from core.settings import Settings
from core.store.database import Connection, Database, open_database
from tests.support.fires import fire_all, make_live
from tests.support.runs import new_id, read_run
from tests.support.tenants import Tenant
from tests.support.waiting import until

pytestmark = pytest.mark.leaves_jobs

GROWN = 30_000


@pytest.fixture
async def run_id(tenant: Tenant, database: Database) -> int:
    """One that was sent and is queued still."""
    live = await make_live(tenant)
    await live.fall_behind(timedelta())
    await fire_all(database)
    async with database.connection() as connection:
        await connection.execute(
            """
            INSERT INTO runs (company_id, flow_id, flow_version_id, schedule_id, scheduled_for, trigger, status,
                              version_iteration, version_revision, digest, finished_at)
            SELECT $1, 1, 1, n, clock_timestamp(), 'schedule', 'success', 1, 1, '', clock_timestamp()
            FROM generate_series(1000, 1000 + $2::integer) AS n
            """,
            tenant.company_id,
            GROWN,
        )
        await connection.execute("ANALYZE runs")
        sent: int = await connection.fetchval(
            "UPDATE runs SET attempts = 1, dispatched_at = clock_timestamp() WHERE schedule_id = $1 RETURNING id",
            live.schedule.id,
        )
    return sent


@pytest.mark.parametrize("said", ["reported", "stopped"])
async def test_who_waited_for_the_mark_of_its_start_ends_it(
    tenant: Tenant, database: Database, settings: Settings, run_id: int, said: str
) -> None:
    async with open_database(settings, role="api", size=1, plan_once=True) as api, database.connection() as worker:

        async def end() -> Run:
            if said == "reported":
                return await starts.report_run(tenant.principal, api, run_id, Report())
            return await starts.stop_run(tenant.principal, api, run_id, new_id=new_id)

        async with worker.transaction():
            await worker.execute(
                "UPDATE runs SET status = 'started', started_at = clock_timestamp() WHERE id = $1", run_id
            )
            ending = asyncio.create_task(end())
            await until(lambda: somebody_waits(worker), "the other comes to the row")
        ended = await ending
    assert ended.status == ("success" if said == "reported" else "stopped")
    assert (await read_run(tenant, run_id))["finished_at"] is not None


async def somebody_waits(connection: Connection) -> bool:
    waiting = await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    )
    return bool(waiting)
