"""The compiled predicate and a plain reading of the language agree, on hostile names and random queries."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.domain import languages
from core.domain.identifiers import hex_id
from core.domain.languages import Kind, Language
from core.domain.query import EVERYTHING, Combination, Glob, Group, TriggerFilter, parse_query
from core.store import flow_versions, flows, jobs
from core.store.database import Database
from core.store.lists import Order
from core.store.predicates import compile_query
from core.store.subjects import FLOWS, JOB_LOGS, NAMESAKES, VERSIONS, Place, Subject
from tests.support.evaluator import COMPARE, TEXT, Row, holds, holds_somewhere
from tests.support.queries import (
    JOB_NAMES,
    NAMES,
    TYPES,
    insert_flows,
    insert_job_log,
    insert_namesakes,
    insert_rows,
    queries,
)
from tests.support.tenants import Tenant

CONSTANTS: dict[str, str | None] = {"name": "Pump control", "flowClass": "cloud", "customNodeSupports": None}

at_length = settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
as_well = settings(at_length, max_examples=200)
"""For what shares the compiler with the versions, and differs only in where the fields stand."""


@pytest.fixture
async def rows(tenant: Tenant, database: Database) -> list[Row]:
    flow = await tenant.make_flow()
    async with database.connection() as connection:
        return await insert_rows(connection, tenant.company_id, flow.id)


@given(query=queries())
@at_length
async def test_sql_and_a_plain_reading_agree(database: Database, rows: list[Row], query: dict[str, Any]) -> None:
    predicate = compile_query(parse_query(query), first=1, constants=CONSTANTS)
    async with database.connection() as connection:
        found = await connection.fetch(f"SELECT id FROM flow_versions v WHERE {predicate.sql}", *predicate.parameters)
    assert {row["id"] for row in found} == {row.id for row in rows if holds(query, row)}


@given(glob=st.lists(st.sampled_from([*NAMES, "*", "**", "?", "[ab]", "."]), max_size=4).map("".join))
@at_length
async def test_a_glob_knows_only_the_star(database: Database, rows: list[Row], glob: str) -> None:
    predicate = compile_query(Glob(glob), first=1, constants=CONSTANTS)
    async with database.connection() as connection:
        found = await connection.fetch(f"SELECT name FROM flow_versions v WHERE {predicate.sql}", *predicate.parameters)
    pattern = re.compile(".*".join(re.escape(part) for part in glob.split("*")), re.DOTALL)
    assert {row["name"] for row in found} == {
        str(row.fields["version"]) for row in rows if pattern.fullmatch(str(row.fields["version"]))
    }


# The other lists: each through the one function that reads it, page and count


WHOLE = Order("id", descending=False, limit=1_000, offset=0)
FULL = Order("id", descending=True, limit=1, offset=0)
"""A page that says nothing about the total, so that it is counted."""


@pytest.fixture
async def flow_rows(tenant: Tenant, stranger: Tenant, database: Database) -> list[Row]:
    """Another company's flows, and another application's, are there to be left out."""
    async with database.connection() as connection:
        await insert_flows(connection, stranger)
        return await insert_flows(connection, tenant)


@pytest.fixture
async def namesakes(tenant: Tenant, stranger: Tenant, database: Database) -> list[Row]:
    async with database.connection() as connection:
        await insert_namesakes(connection, stranger, "v1")
        return await insert_namesakes(connection, tenant, "v1")


@pytest.fixture
async def entries(tenant: Tenant, stranger: Tenant, database: Database) -> list[Row]:
    async with database.connection() as connection:
        await insert_job_log(connection, stranger)
        return await insert_job_log(connection, tenant)


@given(query=queries(language=languages.FLOWS), all_versions=st.booleans())
@as_well
async def test_a_list_of_flows_and_a_plain_reading_agree(
    database: Database, tenant: Tenant, flow_rows: list[Row], query: dict[str, Any], all_versions: bool
) -> None:
    parsed = parse_query(query, language=languages.FLOWS)
    at = (tenant.company_id, tenant.application_id, parsed)
    async with database.connection() as connection:
        found, total = await flows.list_page(connection, *at, WHOLE, all_versions=all_versions)
        _, counted = await flows.list_page(connection, *at, FULL, all_versions=all_versions)
    expected = [row.id for row in flow_rows if (holds_somewhere if all_versions else holds)(query, row)]
    assert [flow.id for flow in found] == expected
    assert total == counted == len(expected)


@given(query=queries(language=languages.NAMESAKES))
@as_well
async def test_a_list_of_namesakes_and_a_plain_reading_agree(
    database: Database, tenant: Tenant, namesakes: list[Row], query: dict[str, Any]
) -> None:
    parsed = parse_query(query, language=languages.NAMESAKES)
    at = (tenant.company_id, tenant.application_id, "v1", parsed)
    async with database.connection() as connection:
        found, total = await flow_versions.list_namesakes(connection, *at, WHOLE)
        _, counted = await flow_versions.list_namesakes(connection, *at, FULL)
    expected = [row.id for row in namesakes if holds(query, row)]
    assert [version.id for version, _ in found] == expected
    assert total == counted == len(expected)


@pytest.mark.leaves_jobs
@given(query=queries(language=languages.JOB_LOGS))
@as_well
async def test_a_job_log_and_a_plain_reading_agree(
    database: Database, tenant: Tenant, entries: list[Row], query: dict[str, Any]
) -> None:
    parsed = parse_query(query, language=languages.JOB_LOGS)
    at = (tenant.company_id, tenant.application_id, list(JOB_NAMES), parsed)
    async with database.connection() as connection:
        found, total = await jobs.list_log(connection, *at, WHOLE)
        _, counted = await jobs.list_log(connection, *at, FULL)
    expected = [row.id for row in entries if holds(query, row)]
    assert [job.id for job in found] == expected
    assert total == counted == len(expected)


# Each comparison by itself: of what is drawn at random, most is met by no row


def operands_of(rows: list[Row], name: str, kind: Kind) -> list[Any]:
    """Null, and a few that some rows have or stand next to."""
    if kind is Kind.DATE:
        moments = sorted({moment for row in rows if (moment := row.dates[name])})
        return [None, 0, *(moment.isoformat() for moment in moments[:: len(moments) // 3])]
    if kind is Kind.ID:
        numbers = sorted({number for row in rows if (number := row.ids[name])})
        return [None, "f" * 24, *(hex_id(number) for number in numbers[:: len(numbers) // 3 + 1])]
    values = sorted({row.fields[name] for row in rows}, key=str)
    return [None, 5, *values[:: len(values) // 4 + 1], "ed"]


def conditions_of(rows: list[Row], language: Language) -> Iterator[dict[str, Any]]:
    for name, kind in language.items():
        if kind in (Kind.TRIGGERS, Kind.NODES):
            continue
        operands = operands_of(rows, name, kind)
        given = [operand for operand in operands if operand is not None]
        rules: list[dict[str, Any]] = [{rule: one} for rule in ("$eq", "$ne", *COMPARE) for one in operands]
        rules += [{rule: listed} for rule in ("$in", "$nin") for listed in ([], given[:1], given)]
        if kind in (Kind.TEXT, Kind.FLAG):
            rules += [{rule: one} for rule in TEXT for one in operands if isinstance(one, str)]
            rules += [{**rule, "$ci": True} for rule in rules]
        yield from ({name: rule} for rule in rules)


async def assert_each_condition(
    read: Callable[[dict[str, Any]], Awaitable[list[int]]], rows: list[Row], language: Language
) -> None:
    """As it is, and turned round: what SQL leaves open would be in neither."""
    for query in conditions_of(rows, language):
        expected = [row.id for row in rows if holds(query, row)]
        assert await read(query) == expected, query
        assert await read({"$nor": [query]}) == [row.id for row in rows if row.id not in expected], query


async def test_each_condition_on_versions(database: Database, rows: list[Row]) -> None:
    async with database.connection() as connection:

        async def read(query: dict[str, Any]) -> list[int]:
            found = compile_query(parse_query(query), first=1, constants=CONSTANTS)
            sql = f"SELECT id FROM flow_versions v WHERE {found.sql} ORDER BY id"
            return [row["id"] for row in await connection.fetch(sql, *found.parameters)]

        await assert_each_condition(read, rows, languages.VERSIONS)


async def test_each_condition_on_flows(database: Database, tenant: Tenant, flow_rows: list[Row]) -> None:
    async with database.connection() as connection:

        async def read(query: dict[str, Any]) -> list[int]:
            parsed = parse_query(query, language=languages.FLOWS)
            found, _ = await flows.list_page(connection, tenant.company_id, tenant.application_id, parsed, WHOLE)
            return [flow.id for flow in found]

        await assert_each_condition(read, flow_rows, languages.FLOWS)


async def test_each_condition_on_namesakes(database: Database, tenant: Tenant, namesakes: list[Row]) -> None:
    async with database.connection() as connection:

        async def read(query: dict[str, Any]) -> list[int]:
            at = (tenant.company_id, tenant.application_id, "v1", parse_query(query, language=languages.NAMESAKES))
            found, _ = await flow_versions.list_namesakes(connection, *at, WHOLE)
            return [version.id for version, _ in found]

        await assert_each_condition(read, namesakes, languages.NAMESAKES)


@pytest.mark.leaves_jobs
async def test_each_condition_on_a_job_log(database: Database, tenant: Tenant, entries: list[Row]) -> None:
    async with database.connection() as connection:

        async def read(query: dict[str, Any]) -> list[int]:
            at = (tenant.company_id, tenant.application_id, list(JOB_NAMES))
            found, _ = await jobs.list_log(connection, *at, parse_query(query, language=languages.JOB_LOGS), WHOLE)
            return [job.id for job in found]

        await assert_each_condition(read, entries, languages.JOB_LOGS)


# What stands in for a query on flows


def default_triggers(row: Row) -> list[dict[str, Any]]:
    """Of the default version, which is the first beside the develop content, or of the develop content."""
    return (row.lists if row.ids["defaultVersion"] is None else row.contents[0])["triggers"]


def fits(trigger: dict[str, Any], kind: str | None, key: str | None) -> bool:
    wanted = {"type": kind, "key": key}
    return all(text is None or trigger.get(name) == text for name, text in wanted.items())


pairs = st.tuples(
    st.none() | st.sampled_from([*TYPES, "1"]), st.none() | st.sampled_from([f"k{place}" for place in range(6)])
)


@given(wanted=st.lists(pairs, min_size=1, max_size=3), glob=st.sampled_from(["*", "a*", "*%", "nothing"]))
@as_well
async def test_a_trigger_filter_asks_what_runs_by_default(
    database: Database,
    tenant: Tenant,
    flow_rows: list[Row],
    wanted: list[tuple[str | None, str | None]],
    glob: str,
) -> None:
    selection = Combination(Group.AND, (Glob(glob, "name"), TriggerFilter(tuple(wanted))))
    at = (tenant.company_id, tenant.application_id, selection)
    async with database.connection() as connection:
        found, total = await flows.list_page(connection, *at, WHOLE)
        _, counted = await flows.list_page(connection, *at, FULL)
    pattern = re.compile(".*".join(re.escape(part) for part in glob.split("*")))
    expected = [
        row.id
        for row in flow_rows
        if pattern.fullmatch(str(row.fields["name"]))
        and any(fits(trigger, kind, key) for trigger in default_triggers(row) for kind, key in wanted)
    ]
    assert [flow.id for flow in found] == expected
    assert total == counted == len(expected)


async def test_versions_are_filtered_by_the_triggers_of_their_flow(
    database: Database, tenant: Tenant, flow_rows: list[Row]
) -> None:
    """By those it runs by default, whatever the version itself has."""
    selection = TriggerFilter((("timer", None),))
    at = (tenant.company_id, tenant.application_id, "v2", Combination(Group.AND, (selection,)), WHOLE)
    async with database.connection() as connection:
        found, _ = await flow_versions.list_namesakes(connection, *at)
    expected = {
        row.id
        for row in flow_rows
        if len(row.contents) > 1 and any(fits(trigger, "timer", None) for trigger in default_triggers(row))
    }
    assert {version.flow_id for version, _ in found} == expected
    assert 0 < len(expected) < len([row for row in flow_rows if len(row.contents) > 1])


async def test_what_has_no_text_equals_null_alone(tenant: Tenant, database: Database) -> None:
    """No list asks about such a field yet, so this one is made up: the description of a flow."""
    subject = Subject({"said": languages.Kind.TEXT}, {"said": Place("f.description", nullable=True)}, key="f.id")
    made = {text: (await tenant.make_flow(description=text)).id for text in (None, "", "a", "b")}

    async def found(rule: Any) -> set[str | None]:
        query = parse_query({"said": rule}, language=subject.language)
        predicate = compile_query(Combination(Group.NOR, (query,)), first=1, subject=subject)
        async with database.connection() as connection:
            rows = await connection.fetch(f"SELECT id FROM flows f WHERE {predicate.sql}", *predicate.parameters)
        left = {row["id"] for row in rows}
        return {text for text, number in made.items() if number not in left}

    assert await found(None) == await found({"$eq": None}) == {None}
    assert await found({"$ne": None}) == {"", "a", "b"}
    assert await found("a") == {"a"}
    assert await found({"$ne": "a"}) == {None, "", "b"}
    assert await found({"$in": ["a", "c"]}) == {"a"}
    assert await found({"$nin": ["a"]}) == {None, "", "b"}
    assert await found({"$lt": "b"}) == {"", "a"}
    assert await found({"$gt": None}) == set()
    assert await found({"$contains": "a"}) == {"a"}
    assert await found({"$ne": 5}) == {None, "", "a", "b"}


# Orders


def test_every_field_stands_somewhere() -> None:
    """But for those of a version that are its flow's, and those that are the same everywhere."""
    missing = {
        id(subject): set(subject.language) - set(subject.places) - set(subject.constants)
        for subject in (FLOWS, NAMESAKES, JOB_LOGS)
    }
    assert set().union(*missing.values()) == set()
    assert set(VERSIONS.language) - set(VERSIONS.places) == {"name", "flowClass", "customNodeSupports"}


def value_of(row: Row, sort: str) -> Any:
    """What a row is sorted by; texts by their bytes."""
    if sort in row.dates:
        return row.dates[sort]
    return row.ids.get(sort, 0) if sort not in row.fields else str(row.fields[sort]).encode()


def sorted_ids(rows: list[Row], sort: str, *, descending: bool) -> list[int]:
    """What is not there comes first, equal values go by id; descending is the very reverse."""
    absent = [row for row in rows if value_of(row, sort) is None]
    present = [row for row in rows if value_of(row, sort) is not None]
    ordered = sorted(absent, key=lambda row: row.id) + sorted(present, key=lambda row: (value_of(row, sort), row.id))
    return [row.id for row in (reversed(ordered) if descending else ordered)]


Read = Callable[[Order], Awaitable[tuple[list[int], int]]]


async def assert_ordered(read: Read, rows: list[Row], sort: str) -> None:
    """In both directions, as one page and page by page."""
    for descending in (False, True):
        expected = sorted_ids(rows, sort, descending=descending)
        assert await read(Order(sort, descending, limit=1_000, offset=0)) == (expected, len(expected))
        for offset in range(0, len(expected) + 5, 5):
            page = await read(Order(sort, descending, limit=5, offset=offset))
            assert page == (expected[offset : offset + 5], len(expected))


@pytest.mark.parametrize("sort", ["name", "id", "creationDate", "lastUpdated"])
async def test_flows_are_sorted(database: Database, tenant: Tenant, flow_rows: list[Row], sort: str) -> None:
    async def read(order: Order) -> tuple[list[int], int]:
        async with database.connection() as connection:
            at = (tenant.company_id, tenant.application_id, EVERYTHING, order)
            found, total = await flows.list_page(connection, *at)
        return [flow.id for flow in found], total

    await assert_ordered(read, flow_rows, sort)


@pytest.mark.parametrize("sort", ["name", "id", "creationDate", "lastUpdated"])
async def test_namesakes_are_sorted(database: Database, tenant: Tenant, namesakes: list[Row], sort: str) -> None:
    """By the name of their flow, or by what is their own."""

    async def read(order: Order) -> tuple[list[int], int]:
        async with database.connection() as connection:
            at = (tenant.company_id, tenant.application_id, "v1", EVERYTHING, order)
            found, total = await flow_versions.list_namesakes(connection, *at)
        return [version.id for version, _ in found], total

    await assert_ordered(read, namesakes, sort)


@pytest.mark.leaves_jobs
@pytest.mark.parametrize("sort", ["name", "status", "resourceType", "runQueuedAt", "runStartedAt", "runCompletedAt"])
async def test_a_job_log_is_sorted(database: Database, tenant: Tenant, entries: list[Row], sort: str) -> None:
    """By the words it shows, not by those that are stored."""

    async def read(order: Order) -> tuple[list[int], int]:
        async with database.connection() as connection:
            at = (tenant.company_id, tenant.application_id, list(JOB_NAMES), EVERYTHING, order)
            found, total = await jobs.list_log(connection, *at)
        return [job.id for job in found], total

    await assert_ordered(read, entries, sort)
