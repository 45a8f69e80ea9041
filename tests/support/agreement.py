"""The property of the query language: the compiled SQL finds the rows that a plain reading says it should.

Hypothesis makes the queries up, for the tests at random and for `make fuzz` from the bytes it is given.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given

from core.domain.query import parse_query
from core.store.database import Database
from core.store.predicates import compile_query
from tests.support.evaluator import Row, holds
from tests.support.front import CONSTANTS
from tests.support.queries import queries

of_any_query = given(query=queries())


async def check_agreement(database: Database, rows: list[Row], query: dict[str, Any]) -> None:
    """`rows` are all the versions there are. Raises AssertionError naming the query and where the two differ."""
    predicate = compile_query(parse_query(query), first=1, constants=CONSTANTS)
    async with database.connection() as connection:
        found = await connection.fetch(f"SELECT id FROM flow_versions v WHERE {predicate.sql}", *predicate.parameters)
    differing = {row["id"] for row in found} ^ {row.id for row in rows if holds(query, row)}
    assert not differing, f"{query!r} is compiled to {predicate.sql} {predicate.parameters!r}; differing: {differing}"
