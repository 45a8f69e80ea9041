"""The roll-up's loop: what has ended is counted soon, and all of it where there is more than one transaction takes."""

from __future__ import annotations

import asyncio

import pytest

from core.domain.runs import RunStatus
from core.store.database import Database
from tests.support.metrics import compare, run_some
from tests.support.runs import make_runnable
from tests.support.tenants import Tenant
from tests.support.waiting import until
from worker import loops
from worker.ending import end_tasks
from worker.loops import run_roller
from worker.roller import Roller

pytestmark = pytest.mark.leaves_jobs


async def test_the_loop_counts_all_that_has_ended(
    tenant: Tenant, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a pause while batches are full: the one after this would be too late for the test."""
    monkeypatch.setattr(loops, "ROLLED_AT_ONCE", 2)
    monkeypatch.setattr(loops, "ROLL_SECONDS", 3_600.0)
    await run_some(await make_runnable(tenant, None), *[RunStatus.SUCCESS, RunStatus.FAILURE] * 4)

    async def counted() -> bool:
        return (await compare(database))[1] == []

    loop = asyncio.create_task(run_roller(Roller(database, batch=2)))
    try:
        await until(counted, "every run is counted")
    finally:
        await end_tasks([loop])


async def test_a_round_says_what_it_did(tenant: Tenant, database: Database) -> None:
    roller = Roller(database, batch=3)
    assert await roller.run_once() == 0
    await run_some(await make_runnable(tenant, None), *[RunStatus.SUCCESS] * 4)
    assert [await roller.run_once() for _ in range(3)] == [3, 1, 0]
