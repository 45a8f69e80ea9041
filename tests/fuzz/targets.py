"""What is fuzzed, as functions of bytes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, contextmanager
from typing import Any, TypeAlias

from core.settings import read_settings
from core.store.database import Database, open_database
from tests.fuzz import mutations
from tests.support.agreement import check_agreement, of_any_query
from tests.support.evaluator import Row
from tests.support.front import taken
from tests.support.queries import insert_rows
from tests.support.tenants import make_tenant

Target: TypeAlias = Callable[[bytes], bool]
"""Tries one input. True: it was checked; False: it was rejected. Raises whatever else comes of it."""


@contextmanager
def open_front() -> Iterator[Target]:
    yield taken


@contextmanager
def open_agreement() -> Iterator[Target]:
    """The property as Hypothesis would try it, on the database of DATABASE_URL, whose versions are thrown away."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            opening = open_database(read_settings(), role="fuzz", size=1)
            database = runner.run(stack.enter_async_context(opening))
            yield _agreement(runner.get_loop(), database, runner.run(_rows(database)))
        finally:
            runner.run(stack.aclose())


def _agreement(loop: asyncio.AbstractEventLoop, database: Database, rows: list[Row]) -> Target:
    @of_any_query
    def agreement(query: dict[str, Any]) -> None:
        loop.run_until_complete(check_agreement(database, rows, query))

    given: Any = agreement  # what Hypothesis adds to a function is in nobody's type
    fuzz_one_input: Callable[[bytes], bytes | None] = given.hypothesis.fuzz_one_input

    def target(raw: bytes) -> bool:
        return fuzz_one_input(raw) is not None

    return target


async def _rows(database: Database) -> list[Row]:
    """The same rows under the same ids each time, so that an input means the same again."""
    tenant = await make_tenant(database)
    flow = await tenant.make_flow()
    async with database.connection() as connection:
        await connection.execute("TRUNCATE flow_versions RESTART IDENTITY")
        return await insert_rows(connection, tenant.company_id, flow.id)


TARGETS: Mapping[str, Callable[[], AbstractContextManager[Target]]] = {
    "front": open_front,
    "agreement": open_agreement,
}

MUTATIONS: Mapping[str, Callable[[bytes, int, random.Random], bytes]] = {
    "front": mutations.reshaped,
    "agreement": mutations.drawn,
}
