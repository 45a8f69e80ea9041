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
from tests.support.agreement import Question, check_agreement, make_grounds, of_any_query
from tests.support.front import taken
from tests.support.grounds import Ground
from tests.support.tenants import make_tenant

Target: TypeAlias = Callable[[bytes], bool]
"""Tries one input. True: it was checked; False: it was rejected. Raises whatever else comes of it."""


@contextmanager
def open_front() -> Iterator[Target]:
    yield taken


@contextmanager
def open_agreement() -> Iterator[Target]:
    """The property as Hypothesis would try it, on the database of DATABASE_URL, whose flows are thrown away."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            opening = open_database(read_settings(), role="fuzz", size=1)
            database = runner.run(stack.enter_async_context(opening))
            yield _agreement(runner.get_loop(), database, runner.run(_grounds(database)))
        finally:
            runner.run(stack.aclose())


def _agreement(loop: asyncio.AbstractEventLoop, database: Database, grounds: Mapping[str, Ground]) -> Target:
    @of_any_query
    def agreement(question: Question) -> None:
        loop.run_until_complete(check_agreement(database, grounds, question))

    given: Any = agreement  # what Hypothesis adds to a function is in nobody's type
    fuzz_one_input: Callable[[bytes], bytes | None] = given.hypothesis.fuzz_one_input

    def target(raw: bytes) -> bool:
        return fuzz_one_input(raw) is not None

    return target


async def _grounds(database: Database) -> dict[str, Ground]:
    """The same rows under the same ids each time, so that an input means the same again."""
    async with database.connection() as connection:
        await connection.execute("TRUNCATE applications, flows, flow_versions, jobs RESTART IDENTITY CASCADE")
    return await make_grounds(database, lambda: make_tenant(database))


TARGETS: Mapping[str, Callable[[], AbstractContextManager[Target]]] = {
    "front": open_front,
    "agreement": open_agreement,
}

MUTATIONS: Mapping[str, Callable[[bytes, int, random.Random], bytes]] = {
    "front": mutations.reshaped,
    "agreement": mutations.drawn,
}
