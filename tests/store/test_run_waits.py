"""A statement that has to wait for a run goes on with it as it is then, whichever plan it has.

PostgreSQL 18 forgets such a row where a plan rules partitions out twice, for the parameters and again for each row of a
join. A report that met the turn which noted that its run was accepted was lost this way.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from core.settings import Settings
from core.store.database import Connection, Database, open_database
from core.store.queries import queries_of, query, tables
from tests.support.tenants import Tenant
from tests.support.waiting import until

AT = datetime.now(UTC)
IDS = [1, 2, 3]
MANY = 30_000
COMPANY, JOB = 1, 7
PUBLIC_IDS = [letter * 21 for letter in "abc"]

QUEUED = "status = 'queued', finished_at = NULL, buffered = false, job_id = 7"
BUFFERED = "status = 'queued', finished_at = NULL, buffered = true"
ENDED = "status = 'success', finished_at = clock_timestamp(), buffered = false"
MISSED = "status = 'missed', finished_at = clock_timestamp(), buffered = false"

CASES: dict[str, tuple[str, tuple[object, ...]]] = {
    "dispatch.begin_tries": (QUEUED, (COMPANY, IDS, AT, AT, JOB)),
    "dispatch.put_off_runs": (QUEUED, (COMPANY, IDS, [1.0] * 3, ["x"] * 3, ["y"] * 3, JOB, AT, AT)),
    "dispatch.mark_started": (QUEUED, (COMPANY, IDS, [AT] * 3, [1.0] * 3, JOB, AT, AT)),
    "dispatch.keep_late_results": (ENDED, (COMPANY, IDS, ["{}"] * 3, AT, AT)),
    "dispatch.take_back": (QUEUED, (COMPANY, IDS, AT, AT, JOB)),
    "runs.supersede": (BUFFERED, (IDS,)),
    "runs.lock_active": (QUEUED, (IDS, AT, AT)),
    "runs.end_runs": (QUEUED, (IDS, ["failure"] * 3, *[[None] * 3] * 4, AT, AT)),
    "runs.stage_runs": (QUEUED, (IDS, [8, 9, 10], [8, 9, 10], PUBLIC_IDS, AT, AT)),
    "runs.reopen_missed": (MISSED, (COMPANY, IDS[0], [AT])),
    "starts.note_stop": (QUEUED, (COMPANY, IDS[0], AT)),
}
"""How the runs stand that a statement is about, and what it is asked."""

CHANGES = re.compile(r"\b(?:UPDATE|DELETE FROM) runs\b|\bFROM runs\b[^;]*\bFOR (?:NO KEY )?UPDATE(?! SKIP LOCKED)")


def test_every_statement_that_may_wait_for_a_run_is_here() -> None:
    named = {f"{table}.{verb}": sql for table in tables() for verb, sql in queries_of(table).items()}
    assert set(CASES) == {name for name, sql in named.items() if CHANGES.search(sql)}


@pytest.fixture
async def rival(settings: Settings) -> AsyncIterator[Database]:
    """Connections that keep one plan for all parameters, and join row by row, as is done when there are many runs."""
    async with open_database(settings, role="rival", size=1, plan_once=True) as database:
        yield database


async def test_it_finds_what_it_waited_for(tenant: Tenant, database: Database, rival: Database) -> None:
    assert tenant.company_id == COMPANY
    lost = {}
    async with database.connection() as holder, rival.connection() as waiter, database.connection() as watcher:
        await arrange(holder)
        for name, (standing, asked) in CASES.items():
            await holder.execute(f"UPDATE runs SET {standing} WHERE id = ANY($1::bigint[])", IDS)
            async with undone(waiter):
                alone = await waiter.execute(query(name), *asked)
            assert not alone.endswith(" 0"), (name, alone)
            change = holder.transaction()
            await change.start()
            await holder.execute("UPDATE runs SET message = 'of another' WHERE id = ANY($1::bigint[])", IDS)
            async with undone(waiter):
                waiting = asyncio.create_task(waiter.execute(query(name), *asked))
                await until(lambda: _waits(watcher), "the statement waits")
                await change.commit()
                if (found := await waiting) != alone:
                    lost[name] = (alone, found)
    assert not lost


async def arrange(connection: Connection) -> None:
    """Those the statements are about, and so many others that it is worth to look each up by itself."""
    await connection.execute(
        """
        INSERT INTO runs (id, company_id, flow_id, flow_version_id, schedule_id, scheduled_for, trigger, status,
                          version_iteration, version_revision, digest)
        SELECT n, $1, 1, 1, n, $2, 'schedule', 'queued', 1, 1, '' FROM generate_series(1, $3::integer) AS n
        """,
        COMPANY,
        AT,
        MANY,
    )
    await connection.execute("ANALYZE runs")


@asynccontextmanager
async def undone(connection: Connection) -> AsyncIterator[None]:
    attempt = connection.transaction()
    await attempt.start()
    for other_way in ("hashjoin", "mergejoin", "material"):
        await connection.execute(f"SET LOCAL enable_{other_way} = off")
    try:
        yield
    finally:
        await attempt.rollback()


async def _waits(connection: Connection) -> bool:
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')"
    )
    return found
