"""Lists of flows, of namesakes and of the job log agree with a plain reading of their languages and of their orders.

Each goes through the one function that reads it, page and count.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.domain import languages
from core.domain.identifiers import parse_hex_id
from core.domain.query import EVERYTHING, Combination, Glob, Group, TriggerFilter, parse_query
from core.operations.shown import Page
from core.store.database import Database
from core.store.lists import Order
from tests.support.conditions import assert_each_condition
from tests.support.evaluator import Row, holds, holds_somewhere
from tests.support.grounds import page_of_flows, page_of_job_log, page_of_namesakes
from tests.support.queries import TYPES, insert_flows, insert_job_log, insert_namesakes, queries
from tests.support.tenants import Tenant

as_well = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
"""They share the compiler with the lists of versions, and differ only in where the fields stand."""

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
    async with database.connection() as connection:
        found = await page_of_flows(connection, tenant, parsed, all_versions=all_versions)
        counted = await page_of_flows(connection, tenant, parsed, FULL, all_versions=all_versions)
    expected = [row.id for row in flow_rows if (holds_somewhere if all_versions else holds)(query, row)]
    assert list(found.ids) == expected
    assert found.total == counted.total == len(expected)


@given(query=queries(language=languages.NAMESAKES))
@as_well
async def test_a_list_of_namesakes_and_a_plain_reading_agree(
    database: Database, tenant: Tenant, namesakes: list[Row], query: dict[str, Any]
) -> None:
    parsed = parse_query(query, language=languages.NAMESAKES)
    async with database.connection() as connection:
        found = await page_of_namesakes(connection, tenant, "v1", parsed)
        counted = await page_of_namesakes(connection, tenant, "v1", parsed, FULL)
    expected = [row.id for row in namesakes if holds(query, row)]
    assert list(found.ids) == expected
    assert found.total == counted.total == len(expected)


@pytest.mark.leaves_jobs
@given(query=queries(language=languages.JOB_LOGS))
@as_well
async def test_a_job_log_and_a_plain_reading_agree(
    database: Database, tenant: Tenant, entries: list[Row], query: dict[str, Any]
) -> None:
    parsed = parse_query(query, language=languages.JOB_LOGS)
    async with database.connection() as connection:
        found = await page_of_job_log(connection, tenant, parsed)
        counted = await page_of_job_log(connection, tenant, parsed, FULL)
    expected = [row.id for row in entries if holds(query, row)]
    assert list(found.ids) == expected
    assert found.total == counted.total == len(expected)


async def test_each_condition_on_flows(database: Database, tenant: Tenant, flow_rows: list[Row]) -> None:
    async with database.connection() as connection:

        async def read(query: dict[str, Any]) -> list[int]:
            parsed = parse_query(query, language=languages.FLOWS)
            return list((await page_of_flows(connection, tenant, parsed)).ids)

        await assert_each_condition(read, flow_rows, languages.FLOWS)


async def test_each_condition_on_namesakes(database: Database, tenant: Tenant, namesakes: list[Row]) -> None:
    async with database.connection() as connection:

        async def read(query: dict[str, Any]) -> list[int]:
            parsed = parse_query(query, language=languages.NAMESAKES)
            return list((await page_of_namesakes(connection, tenant, "v1", parsed)).ids)

        await assert_each_condition(read, namesakes, languages.NAMESAKES)


@pytest.mark.leaves_jobs
async def test_each_condition_on_a_job_log(database: Database, tenant: Tenant, entries: list[Row]) -> None:
    async with database.connection() as connection:

        async def read(query: dict[str, Any]) -> list[int]:
            parsed = parse_query(query, language=languages.JOB_LOGS)
            return list((await page_of_job_log(connection, tenant, parsed)).ids)

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
    async with database.connection() as connection:
        found = await page_of_flows(connection, tenant, selection)
        counted = await page_of_flows(connection, tenant, selection, FULL)
    pattern = re.compile(".*".join(re.escape(part) for part in glob.split("*")))
    expected = [
        row.id
        for row in flow_rows
        if pattern.fullmatch(str(row.fields["name"]))
        and any(fits(trigger, kind, key) for trigger in default_triggers(row) for kind, key in wanted)
    ]
    assert list(found.ids) == expected
    assert found.total == counted.total == len(expected)


async def test_versions_are_filtered_by_the_triggers_of_their_flow(
    database: Database, tenant: Tenant, flow_rows: list[Row]
) -> None:
    """By those it runs by default, whatever the version itself has."""
    selection = Combination(Group.AND, (TriggerFilter((("timer", None),)),))
    async with database.connection() as connection:
        found = await page_of_namesakes(connection, tenant, "v2", selection)
    expected = {
        row.id
        for row in flow_rows
        if len(row.contents) > 1 and any(fits(trigger, "timer", None) for trigger in default_triggers(row))
    }
    assert {parse_hex_id(shown["flowId"]) for shown in orjson.loads(b"[" + found.items + b"]")} == expected
    assert 0 < len(expected) < len([row for row in flow_rows if len(row.contents) > 1])


# Orders


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


Read = Callable[[Order], Awaitable[Page]]


async def assert_ordered(read: Read, rows: list[Row], sort: str) -> None:
    """In both directions, as one page and page by page."""
    for descending in (False, True):
        expected = sorted_ids(rows, sort, descending=descending)
        whole = await read(Order(sort, descending, limit=1_000, offset=0))
        assert (list(whole.ids), whole.total) == (expected, len(expected))
        for offset in range(0, len(expected) + 5, 5):
            page = await read(Order(sort, descending, limit=5, offset=offset))
            assert (list(page.ids), page.total) == (expected[offset : offset + 5], len(expected))


@pytest.mark.parametrize("sort", ["name", "id", "creationDate", "lastUpdated"])
async def test_flows_are_sorted(database: Database, tenant: Tenant, flow_rows: list[Row], sort: str) -> None:
    async def read(order: Order) -> Page:
        async with database.connection() as connection:
            return await page_of_flows(connection, tenant, EVERYTHING, order)

    await assert_ordered(read, flow_rows, sort)


@pytest.mark.parametrize("sort", ["name", "id", "creationDate", "lastUpdated"])
async def test_namesakes_are_sorted(database: Database, tenant: Tenant, namesakes: list[Row], sort: str) -> None:
    """By the name of their flow, or by what is their own."""

    async def read(order: Order) -> Page:
        async with database.connection() as connection:
            return await page_of_namesakes(connection, tenant, "v1", EVERYTHING, order)

    await assert_ordered(read, namesakes, sort)


@pytest.mark.leaves_jobs
@pytest.mark.parametrize("sort", ["name", "status", "resourceType", "runQueuedAt", "runStartedAt", "runCompletedAt"])
async def test_a_job_log_is_sorted(database: Database, tenant: Tenant, entries: list[Row], sort: str) -> None:
    """By the words it shows, not by those that are stored."""

    async def read(order: Order) -> Page:
        async with database.connection() as connection:
            return await page_of_job_log(connection, tenant, EVERYTHING, order)

    await assert_ordered(read, entries, sort)
