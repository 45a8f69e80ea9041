"""The roll-up's loop: what has ended is counted soon, and all of it where there is more than one transaction takes."""

from __future__ import annotations

import asyncio

import pytest

from core.domain.runs import RunStatus
from core.operations.rollup import Folded, fold_endings
from core.store.database import Database
from tests.support.metrics import compare, end, run_some
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
    assert await roller.run_once() == Folded(0, False)
    await run_some(await make_runnable(tenant, None), *[RunStatus.SUCCESS] * 4)
    assert [await roller.run_once() for _ in range(3)] == [Folded(3, True), Folded(1, False), Folded(0, False)]


async def test_what_runners_told_at_length_is_folded_a_few_at_a_time(tenant: Tenant, database: Database) -> None:
    runnable = await make_runnable(tenant, None)
    for number in range(3):
        await end(runnable, await runnable.start(), metrics={f"{number} {name}": 1 for name in range(100)})
    length = len('{"0 99": 1}') * 100
    assert [await fold_endings(database, 100, told=length) for _ in range(3)] == [
        Folded(2, True), Folded(1, True), Folded(0, False)
    ]  # fmt: skip
    assert (await compare(database))[1] == []
