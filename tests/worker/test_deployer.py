"""Planned deploys: at their instant, once, however late and however many deployers there are."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from core.domain.flows import Flow
from core.domain.versions import VersionStatus
from core.operations import lifecycle
from core.store.database import Connection
from tests.support.lifecycles import come_due, place, start_draft, tomorrow, views
from tests.support.logs import Logs
from tests.support.tenants import KEEP, Tenant, make_tenant
from tests.support.waiting import until
from worker.deployer import Deployer
from worker.loops import DEPLOY_SECONDS, run_deployer


@pytest.fixture
def deployer(tenant: Tenant) -> Deployer:
    return Deployer(tenant.database)


async def plan(tenant: Tenant, flow: Flow, version_id: int, at: datetime | None = None) -> None:
    await place(tenant, flow, version_id, at or tomorrow())


async def make_planned(tenant: Tenant, name: str = "v") -> tuple[Flow, int]:
    """A flow with a deployed version, and another one that is planned."""
    flow = await tenant.make_flow()
    await tenant.deploy(flow, await tenant.make_version(flow, "before"))
    version = await tenant.make_version(flow, name)
    await plan(tenant, flow, version.id)
    return flow, version.id


async def deployed(tenant: Tenant, flow: Flow) -> list[int]:
    return [view.id for view in await views(tenant, flow) if view.status is VersionStatus.DEPLOYED]


async def events(tenant: Tenant, action: str) -> list[dict[str, object]]:
    async with tenant.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT actor_type, subject_id, details FROM audit_events"
            " WHERE company_id = $1 AND action = $2 ORDER BY id",
            tenant.company_id,
            action,
        )
    return [{**row, "details": orjson.loads(row["details"])} for row in rows]


async def test_nothing_happens_before_its_time(tenant: Tenant, deployer: Deployer) -> None:
    flow, version_id = await make_planned(tenant)
    assert await deployer.run_once() == 0
    due_in = await deployer.due_in()
    assert due_in is not None
    assert 86_000 < due_in < 86_401
    assert version_id not in await deployed(tenant, flow)


async def test_what_is_due_is_deployed_once(tenant: Tenant, deployer: Deployer) -> None:
    flow, version_id = await make_planned(tenant)
    await come_due(tenant)
    assert [await deployer.run_once(), await deployer.run_once()] == [1, 0]
    assert await deployed(tenant, flow) == [version_id]
    assert await deployer.due_in() is None
    (event,) = [event for event in await events(tenant, "version.deploy") if event["subject_id"] == version_id]
    assert event["actor_type"] == "scheduler"
    details = event["details"]
    assert isinstance(details, dict)
    assert set(details) == {"planned_for", "late_ms"}


async def test_a_deploy_is_carried_out_however_late_and_says_how_late(
    tenant: Tenant, deployer: Deployer, logs: Logs
) -> None:
    """As if nobody had been there for a month."""
    flow, version_id = await make_planned(tenant)
    await come_due(tenant, timedelta(days=30))
    assert await deployer.run_once() == 1
    assert await deployed(tenant, flow) == [version_id]
    late = (await events(tenant, "version.deploy"))[-1]["details"]
    assert isinstance(late, dict)
    assert late["late_ms"] >= timedelta(days=30) / timedelta(milliseconds=1)


async def test_deploys_come_in_the_order_of_their_instants(tenant: Tenant, deployer: Deployer) -> None:
    """Of several companies, in whatever order they were planned."""
    other = await make_tenant(tenant.database, "Other")
    plans = [(tenant, 3), (other, 1), (tenant, 2)]
    expected = []
    for owner, hours in plans:
        _, version_id = await make_planned(owner)
        expected.append((hours, version_id))
        async with owner.database.connection() as connection:
            await connection.execute(
                "UPDATE flow_versions SET deploy_at = clock_timestamp() - make_interval(hours => $2) WHERE id = $1",
                version_id,
                10 - hours,
            )
    assert await deployer.run_once() == 3
    async with tenant.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT subject_id FROM audit_events"
            " WHERE action = 'version.deploy' AND actor_type = 'scheduler' ORDER BY id"
        )
    assert [row["subject_id"] for row in rows] == [version_id for _, version_id in sorted(expected)]


async def test_two_deployers_deploy_once(tenant: Tenant, deployer: Deployer) -> None:
    """Both have seen the same plans before either begins; the control is that both see them."""
    flows = [await make_planned(tenant, f"v{number}") for number in range(10)]
    await come_due(tenant)
    rounds = await asyncio.gather(*(Deployer(tenant.database).run_once() for _ in range(4)))
    assert sum(rounds) == 10
    for flow, version_id in flows:
        assert await deployed(tenant, flow) == [version_id]
    planned = [event for event in await events(tenant, "version.deploy") if event["actor_type"] == "scheduler"]
    assert len(planned) == 10


@pytest.mark.parametrize("changed", ["taken back", "planned anew", "deployed", "another deployed"])
async def test_a_plan_that_changes_while_its_deployer_waits_is_not_carried_out(
    tenant: Tenant, deployer: Deployer, changed: str
) -> None:
    """The deployer has seen the plan and waits for the flow, which somebody holds who then changes the plan."""
    flow, version_id = await make_planned(tenant)
    other = await tenant.make_version(flow, "other")
    await come_due(tenant)

    async def hold(connection: Connection) -> int:
        await connection.execute("SELECT FROM flows WHERE id = $1 FOR NO KEY UPDATE", flow.id)
        running = asyncio.create_task(deployer.run_once())
        await until(lambda: connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"), "it waits")
        at = {"taken back": None, "planned anew": tomorrow()}.get(changed)
        await connection.execute("UPDATE flow_versions SET deploy_at = $2 WHERE id = $1", version_id, at)
        if "deployed" in changed:
            await connection.execute(
                "UPDATE flow_versions SET status = 'Inactive', deployed_at = NULL"
                " WHERE flow_id = $1 AND name = 'before'",
                flow.id,
            )
            await connection.execute(
                "UPDATE flow_versions SET status = 'Deployed', deployed_at = now() WHERE id = $1",
                version_id if changed == "deployed" else other.id,
            )
        tasks.append(running)
        return 0

    tasks: list[asyncio.Task[int]] = []
    await tenant.database.transaction(hold)
    assert await tasks[0] == 0
    assert not [event for event in await events(tenant, "version.deploy") if event["actor_type"] == "scheduler"]
    expected = {"deployed": version_id, "another deployed": other.id}.get(changed)
    if expected:
        assert await deployed(tenant, flow) == [expected]


async def test_a_draft_is_deployed_as_it_is_by_then(tenant: Tenant, deployer: Deployer) -> None:
    flow = await tenant.make_flow()
    draft = await start_draft(tenant, flow)
    await plan(tenant, flow, draft.id)
    await come_due(tenant)
    assert await deployer.run_once() == 1
    after = await views(tenant, flow)
    assert [(view.iteration, view.status, view.name) for view in after] == [
        (2, VersionStatus.DRAFT, None),
        (1, VersionStatus.DEPLOYED, "v1"),
    ]


async def test_a_deleted_flow_has_no_plans(tenant: Tenant, deployer: Deployer) -> None:
    flow, version_id = await make_planned(tenant)
    inactive = [view for view in await views(tenant, flow) if view.id == version_id]
    assert inactive[0].deploy_at is not None
    await place(tenant, flow, version_id, None)
    await lifecycle.remove_version(tenant.principal, tenant.database, flow.id, version_id, keep=KEEP)
    assert (await deployer.run_once(), await deployer.due_in()) == (0, None)


async def test_the_loop_carries_out_a_deploy_within_a_second(tenant: Tenant) -> None:
    """Planned while the loop sleeps, for an instant some seconds ahead: nobody tells the loop."""
    flow = await tenant.make_flow()
    version = await tenant.make_version(flow, "v")
    task = asyncio.create_task(run_deployer(Deployer(tenant.database)))
    try:
        at = datetime.now(UTC) + timedelta(seconds=2.5)
        await plan(tenant, flow, version.id, at)
        await until(lambda: deployed(tenant, flow), "it is deployed")
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    (view,) = [view for view in await views(tenant, flow) if view.id == version.id]
    assert view.deployed_at is not None
    assert timedelta(0) <= view.deployed_at - at < timedelta(seconds=DEPLOY_SECONDS)
