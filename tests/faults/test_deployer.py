"""Deployers that die in the middle of a planned deploy."""

from __future__ import annotations

from core.domain.flows import Flow
from core.store.queries import query
from tests.faults import unguarded
from tests.faults.conftest import NewGround, Promise
from tests.faults.ground import Ground
from tests.support.lifecycles import come_due, place, tomorrow, views
from tests.support.waiting import now, until
from tests.support.wire import Wire
from worker.deployer import Deployer

MOST_SECONDS = 5.0
"""Until another scheduler is up and has carried out what the first one left: starting a process takes most of it."""


async def make_planned(ground: Ground) -> tuple[Flow, int, int]:
    """A flow whose deployed version is to be replaced by another one now; both their ids."""
    flow = await ground.make_flow(2)
    planned, old = await views(ground.tenant, flow)
    await place(ground.tenant, flow, old.id, tomorrow())
    await come_due(ground.tenant)
    assert await Deployer(ground.database).run_once() == 1
    await place(ground.tenant, flow, planned.id, tomorrow())
    await come_due(ground.tenant)
    return flow, old.id, planned.id


async def deployed(ground: Ground, flow: Flow) -> list[int]:
    return [view.id for view in await views(ground.tenant, flow) if view.status == "Deployed"]


async def times_deployed(ground: Ground, version_id: int) -> int:
    async with ground.database.connection() as connection:
        count: int = await connection.fetchval(
            "SELECT count(*) FROM audit_events WHERE action = 'version.deploy' AND subject_id = $1", version_id
        )
    return count


async def test_killed_in_a_deploy(new_ground: NewGround, promise: Promise) -> None:
    """scheduler killed -9 twice in the middle of a planned deploy"""
    ground, other = await new_ground(), await new_ground()
    flow, old, planned = await make_planned(ground)
    for statement in ("deployments.promote_version", "flows.touch_flow"):
        async with Wire(ground.database_url) as wire:
            stop = wire.stop_before(query(statement))
            scheduler = await ground.start("scheduler", DATABASE_URL=wire.url)
            await stop.reached()
            await scheduler.kill()
            stop.drop()
        assert await deployed(ground, flow) == [old], "a deploy is all of it or nothing"
    began = now()
    await ground.start("scheduler")

    async def is_deployed() -> bool:
        return await deployed(ground, flow) == [planned]

    await until(is_deployed, "another scheduler has carried it out")
    took = now() - began
    assert await times_deployed(ground, planned) == 1
    assert await Deployer(ground.database).run_once() == 0
    assert took <= MOST_SECONDS

    flow, old, planned = await make_planned(other)
    await unguarded.take_back_before_deploying(other.database)
    assert await Deployer(other.database).run_once() == 0
    assert await deployed(other, flow) == [old]
    promise.kept(
        f"deployed once, {took:.1f} s after a third began",
        control="taken off the plan in a transaction of its own, the deploy never came",
    )
