"""PostgreSQL killed under everything."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from core.store.migrate import migrate
from tests.faults import unguarded
from tests.faults.conftest import Promise
from tests.faults.deletion import RECOVERY_SECONDS
from tests.faults.ground import open_ground
from tests.support.servers import open_folder, running_postgres_server
from tests.support.smtp import SmtpCatcher
from tests.support.waiting import now, until


@pytest.mark.long
async def test_killed(empty_redis_url: str, smtp: SmtpCatcher, promise: Promise) -> None:
    """PostgreSQL killed -9 in the middle of a deletion"""
    with open_folder() as folder:
        async with running_postgres_server(folder) as server:
            await _migrate(server.url)
            async with open_ground(server.url, empty_redis_url, smtp) as ground:
                torn = await ground.stage(300)
                await unguarded.move_without_counting(ground.database, await torn.claim(), 100, ground.terms)
                roles = await asyncio.gather(ground.start("api"), ground.start("scheduler"), ground.start("worker"))
                deletion = await ground.delete(20_000, locks=(0.5,))
                await deletion.locks[0].waited_for()
                before = await deletion.progress()
                await server.kill()
                await server.start()
                began = now()
                after = await deletion.resumed(before.attempt)
                recovery = now() - began
                account = await deletion.accounted()
                assert all(role.running for role in roles)
                assert after.position >= before.position
                assert recovery <= RECOVERY_SECONDS

                wrong = await torn.ended()
                removed = await torn.in_trash()
                assert (wrong.status, wrong.removed, wrong.reasons, removed) == ("completed", 200, {"gone": 100}, 300)
                await until(ground.idle, "everything has ended")
    promise.kept(
        f"{account}; recovery {recovery:.1f} s",
        control=f"counted in a second transaction, {removed} were removed and {wrong.removed} accounted",
    )


async def _migrate(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await migrate(connection)
    finally:
        await connection.close()
