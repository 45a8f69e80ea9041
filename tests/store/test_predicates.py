"""The compiled predicate and a plain reading of the language agree, on hostile names and random queries."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.domain.identifiers import LARGEST_ID, hex_id
from core.domain.query import parse_query
from core.store.database import Database
from core.store.predicates import compile_query
from tests.support.tenants import Tenant

NAMES = [
    "a",
    "A",
    "b",
    "ab",
    "a%",
    "a_",
    "a\\",
    "100%",
    "Ärger",
    "ärger",
    "STRASSE",
    "straße",
    "'; --",
    "$1",
    "é",
    "😀",
    "zz",
]
"""Names that a careless compiler would get wrong: LIKE and SQL metacharacters, case that folds to other lengths."""

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": operator.gt,
    "$lt": operator.lt,
    "$gte": operator.ge,
    "$lte": operator.le,
}
TEXT: dict[str, Callable[[str, str], bool]] = {
    "$startsWith": str.startswith,
    "$endsWith": str.endswith,
    "$contains": lambda name, part: part in name,
}

scalars = st.sampled_from(NAMES) | st.sampled_from(["", "c", "\U0010ffff", 5, 1.5, True, None])
members = st.sampled_from(NAMES) | st.integers(0, 3) | st.booleans()
text_rules = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("$eq", "$ne", *COMPARE), scalars),
        **{name: st.sampled_from([*NAMES, "r", "S"]) for name in TEXT},
        "$in": st.lists(members, max_size=4),
        "$nin": st.lists(members, max_size=4),
    },
).filter(bool)
versions = scalars | text_rules | st.builds(lambda rules, ci: {**rules, "$ci": ci}, text_rules, st.booleans())
ids = st.integers(1, len(NAMES) + 2).map(hex_id) | st.sampled_from([hex_id(LARGEST_ID), "f" * 24])
id_rules = st.one_of(
    ids | st.none(),
    *(st.fixed_dictionaries({name: ids | st.none()}) for name in ("$eq", "$ne", *COMPARE)),
    *(st.fixed_dictionaries({name: st.lists(ids, max_size=4)}) for name in ("$in", "$nin")),
)
queries = st.recursive(
    st.fixed_dictionaries({}, optional={"version": versions, "id": id_rules}),
    lambda inner: st.fixed_dictionaries(
        {}, optional={"version": versions, **{name: st.lists(inner, max_size=3) for name in ("$and", "$or", "$nor")}}
    ),
    max_leaves=6,
)


@pytest.fixture
async def rows(tenant: Tenant, database: Database) -> dict[int, str]:
    """The names above as versions: id -> name."""
    flow = await tenant.make_flow()
    for name in NAMES:
        await tenant.make_version(flow, name)
    async with database.connection() as connection:
        found = await connection.fetch("SELECT id, name FROM flow_versions")
    return {row["id"]: row["name"] for row in found}


@given(query=queries)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_sql_and_a_plain_reading_agree(database: Database, rows: dict[int, str], query: dict[str, Any]) -> None:
    predicate = compile_query(parse_query(query), first=1)
    async with database.connection() as connection:
        found = await connection.fetch(f"SELECT id FROM flow_versions v WHERE {predicate.sql}", *predicate.parameters)
    assert {row["id"] for row in found} == {number for number, name in rows.items() if holds(query, number, name)}


def holds(query: dict[str, Any], number: int, name: str) -> bool:
    """Losant's language read plainly, one row at a time."""
    return all(_part_holds(key, value, number, name) for key, value in query.items())


def _part_holds(key: str, value: Any, number: int, name: str) -> bool:
    if key == "$and":
        return all(holds(one, number, name) for one in value)
    if key == "$or":
        return not value or any(holds(one, number, name) for one in value)
    if key == "$nor":
        return bool(value) and not any(holds(one, number, name) for one in value)
    rules = value if isinstance(value, dict) else {"$eq": value}
    if key == "id":
        return all(_id_holds(rule, operand, number) for rule, operand in rules.items())
    fold = str.casefold if rules.get("$ci") else str
    return all(_text_holds(rule, operand, name, fold) for rule, operand in rules.items() if rule != "$ci")


def _id_holds(rule: str, operand: Any, number: int) -> bool:
    if rule in ("$in", "$nin"):
        return (number in [int(one, 16) for one in operand]) == (rule == "$in")
    if operand is None:
        return rule == "$ne"
    other = int(operand, 16)
    if rule in COMPARE:
        return COMPARE[rule](number, other)
    return (number == other) == (rule == "$eq")


def _text_holds(rule: str, operand: Any, name: str, fold: Callable[[str], str]) -> bool:
    if rule in ("$in", "$nin"):
        return (fold(name) in [fold(one) for one in operand if isinstance(one, str)]) == (rule == "$in")
    if not isinstance(operand, str):
        return rule == "$ne"
    if rule in TEXT:
        return TEXT[rule](fold(name), fold(operand))
    if rule in COMPARE:
        return COMPARE[rule](fold(name).encode(), fold(operand).encode())
    return (fold(name) == fold(operand)) == (rule == "$eq")
