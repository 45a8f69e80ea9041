"""Runs whose outcomes are known beforehand: their runner judges them by their ids, however often it is asked."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import orjson
from aiohttp import web

from core.domain.identifiers import new_public_id
from core.domain.runs import DISPATCH_BATCH
from core.store.database import Database
from tests.support.metrics import compare
from tests.support.runs import Runnable
from tests.support.waiting import until

OUTCOMES = ("success", "failure", "partial_success", "success", "success")


def outcome_of(run_id: int) -> str:
    return OUTCOMES[run_id % len(OUTCOMES)]


def rows_of(run_id: int) -> int:
    """What the runner tells of a run."""
    return run_id % 7


@asynccontextmanager
async def judging_runner() -> AsyncIterator[str]:
    """Its URL."""

    async def judge(request: web.Request) -> web.Response:
        run_id = orjson.loads(await request.read())["data"]["run_id"]
        return web.json_response({"status": outcome_of(run_id), "metrics": {"rows": rows_of(run_id)}})

    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_post("/", judge)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def load_runs(runnables: Sequence[Runnable], each: int) -> list[int]:
    """So many runs of each flow, and the jobs that dispatch them; returns the runs' ids."""
    found: list[int] = []
    for runnable in runnables:
        jobs = [new_public_id(os.urandom) for _ in range(-(-each // DISPATCH_BATCH))]
        async with runnable.tenant.database.connection() as connection:
            rows = await connection.fetch(
                _LOAD, runnable.tenant.company_id, runnable.flow.id, runnable.version.id, each, DISPATCH_BATCH, jobs
            )
        found += [row["id"] for row in rows]
    return found


_LOAD = """
WITH numbered AS (
    SELECT n, v.id AS version_id, v.revision, v.digest, (n - 1) / $5::integer AS batch
    FROM generate_series(1, $4::integer) AS n, flow_versions v
    WHERE v.company_id = $1 AND v.flow_id = $2 AND v.id = $3
), batches AS (
    SELECT batch, nextval(pg_get_serial_sequence('jobs', 'id')) AS job_id
    FROM (SELECT DISTINCT batch FROM numbered) AS b
), written AS (
    INSERT INTO runs (company_id, flow_id, flow_version_id, scheduled_for, trigger, status, version_iteration,
                      version_revision, digest, job_id, message_key)
    SELECT $1, $2, n.version_id, clock_timestamp(), 'manual', 'queued', 1, n.revision, n.digest, b.job_id,
           format('%s-%s', n.version_id, n.n)
    FROM numbered n JOIN batches b USING (batch)
    RETURNING id, scheduled_for, job_id
), staged AS (
    INSERT INTO jobs (id, public_id, company_id, kind, queue, arguments, requested_by_type, deliver_at)
    OVERRIDING SYSTEM VALUE
    SELECT w.job_id, ($6::text[])[b.batch + 1], $1, 'dispatch_runs', 'dispatch',
           jsonb_build_object('run_ids', jsonb_agg(w.id),
                              'first_at', min(w.scheduled_for), 'last_at', max(w.scheduled_for)),
           'scheduler', clock_timestamp()
    FROM written w JOIN batches b USING (job_id)
    GROUP BY w.job_id, b.batch
)
SELECT id FROM written
"""


async def left(database: Database) -> int:
    """Runs that go on."""
    async with database.connection() as connection:
        number: int = await connection.fetchval("SELECT count(*) FROM runs WHERE finished_at IS NULL")
    return number


async def all_folded(database: Database, seconds: float) -> None:
    """Waits until the metrics have been told everything, and no longer."""

    async def nothing_left() -> bool:
        async with database.connection() as connection:
            return bool(await connection.fetchval("SELECT NOT EXISTS (SELECT FROM run_endings)"))

    await until(nothing_left, "every ended run is folded", seconds)


async def check(database: Database, run_ids: Sequence[int]) -> int:
    """How many numbers there are, all of which are the ledger's, and what was known beforehand."""
    numbers, differing = await compare(database)
    assert not differing, differing[:5]
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT span, key, sum(count)::bigint AS count FROM version_metrics WHERE type = 'runs' GROUP BY span, key"
        )
        told = await connection.fetch(
            "SELECT span, sum(count)::bigint AS count, sum(total)::bigint AS total FROM version_metrics"
            " WHERE type = 'custom' AND key = 'rows' GROUP BY span"
        )
    known = Counter(map(outcome_of, run_ids))
    for span in ("5m", "hour", "day"):
        assert {row["key"]: row["count"] for row in rows if row["span"] == span and row["key"] != "attempts"} == known
    assert [tuple(row)[1:] for row in told] == [(len(run_ids), sum(map(rows_of, run_ids)))] * 3
    return numbers
