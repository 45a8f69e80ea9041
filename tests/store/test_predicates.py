"""The compiled predicate and a plain reading of the language agree, on hostile names and random queries."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.domain.query import Glob
from core.store.database import Database
from core.store.predicates import compile_selection
from tests.support.agreement import check_agreement, of_any_query
from tests.support.evaluator import Row
from tests.support.front import CONSTANTS
from tests.support.queries import NAMES, insert_rows
from tests.support.tenants import Tenant

at_length = settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
async def rows(tenant: Tenant, database: Database) -> list[Row]:
    flow = await tenant.make_flow()
    async with database.connection() as connection:
        return await insert_rows(connection, tenant.company_id, flow.id)


@of_any_query
@at_length
async def test_sql_and_a_plain_reading_agree(database: Database, rows: list[Row], query: dict[str, Any]) -> None:
    """`make fuzz` tries this very property on other queries."""
    await check_agreement(database, rows, query)


@given(glob=st.lists(st.sampled_from([*NAMES, "*", "**", "?", "[ab]", "."]), max_size=4).map("".join))
@at_length
async def test_a_glob_knows_only_the_star(database: Database, rows: list[Row], glob: str) -> None:
    predicate = compile_selection(Glob(glob), first=1, constants=CONSTANTS)
    async with database.connection() as connection:
        found = await connection.fetch(f"SELECT name FROM flow_versions v WHERE {predicate.sql}", *predicate.parameters)
    pattern = re.compile(".*".join(re.escape(part) for part in glob.split("*")), re.DOTALL)
    assert {row["name"] for row in found} == {
        str(row.fields["version"]) for row in rows if pattern.fullmatch(str(row.fields["version"]))
    }
