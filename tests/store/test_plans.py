"""The hot queries use the index they were given one for, with enough rows that the planner has a choice."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from core.domain.access import credential_digest
from core.domain.query import parse_query
from core.store.database import Database
from core.store.predicates import compile_query
from core.store.queries import query
from tests.support.tenants import Tenant

MANY = 20_000


@pytest.fixture
async def crowded(tenant: Tenant, database: Database) -> tuple[int, int]:
    """A company with a large flow and a small one, and many ended jobs; returns the company and the small flow."""
    await tenant.make_versions(await tenant.make_flow("large"), MANY)
    small = await tenant.make_flow("small")
    await tenant.make_versions(small, 20)
    async with database.connection() as connection:
        await connection.execute(
            """
            INSERT INTO jobs (public_id, company_id, kind, queue, status, arguments, requested_by_type, finished_at)
            SELECT lpad(n::text, 21, '0'), $1, 'delete_versions', 'bulk', 'completed', '{}', 'cli', clock_timestamp()
            FROM generate_series(1, $2) AS n
            """,
            tenant.company_id,
            MANY,
        )
        await connection.execute("VACUUM ANALYZE flow_versions, jobs, flows")
    return tenant.company_id, small.id


async def plan(database: Database, sql: str, *arguments: object) -> str:
    async with database.connection() as connection:
        attempt = connection.transaction()
        await attempt.start()
        rows = await connection.fetch(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) {sql}", *arguments)
        await attempt.rollback()
    return "\n".join(row[0] for row in rows)


def rows_touched(text: str) -> int:
    """The most rows any step of the plan produced or threw away."""
    return max(int(number) for number in re.findall(r"(?:rows=|Removed by Filter: )(\d+)", text))


async def test_a_page_of_a_small_flow_does_not_read_the_large_one(
    tenant: Tenant, database: Database, crowded: tuple[int, int]
) -> None:
    asked = (credential_digest(tenant.token), crowded[1])
    for order in ("v.name ASC, v.id ASC", "v.id DESC"):
        sql = query("flow_versions.show_versions").replace("/* order */ v.id", order)
        text = await plan(database, sql, *asked, 100, 0)
        assert rows_touched(text) <= 20, text
        assert "Function Scan" not in text, "the look-up of the token is planned as part of the statement"


async def test_fixing_the_set_of_a_small_flow_reads_only_it(
    tenant: Tenant, database: Database, crowded: tuple[int, int]
) -> None:
    company_id, flow_id = crowded
    predicate = compile_query(parse_query({"version": {"$ne": "v1"}}), first=11, constants={})
    sql = query("job_items.stage_with_set").replace("/* query */ TRUE", predicate.sql)
    job = ("planned-job-000000001", company_id, None, flow_id, "delete_versions", "bulk", "{}", "apiToken", 1, 5000)
    text = await plan(database, sql, *job, *predicate.parameters)
    assert rows_touched(text) <= 20, text


async def test_claiming_staged_jobs_does_not_read_the_ended_ones(database: Database, crowded: tuple[int, int]) -> None:
    text = await plan(database, query("jobs.claim_staged"), 200, timedelta(seconds=10), 2)
    assert "Seq Scan on jobs" not in text, text
    assert rows_touched(text) <= 20, text


@pytest.mark.parametrize("name", ["next_delivery_in", "find_expired_leases", "find_undelivered"])
async def test_the_loops_do_not_read_the_ended_jobs(database: Database, crowded: tuple[int, int], name: str) -> None:
    arguments: dict[str, tuple[object, ...]] = {
        "next_delivery_in": (),
        "find_expired_leases": (100,),
        "find_undelivered": (timedelta(seconds=3), 100),
    }
    text = await plan(database, query(f"jobs.{name}"), *arguments[name])
    assert "Seq Scan on jobs" not in text, text


async def test_a_control_without_the_index_reads_everything(database: Database, crowded: tuple[int, int]) -> None:
    async with database.connection() as connection:
        await connection.execute("DROP INDEX jobs_staged_index")
    text = await plan(database, query("jobs.next_delivery_in"))
    assert "Seq Scan on jobs" in text, text
