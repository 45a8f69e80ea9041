"""The hot queries use the index they were given one for, with enough rows that the planner has a choice."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from core.domain.access import credential_digest
from core.domain.query import EVERYTHING, Combination, Condition, Group, Operator, parse_query
from core.store.database import Database
from core.store.lists import QUERY, Order, page_of
from core.store.predicates import compile_query
from core.store.queries import query
from core.store.subjects import AUDIT_EVENTS, FLOWS, JOB_LOGS, NAMESAKES
from tests.support.arrangements import make_sibling
from tests.support.claiming import unlocked_claim
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
    predicate = compile_query(EVERYTHING, first=5)
    for sort, descending in product(("version", "id"), (False, True)):
        sql = page_of(query("flow_versions.show_versions"), predicate, Order(sort, descending, 100, 0))
        text = await plan(database, sql, *asked, 100, 0)
        assert rows_touched(text) <= 20, text
        assert "Function Scan" not in text, "the look-up of the token is planned as part of the statement"


async def test_a_deep_page_by_name_is_found_in_the_index_alone(
    tenant: Tenant, database: Database, crowded: tuple[int, int]
) -> None:
    async with database.connection() as connection:
        large = await connection.fetchval("SELECT id FROM flows WHERE name = 'large'")
    predicate = compile_query(EVERYTHING, first=5)
    for descending in (False, True):
        sql = page_of(query("flow_versions.show_versions"), predicate, Order("version", descending, 100, MANY - 500))
        text = await plan(database, sql, credential_digest(tenant.token), large, 100, MANY - 500)
        (passing,) = [line for line in text.splitlines() if "Scan" in line and f"rows={MANY - 400}" in line]
        assert "Index Only Scan" in passing, text
        assert "using flow_versions_name_key" in passing, text
        assert "Heap Fetches: 0" in text, text


async def test_fixing_the_set_of_a_small_flow_reads_only_it(
    tenant: Tenant, database: Database, crowded: tuple[int, int]
) -> None:
    company_id, flow_id = crowded
    predicate = compile_query(parse_query({"version": {"$ne": "v1"}}), first=11, constants={})
    sql = query("job_items.stage_with_set").replace("/* query */ TRUE", predicate.sql)
    job = ("planned-job-000000001", company_id, None, flow_id, "delete_versions", "bulk", "{}", "apiToken", 1, 5000)
    text = await plan(database, sql, *job, *predicate.parameters)
    assert rows_touched(text) <= 20, text


# Lists of an application


@pytest.fixture
async def applications(tenant: Tenant, database: Database) -> tuple[int, int, int]:
    """A company, its application with many flows and ended jobs, and one with few."""
    small = await make_sibling(tenant)
    async with database.connection() as connection:
        for application_id, count in ((tenant.application_id, MANY), (small.application_id, 20)):
            await connection.execute(
                """
                WITH made AS (
                    INSERT INTO flows (company_id, application_id, name, name_folded, created_at, updated_at,
                                       created_by_type, updated_by_type)
                    SELECT $1, $2, md5(n::text), md5(n::text), now() - n * interval '7 s', now() - n * interval '3 s',
                           'cli', 'cli'
                    FROM generate_series(1, $3::integer) AS n
                    RETURNING *
                )
                INSERT INTO flow_versions (company_id, flow_id, iteration, status, body, digest, created_by_type,
                                           updated_by_type)
                SELECT company_id, id, 1, 'Draft', '{"triggers":[],"nodes":[]}', '', 'cli', 'cli' FROM made
                """,
                tenant.company_id, application_id, count,
            )  # fmt: skip
            await connection.execute(
                """
                INSERT INTO jobs (public_id, company_id, application_id, kind, queue, status, arguments,
                                  requested_by_type, created_at, finished_at)
                SELECT lpad($2::bigint::text || '-' || n, 21, '0'), $1, $2, 'delete_versions', 'bulk', 'completed',
                       '{}', 'cli', now() - n * interval '7 s', now()
                FROM generate_series(1, $3::integer) AS n
                """,
                tenant.company_id, application_id, count,
            )  # fmt: skip
        await connection.execute("VACUUM ANALYZE flow_versions, jobs, flows")
    return tenant.company_id, tenant.application_id, small.application_id


async def test_a_page_of_flows_reads_only_it(database: Database, applications: tuple[int, int, int]) -> None:
    company_id, large, small = applications
    of_class = parse_query({"flowClass": "cloud"}, language=FLOWS.language)
    predicate = compile_query(of_class, first=5, subject=FLOWS)
    sorts = ("name", "id", "creationDate", "lastUpdated")
    for sort, descending, (application_id, most) in product(sorts, (False, True), ((large, 100), (small, 20))):
        sql = page_of(query("flows.list_flows"), predicate, Order(sort, descending, 100, 0))
        text = await plan(database, sql, company_id, application_id, 100, 0, *predicate.parameters)
        assert "Seq Scan" not in text, text
        assert rows_touched(text) <= most, text


async def test_a_page_of_a_job_log_reads_only_it(database: Database, applications: tuple[int, int, int]) -> None:
    company_id, large, small = applications
    predicate = compile_query(EVERYTHING, first=6, subject=JOB_LOGS)
    for descending, (application_id, most) in product((False, True), ((large, 100), (small, 20))):
        sql = page_of(query("jobs.list_job_log"), predicate, Order("runQueuedAt", descending, 100, 0))
        text = await plan(database, sql, company_id, application_id, ["delete_versions", "delete_flow"], 100, 0)
        assert "Seq Scan" not in text, text
        assert rows_touched(text) <= most, text


async def test_the_versions_of_one_name_are_found_flow_by_flow(
    tenant: Tenant, database: Database, applications: tuple[int, int, int]
) -> None:
    """Not by reading all versions: each flow of the application is asked for the one, through the index."""
    company_id, _, small = applications
    predicate = compile_query(EVERYTHING, first=6, subject=NAMESAKES)
    sql = page_of(query("flow_versions.show_namesakes"), predicate, Order("name", False, 100, 0))
    text = await plan(database, sql, company_id, small, "v1", 100, 0)
    assert "Seq Scan" not in text, text
    assert rows_touched(text) <= 20, text


async def test_a_count_of_flows_does_not_join_what_it_does_not_need(
    database: Database, applications: tuple[int, int, int]
) -> None:
    company_id, large, _ = applications
    text = await plan(database, query("flows.count_flows"), company_id, large)
    assert "flow_versions" not in text, text


async def test_claiming_staged_jobs_does_not_read_the_ended_ones(database: Database, crowded: tuple[int, int]) -> None:
    async with database.connection() as connection:
        statement = await unlocked_claim(connection)
    text = await plan(database, statement, 200, timedelta(seconds=10), 2)
    assert "Seq Scan on jobs" not in text, text
    assert rows_touched(text) <= 20, text


@pytest.mark.parametrize(
    "name", ["deliveries.next_delivery_in", "jobs.find_expired_leases", "deliveries.find_undelivered"]
)
async def test_the_loops_do_not_read_the_ended_jobs(database: Database, crowded: tuple[int, int], name: str) -> None:
    arguments: dict[str, tuple[object, ...]] = {
        "deliveries.next_delivery_in": (),
        "jobs.find_expired_leases": (100,),
        "deliveries.find_undelivered": (timedelta(seconds=3), 100),
    }
    text = await plan(database, query(name), *arguments[name])
    assert "Seq Scan on jobs" not in text, text


async def test_a_control_without_the_index_reads_everything(database: Database, crowded: tuple[int, int]) -> None:
    async with database.connection() as connection:
        await connection.execute("DROP INDEX jobs_staged_index")
    text = await plan(database, query("deliveries.next_delivery_in"))
    assert "Seq Scan on jobs" in text, text


# The audit trail

TRAIL = """
    INSERT INTO audit_events (company_id, at, actor_type, actor_id, action, subject_type, subject_id)
    SELECT $1, now() - n * interval '1 min', 'apiToken', n % 7, 'storage.set', 'flow', n % 1000
    FROM generate_series(1, $2::integer) AS n
"""


@pytest.fixture
async def trails(tenant: Tenant, database: Database) -> int:
    """A company with a long trail beside another's; returns the company."""
    async with database.connection() as connection:
        for company_id in (tenant.company_id, tenant.company_id + 1):
            await connection.execute(TRAIL, company_id, MANY)
        await connection.execute("VACUUM ANALYZE audit_events")
    return tenant.company_id


async def audit_plan(database: Database, company_id: int, conditions: tuple[Condition, ...], *asked: object) -> str:
    """The plan that an API's connection keeps, whatever the values: of its first one hundred events."""
    found = compile_query(Combination(Group.AND, conditions), first=8, subject=AUDIT_EVENTS)
    statement = query("audit_events.list_events").replace(QUERY, found.sql)
    async with database.connection() as connection, connection.transaction():
        await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        await connection.execute(f"PREPARE trail AS {statement}")
        values = ", ".join("NULL" if value is None else f"'{value}'" for value in (company_id, *asked, 100, 0))
        values += "".join(f", '{value}'" for value in found.parameters)
        rows = await connection.fetch(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) EXECUTE trail({values})")
        await connection.execute("DEALLOCATE trail")
    return "\n".join(row[0] for row in rows)


async def test_the_newest_events_and_those_of_a_span_are_found_in_the_index(database: Database, trails: int) -> None:
    """Wherever in the trail it is, and where it was read to."""
    then = datetime.now(UTC) - timedelta(minutes=MANY // 2)
    for asked in ((None, None, None, None), (None, then, None, None), (then, None, then + timedelta(minutes=50), 1)):
        text = await audit_plan(database, trails, (), *asked)
        assert "audit_events_time_index" in text, text
        assert rows_touched(text) <= 100, text


async def test_what_happened_to_one_thing_is_found_in_its_index(database: Database, trails: int) -> None:
    conditions = (Condition("subject_type", Operator.EQ, "flow"), Condition("subject_id", Operator.EQ, 5))
    text = await audit_plan(database, trails, conditions, None, None, None, None)
    assert "audit_events_subject_index" in text, text
    assert rows_touched(text) <= MANY // 1000, text


async def test_a_control_without_its_index_reads_the_trail(database: Database, trails: int) -> None:
    async with database.connection() as connection:
        await connection.execute("DROP INDEX audit_events_subject_index")
    conditions = (Condition("subject_type", Operator.EQ, "flow"), Condition("subject_id", Operator.EQ, 5))
    text = await audit_plan(database, trails, conditions, None, None, None, None)
    assert rows_touched(text) > MANY // 2, text
