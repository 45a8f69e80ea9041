"""The hot queries use the index they were given one for, with enough rows that the planner has a choice."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import orjson
import pytest

from core.domain.access import credential_digest
from core.domain.query import EVERYTHING, Combination, Condition, Group, Operator, Selection, parse_query
from core.store.database import Database
from core.store.flow_versions import COLUMNS
from core.store.lists import QUERY, Order, page_of
from core.store.predicates import compile_query
from core.store.queries import query
from core.store.subjects import AUDIT_EVENTS, FLOWS, JOB_LOGS, NAMESAKES, Subject
from core.store.templates import SHOWN, compile_template
from schemas.patchworks import SHOWN_FLOW_VERSION
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


# Schedules


@pytest.fixture
async def timed(tenant: Tenant, database: Database, crowded: tuple[int, int]) -> int:
    """The small flow; each version of the large one has a schedule, and the small one has none."""
    async with database.connection() as connection:
        await connection.execute(
            """
            INSERT INTO schedules (company_id, flow_id, flow_version_id, cron_string, timezone, overlap_policy,
                                   catchup_window_seconds, paused, created_by_type, updated_by_type)
            SELECT v.company_id, v.flow_id, v.id, '0 3 * * *', 'UTC', 'skip', 600, false, 'cli', 'cli'
            FROM flow_versions v WHERE v.flow_id <> $1
            """,
            crowded[1],
        )
        await connection.execute("VACUUM ANALYZE schedules")
    return crowded[1]


def visits(text: str, index: str) -> int:
    """How often a plan went to an index, in all steps together."""
    found = "\n".join(line for line in text.splitlines() if index in line)
    return sum(int(loops) for loops in re.findall(r"loops=(\d+)", found))


async def test_the_schedules_of_a_version_are_found_in_their_index(
    tenant: Tenant, database: Database, timed: int
) -> None:
    async with database.connection() as connection:
        version = await connection.fetchrow("SELECT flow_id, id FROM flow_versions WHERE flow_id <> $1 LIMIT 1", timed)
    place = (tenant.company_id, version["flow_id"], version["id"])
    for name, arguments in (("list_schedules", (*place, 15, 0)), ("count_schedules", place)):
        text = await plan(database, query(f"schedules.{name}"), *arguments)
        assert "schedules_version_index" in text, text
        assert rows_touched(text) <= 1, text


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_deleting_many_versions_looks_for_their_schedules_once(
    tenant: Tenant, database: Database, timed: int, mode: str
) -> None:
    """Not once a version: a flow without schedules pays for one look into an index."""
    async with database.connection() as connection:
        await connection.execute(f"SET plan_cache_mode = '{mode}'")
        pairs = await connection.fetch("SELECT id, revision FROM flow_versions WHERE flow_id = $1", timed)
        ids, revisions = [pair["id"] for pair in pairs], [pair["revision"] for pair in pairs]
        attempt = connection.transaction()
        await attempt.start()
        explained = f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) {query('flow_versions.delete_batch')}"
        lines = await connection.fetch(explained, tenant.company_id, timed, ids, revisions, 1, "bulk_deleted")
        await attempt.rollback()
        await connection.execute("RESET plan_cache_mode")
    text = "\n".join(line[0] for line in lines)
    assert visits(text, "schedules_version_index") == 1, text
    assert "Seq Scan on schedules" not in text, text


# Lists of an application

OTHERS, LARGE, SMALL = 2_000, 4_000, 20


@pytest.fixture
async def applications(tenant: Tenant, database: Database) -> tuple[Tenant, Tenant]:
    """One with many flows and ended jobs, and one with few, among others: each flow with develop content and a v1."""
    made = [
        (tenant, LARGE),
        *[(await make_sibling(tenant), OTHERS) for _ in range(8)],
        (await make_sibling(tenant), SMALL),
    ]
    async with database.connection() as connection:
        for application, count in made:
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
                INSERT INTO flow_versions (company_id, flow_id, iteration, status, name, name_folded, body, digest,
                                           created_by_type, updated_by_type)
                SELECT made.company_id, made.id, v.iteration, v.status, v.name, v.name, '{"triggers":[],"nodes":[]}',
                       '', 'cli', 'cli'
                FROM made, (VALUES (1, 'Draft', NULL), (2, 'Inactive', 'v1')) AS v (iteration, status, name)
                """,
                application.company_id, application.application_id, count,
            )  # fmt: skip
            await connection.execute(
                """
                INSERT INTO jobs (public_id, company_id, application_id, kind, queue, status, arguments,
                                  requested_by_type, created_at, finished_at)
                SELECT lpad($2::bigint::text || '-' || n, 21, '0'), $1, $2, 'delete_versions', 'bulk', 'completed',
                       '{}', 'cli', now() - n * interval '7 s', now()
                FROM generate_series(1, $3::integer) AS n
                """,
                application.company_id, application.application_id, count,
            )  # fmt: skip
        await connection.execute("VACUUM ANALYZE flow_versions, jobs, flows")
    return made[0][0], made[-1][0]


Step = dict[str, Any]
"""One step of a plan and, in it, those it takes its rows from."""


async def generic_plan(database: Database, sql: str, *arguments: object) -> Step:
    """The plan that a connection of the API keeps for all arguments, after it was run with these."""
    async with database.connection() as connection:
        attempt = connection.transaction()
        await attempt.start()
        await connection.execute(f"SET LOCAL plan_cache_mode = force_generic_plan; PREPARE planned AS {sql}")
        given = ", ".join([await connection.fetchval("SELECT quote_literal($1)", _written(one)) for one in arguments])
        text = await connection.fetchval(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) EXECUTE planned ({given})")
        await connection.execute("DEALLOCATE planned")
        await attempt.rollback()
    root: Step = orjson.loads(text)[0]["Plan"]
    return root


def _written(value: object) -> str:
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    return f"{{{','.join(value)}}}" if isinstance(value, list) else str(value)


def steps(step: Step, *, counting: bool) -> Iterator[Step]:
    """Either those that count what there is in all, or all others."""
    if step.get("Parent Relationship") == "SubPlan":
        if counting:
            yield from _all(step)
        return
    if not counting:
        yield step
    for inner in step.get("Plans", ()):
        yield from steps(inner, counting=counting)


def _all(step: Step) -> Iterator[Step]:
    yield step
    for inner in step.get("Plans", ()):
        yield from _all(inner)


def touched(some: Iterable[Step]) -> int:
    """The most rows any of them produced or threw away at a time."""
    return max(int(max(step["Actual Rows"], step.get("Rows Removed by Filter", 0))) for step in some)


def assert_by_index(root: Step) -> None:
    scans = [step for step in _all(root) if "Relation Name" in step]
    assert scans
    assert {step["Node Type"] for step in scans} <= {"Index Scan", "Index Only Scan", "Bitmap Heap Scan"}, root


def tables(some: Iterable[Step]) -> set[str]:
    return {step["Relation Name"] for step in some if "Relation Name" in step}


async def plan_of_flows(database: Database, application: Tenant, asked: Selection, order: Order) -> Step:
    predicate = compile_query(asked, first=5, subject=FLOWS)
    sql = page_of(query("flows.show_flows"), predicate, order)
    at = (credential_digest(application.token), application.application_id)
    return await generic_plan(database, sql, *at, order.limit, order.offset, *predicate.parameters)


OF_CLASS = parse_query({"flowClass": "cloud"}, language=FLOWS.language)


async def test_a_page_of_flows_reads_only_it(database: Database, applications: tuple[Tenant, Tenant]) -> None:
    """And the count of a page that does not tell it the application's flows alone, without what it does not ask."""
    large, small = applications
    for sort, descending in product(("name", "id", "creationDate", "lastUpdated"), (False, True)):
        order = Order(sort, descending, 100, 0)
        root = await plan_of_flows(database, large, OF_CLASS, order)
        assert_by_index(root)
        assert touched(steps(root, counting=False)) == 100, root
        assert touched(steps(root, counting=True)) == LARGE, root
        assert tables(steps(root, counting=True)) == {"flows"}
        root = await plan_of_flows(database, small, OF_CLASS, order)
        assert touched(steps(root, counting=False)) == SMALL, root
        assert touched(steps(root, counting=True)) == 0, root


async def test_a_query_on_contents_joins_them_for_page_and_count(
    database: Database, applications: tuple[Tenant, Tenant]
) -> None:
    asked = parse_query({"nodes": {"$ne": {"type": "x"}}}, language=FLOWS.language)
    root = await plan_of_flows(database, applications[0], asked, Order("name", False, 100, 0))
    assert_by_index(root)
    assert tables(steps(root, counting=True)) == {"flows", "flow_versions"}


async def test_a_page_of_a_job_log_reads_only_it(database: Database, applications: tuple[Tenant, Tenant]) -> None:
    predicate = compile_query(EVERYTHING, first=6, subject=JOB_LOGS)
    kinds = ["delete_versions", "delete_flow"]
    for descending, (application, most) in product((False, True), zip(applications, (100, SMALL), strict=True)):
        sql = page_of(query("job_logs.show_entries"), predicate, Order("runQueuedAt", descending, 100, 0))
        at = (credential_digest(application.token), application.application_id)
        root = await generic_plan(database, sql, *at, kinds, 100, 0)
        assert_by_index(root)
        assert touched(steps(root, counting=False)) == most, root
        assert touched(steps(root, counting=True)) == (LARGE if most == 100 else 0), root


async def test_the_versions_of_one_name_are_found_flow_by_flow(
    database: Database, applications: tuple[Tenant, Tenant]
) -> None:
    """Not by reading all versions: each flow is asked for the one, through the index, until the page is full."""
    predicate = compile_query(EVERYTHING, first=6, subject=NAMESAKES)
    sql = page_of(query("flow_versions.show_namesakes"), predicate, Order("name", False, 100, 0))
    for application, page, count in zip(applications, (101, SMALL), (LARGE, 0), strict=True):
        at = (credential_digest(application.token), application.application_id)
        root = await generic_plan(database, sql, *at, "v1", 100, 0)
        assert_by_index(root)
        assert touched(_all(root)) == max(page, count), root
        for counting, flows in ((False, page), (True, count)):
            asked = [step for step in steps(root, counting=counting) if step.get("Relation Name") == "flow_versions"]
            assert [step["Actual Loops"] for step in asked if step["Index Name"] == "flow_versions_name_key"] == [flows]


@pytest.mark.parametrize("name", ["flows.show_flows", "flow_versions.show_namesakes", "job_logs.show_entries"])
async def test_nothing_is_read_of_an_application_that_is_not_the_token_s(
    database: Database, applications: tuple[Tenant, Tenant], name: str
) -> None:
    large, small = applications
    shown: dict[str, tuple[Subject, list[object]]] = {
        "flows.show_flows": (FLOWS, []),
        "flow_versions.show_namesakes": (NAMESAKES, ["v1"]),
        "job_logs.show_entries": (JOB_LOGS, [["delete_versions"]]),
    }
    subject, more = shown[name]
    sql = page_of(query(name), compile_query(EVERYTHING, first=9, subject=subject), Order("id", False, 100, 0))
    root = await generic_plan(database, sql, credential_digest(small.token), large.application_id, *more, 100, 0)
    scans = [step for step in _all(root) if step.get("Relation Name", "application_tokens") != "application_tokens"]
    assert {step["Actual Rows"] for step in scans} == {0}, root


async def test_claiming_staged_jobs_does_not_read_the_ended_ones(database: Database, crowded: tuple[int, int]) -> None:
    async with database.connection() as connection:
        statement = await unlocked_claim(connection)
    text = await plan(database, statement, 200, timedelta(seconds=10), 2, 256, 64)
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


async def test_a_deploy_finds_its_flow_however_many_there_are(
    applications: tuple[Tenant, Tenant], database: Database
) -> None:
    """What a function returns is a thousand rows to the planner, unless it is told that it is one."""
    application, _ = applications
    sql = query("deployments.deploy_at_once").replace(SHOWN, compile_template(SHOWN_FLOW_VERSION, COLUMNS))
    async with database.connection() as connection:
        flow_id, version_id = await connection.fetchrow(
            "SELECT flow_id, id FROM flow_versions WHERE company_id = $1 AND status = 'Inactive' LIMIT 1",
            application.company_id,
        )
    asked = (application.company_id, application.application_id, flow_id, version_id, "2026-01-01T00:00:00Z", "cli", 1)
    root = await generic_plan(database, sql, *asked, "127.0.0.1")
    assert root["Actual Rows"] == 1
    assert_by_index(root)
