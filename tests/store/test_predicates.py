"""The compiled predicate and a plain reading of the language agree, on hostile names and random queries."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.domain import languages
from core.domain.query import Combination, Glob, Group, parse_query
from core.store.database import Database
from core.store.predicates import compile_query
from core.store.subjects import AUDIT_EVENTS, FLOWS, JOB_LOGS, NAMESAKES, VERSIONS, Place, Subject
from tests.support.agreement import Question, check_agreement, make_grounds, of_any_query
from tests.support.conditions import assert_each_condition
from tests.support.evaluator import Row
from tests.support.front import CONSTANTS
from tests.support.grounds import Ground
from tests.support.queries import NAMES, insert_rows
from tests.support.tenants import Tenant, make_tenant

at_length = settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
async def rows(tenant: Tenant, database: Database) -> list[Row]:
    flow = await tenant.make_flow()
    async with database.connection() as connection:
        return await insert_rows(connection, tenant.company_id, flow.id)


@pytest.fixture
async def grounds(database: Database) -> dict[str, Ground]:
    return await make_grounds(database, lambda: make_tenant(database))


@pytest.mark.leaves_jobs
@of_any_query
@at_length
async def test_sql_and_a_plain_reading_agree(
    database: Database, grounds: dict[str, Ground], question: Question
) -> None:
    """`make fuzz` tries this very property on other queries."""
    await check_agreement(database, grounds, question)


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


async def test_each_condition_on_versions(database: Database, rows: list[Row]) -> None:
    async with database.connection() as connection:

        async def read(query: dict[str, Any]) -> list[int]:
            found = compile_query(parse_query(query), first=1, constants=CONSTANTS)
            sql = f"SELECT id FROM flow_versions v WHERE {found.sql} ORDER BY id"
            return [row["id"] for row in await connection.fetch(sql, *found.parameters)]

        await assert_each_condition(read, rows, languages.VERSIONS)


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


def test_every_route_fields_stands_somewhere() -> None:
    """But for those of a version that are its flow's, and those that are the same everywhere."""
    missing = {
        id(subject): set(subject.language) - set(subject.places) - set(subject.constants)
        for subject in (FLOWS, NAMESAKES, JOB_LOGS, AUDIT_EVENTS)
    }
    assert set().union(*missing.values()) == set()
    assert set(VERSIONS.language) - set(VERSIONS.places) == {"name", "flowClass", "customNodeSupports"}
