"""What dispatch asks touches the runs it is about, however many others were due at the same instant; and what Losant's
clients ask, those it answers with, however many others there were."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from core.store.database import Connection, Database
from core.store.queries import query
from core.store.runs import week_of
from tests.support.tenants import Tenant

MANY = 50_000
SOME = 100

AT = datetime.now(UTC)

IDS = list(range(1_000, 1_000 + SOME))

ASKED: dict[str, tuple[object, ...]] = {
    "dispatch.find_sendable": (1, IDS, AT, AT, 7, []),
    "dispatch.begin_tries": (1, IDS, AT, AT, 7),
    "dispatch.put_off_runs": (1, IDS, [1.0] * SOME, ["x"] * SOME, ["y"] * SOME, 7, AT, AT),
    "dispatch.mark_started": (1, IDS, [AT] * SOME, [1.0] * SOME, 7, AT, AT),
    "dispatch.keep_late_results": (1, IDS, ["{}"] * SOME, AT, AT),
    "dispatch.take_back": (1, IDS, AT, AT, 7),
    "dispatch.find_waiting": (SOME,),
    "dispatch.find_unreported": (SOME,),
    "runs.list_schedules_of": (IDS, AT, AT),
    "runs.lock_active": (IDS, AT, AT),
    "runs.end_runs": (IDS, ["failure"] * SOME, *[[None] * SOME] * 4, AT, AT),
    "runs.stage_runs": (IDS, [8] * SOME, [8], ["a" * 21], AT, AT),
    "starts.read_run": (1, IDS[0], None),
}


@pytest.fixture(params=["analysed", "fresh"])
async def burst(request: pytest.FixtureRequest, tenant: Tenant, database: Database) -> None:
    """Runs of one company, all due at one instant; the statistics may know of them or not."""
    async with database.connection() as connection:
        await connection.execute(
            """
            INSERT INTO runs (company_id, flow_id, flow_version_id, schedule_id, scheduled_for, trigger, status,
                              version_iteration, version_revision, digest, job_id)
            SELECT $1, 1, 1, n, $2, 'schedule', 'queued', 1, 1, '', 7 FROM generate_series(1, $3::integer) AS n
            """,
            tenant.company_id,
            AT,
            MANY,
        )
        if request.param == "analysed":
            await connection.execute("ANALYZE runs")


async def touched(
    connection: Connection, name: str, *, kind: str, asked: tuple[object, ...] | None = None
) -> tuple[int, str]:
    """The most rows a step of the plan produced or threw away, and the plan. `kind`: made for these arguments, or for
    any."""
    sql = re.sub(r"^--.*\n", "", query(name), flags=re.MULTILINE).rstrip("; \n")
    attempt = connection.transaction()
    await attempt.start()
    await connection.execute(f"SET LOCAL plan_cache_mode = force_{kind}_plan")
    rows = await connection.fetch(
        f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) {sql}", *(asked or ASKED[name])
    )
    await attempt.rollback()
    text = "\n".join(row[0] for row in rows)
    steps = re.findall(r"rows=([0-9.]+) loops=(\d+)", text)
    thrown = re.findall(r"Removed by (?:Filter|Join Filter|Index Recheck): (\d+)", text)
    return max([int(float(rows) * int(loops)) for rows, loops in steps] + [int(number) for number in thrown]), text


@pytest.mark.usefixtures("burst")
@pytest.mark.parametrize("kind", ["custom", "generic"])
async def test_a_turn_reads_its_own_runs(database: Database, kind: str) -> None:
    found = {}
    async with database.connection() as connection:
        for name in ASKED:
            number, text = await touched(connection, name, kind=kind)
            if number > 3 * SOME:
                found[name] = text
    assert not found, "\n\n".join(f"{name}\n{text}" for name, text in found.items())


SEEN = AT + timedelta(seconds=1)
LOSANTS: dict[str, tuple[object, ...]] = {
    "tallies.sum_runs": (1, 2, None, None, False, AT, SEEN, timedelta(hours=1)),
    "tallies.list_failed": (1, 1, None, None, False, AT, SEEN, SOME),
    "tallies.list_ended": (1, 1, None, None, False, AT, SOME),
    "tallies.list_error_lines": (1, IDS, [AT] * SOME, 10, 1_000),
}
"""Sums read what they sum: those of a flow with few runs. Of the other flow all have ended, and few have failed."""


@pytest.fixture
async def history(tenant: Tenant, database: Database) -> None:
    """Weeks of ended runs of one flow beside a few of another, with logs."""
    async with database.connection() as connection:
        await connection.execute("SELECT make_partition('runs', $1::date + 7, 7)", week_of(AT))
        await connection.execute(
            """
            INSERT INTO runs (company_id, flow_id, flow_version_id, schedule_id, scheduled_for, trigger, status,
                              version_name, version_iteration, version_revision, digest, started_at, finished_at)
            SELECT 1, CASE WHEN n % 500 = 0 THEN 2 ELSE 1 END, 1, n, $1::timestamptz - n * interval '20 seconds',
                   'schedule', CASE WHEN n % 500 = 1 THEN 'failure' ELSE 'success' END, 'v1', 1, 1, '', $1,
                   $1::timestamptz + n * interval '10 microseconds'
            FROM generate_series(1, $2::integer) AS n
            """,
            AT,
            MANY,
        )
        await connection.execute(
            """
            INSERT INTO run_logs (company_id, run_id, level, message, received_at)
            SELECT 1, n, 'error', 'x', $1 FROM generate_series(1, $2::integer) AS n
            """,
            AT,
            MANY,
        )
        await connection.execute("ANALYZE runs, run_logs")


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("kind", ["custom", "generic"])
async def test_what_losants_clients_ask_reads_what_it_is_about(database: Database, kind: str) -> None:
    """However many weeks there are, none is read beyond the rows that are answered or summed."""
    found = {}
    async with database.connection() as connection:
        for name, asked in LOSANTS.items():
            number, text = await touched(connection, name, kind=kind, asked=asked)
            if number > 3 * SOME:
                found[name] = text
        _, text = await touched(connection, "tallies.sum_runs", kind=kind, asked=LOSANTS["tallies.sum_runs"])
    assert not found, "\n\n".join(f"{name}\n{text}" for name, text in found.items())
    later = f"runs_{week_of(AT) + timedelta(days=7):%Y%m%d}"
    assert f"on {later}" not in text or "(never executed)" in text, (
        "a week that begins after the end is not looked into"
    )
