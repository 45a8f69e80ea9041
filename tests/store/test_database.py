"""Connections: kept at hand after good use, and looked at or replaced after any other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from core.settings import Settings
from core.store.database import LONGEST_REST_SECONDS, Connection, Database, open_database
from tests.support.waiting import until


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def clock() -> Clock:
    return Clock()


@pytest.fixture
async def database(settings: Settings, clock: Clock) -> AsyncIterator[Database]:
    """Of one connection, so that whoever comes next gets the same one, if it is kept."""
    pool = await asyncpg.create_pool(settings.database_url, min_size=0, max_size=1)
    database = Database(pool, 1, pooled=False, monotonic=clock)
    yield database
    await database.give_up()
    await asyncio.wait_for(pool.close(), 10)


async def session(connection: Connection) -> int:
    number: int = await connection.fetchval("SELECT pg_backend_pid()")
    return number


async def visit(database: Database) -> int:
    async with database.connection() as connection:
        return await session(connection)


async def test_a_connection_stays_at_hand(database: Database, clock: Clock) -> None:
    first = await visit(database)
    clock.now += LONGEST_REST_SECONDS - 1
    assert await visit(database) == first


async def test_one_that_rested_too_long_is_replaced(database: Database, clock: Clock) -> None:
    first = await visit(database)
    clock.now += LONGEST_REST_SECONDS
    assert await visit(database) != first


async def test_one_that_was_closed_is_replaced(database: Database, settings: Settings) -> None:
    first = await visit(database)
    killer = await asyncpg.connect(settings.database_url)
    await killer.execute("SELECT pg_terminate_backend($1, 5000)", first)
    await killer.close()
    async with database.connection() as connection:
        try:
            second = await session(connection)
        except asyncpg.PostgresConnectionError:  # the news of its end was still on the way
            second = first
    assert await visit(database) != first
    assert second in (first, await visit(database))


async def test_one_left_in_a_transaction_does_not_stay_in_it(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute("BEGIN")
        await connection.execute("CREATE TABLE half_done (id int)")
    async with database.connection() as connection:
        assert not connection.is_in_transaction()
        assert await connection.fetchval("SELECT to_regclass('half_done')") is None


async def test_one_whose_user_was_cancelled_is_fit_for_the_next(database: Database) -> None:
    begun = asyncio.Event()

    async def use() -> None:
        async with database.connection() as connection, connection.transaction():
            await connection.execute("CREATE TABLE half_done (id int)")
            begun.set()
            await connection.execute("SELECT pg_sleep(60)")

    task = asyncio.create_task(use())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT to_regclass('half_done')") is None


async def test_a_door_that_was_left_by_an_error_lets_the_next_one_in(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with database.connection():
            _ = 1 / 0
    assert await visit(database)


async def test_everything_closes_with_the_context(settings: Settings) -> None:
    async with open_database(settings, role="closing", size=2) as database:
        await visit(database)
    watcher = await asyncpg.connect(settings.database_url)
    left = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'penstock closing'"

    async def all_gone() -> bool:
        count: int = await watcher.fetchval(left)
        return count == 0

    await until(all_gone, "the connections are closed")
    await watcher.close()
