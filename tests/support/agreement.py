"""The property of the query language: the compiled SQL finds the rows that a plain reading says it should.

Hypothesis makes the queries up, for the tests at random and for `make fuzz` from the bytes it is given.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from core.domain.query import parse_query
from core.store.database import Database
from tests.support.evaluator import holds
from tests.support.grounds import KINDS, Ground
from tests.support.queries import queries
from tests.support.tenants import Tenant

Question: TypeAlias = tuple[str, dict[str, Any]]
"""A kind of row, one of KINDS, and what is asked of it."""

_kinds = st.sampled_from([*KINDS, "versions", "versions"])
"""What a bulk delete goes by is asked half of the time."""


def _asked(kind: str) -> st.SearchStrategy[Question]:
    return st.tuples(st.just(kind), queries(language=KINDS[kind].language))


of_any_query = given(question=_kinds.flatmap(_asked))


async def make_grounds(database: Database, make_tenant: Callable[[], Awaitable[Tenant]]) -> dict[str, Ground]:
    """Rows of every kind, each with a tenant of its own."""
    return {name: await kind.make(database, await make_tenant()) for name, kind in KINDS.items()}


async def check_agreement(database: Database, grounds: Mapping[str, Ground], question: Question) -> None:
    """Raises AssertionError naming the query and where the two differ."""
    name, query = question
    parsed, ground = parse_query(query, language=KINDS[name].language), grounds[name]
    async with database.connection() as connection:
        found = await ground.find(connection, parsed)
    differing = set(found) ^ {row.id for row in ground.rows if holds(query, row)}
    assert not differing, f"{query!r}, asked of {name}, is {parsed!r}; differing: {differing}"
