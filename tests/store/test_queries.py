"""Every named query can be prepared on the migrated database, and somebody calls it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

import core.store
from core.store.queries import queries_of, query, tables

NAMES = [f"{table}.{name}" for table in tables() for name in queries_of(table)]


@pytest.fixture(scope="module")
async def connection(postgres: object, template: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    from tests.support.databases import named
    from tests.support.servers import RunningServer

    assert isinstance(postgres, RunningServer)
    connection = await asyncpg.connect(named(postgres.url, template))
    yield connection
    await connection.close()


@pytest.mark.parametrize("name", NAMES)
async def test_prepares(connection: asyncpg.Connection[asyncpg.Record], name: str) -> None:
    await connection.prepare(query(name))


@pytest.mark.parametrize("name", NAMES)
def test_says_what_it_is_for(name: str) -> None:
    assert query(name).startswith("-- "), "a line of purpose comes first"


def test_every_query_is_used_once() -> None:
    folder = Path(core.store.__file__).parent
    used = re.findall(r'query\("([a-z_.]+)"\)', "".join(file.read_text() for file in folder.glob("*.py")))
    assert sorted(used) == sorted(NAMES)
