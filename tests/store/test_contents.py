"""What other tests rely on: a write is noticed, wherever it was and whoever committed it."""

from __future__ import annotations

import asyncio

import pytest

from core.store.database import Database
from tests.support.contents import unchanged
from tests.support.tenants import Tenant

RENAME = "UPDATE companies SET name = name || '!'"


async def test_a_change_is_found(database: Database, tenant: Tenant) -> None:
    with pytest.raises(AssertionError, match="wrote something"):
        async with unchanged(database), database.connection() as connection:
            await connection.execute(RENAME)


async def test_a_change_is_found_that_had_begun_before(database: Database, tenant: Tenant) -> None:
    """Whatever was numbered later and committed sooner."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def change() -> None:
        async with database.connection() as connection, connection.transaction():
            await connection.execute(RENAME)
            begun.set()
            await go_on.wait()

    changing = asyncio.create_task(change())
    await begun.wait()
    async with database.connection() as connection:
        await connection.execute("UPDATE applications SET name = name || '!'")

    async def look() -> None:
        async with unchanged(database):
            go_on.set()
            await changing

    with pytest.raises(AssertionError, match="wrote something"):
        await look()


async def test_what_is_taken_back_is_no_change(database: Database, tenant: Tenant) -> None:
    async with unchanged(database), database.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(RENAME)
        await transaction.rollback()
