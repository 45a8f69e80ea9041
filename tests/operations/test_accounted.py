"""Every change of what an instant means accounts first: what was due before it by the old rules, nothing of it later.

Each operation is tried on a schedule that nobody has accounted for in some minutes. Afterwards those minutes stand in
the ledger as the old rules meant them, and what is next lies ahead.
"""

from __future__ import annotations

import ast
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import core.operations
from core.domain.documents import parse_document
from core.domain.flows import FlowChange
from core.domain.versions import NewVersion, VersionChange
from core.operations import deletions, firing, lifecycle, schedules, undo, versions
from core.store.database import Database
from schemas.losant import SHOWN_VERSION, content_of
from tests.support.fires import Live, fire_all, gaps, ledger, make_live, state
from tests.support.lifecycles import deploy_draft, place, tomorrow
from tests.support.machinery import Machinery
from tests.support.tenants import Tenant, yesterday

pytestmark = pytest.mark.leaves_jobs

BEHIND = timedelta(minutes=3)


async def _undeploy(live: Live, machinery: Machinery) -> None:
    await live.tenant.change_flow(live.flow, FlowChange(undeploy=True))


async def _deploy_another(live: Live, machinery: Machinery) -> None:
    await live.tenant.deploy(live.flow, await live.tenant.make_version(live.flow, "v2"))


async def _withdraw(live: Live, machinery: Machinery) -> None:
    await place(live.tenant, live.flow, live.version.id, None)


async def _deploy_draft(live: Live, machinery: Machinery) -> None:
    await deploy_draft(live.tenant, live.flow)


async def _disable_flow(live: Live, machinery: Machinery) -> None:
    await live.tenant.change_flow(live.flow, FlowChange(enabled=False))


async def _disable_version(live: Live, machinery: Machinery) -> None:
    tenant = live.tenant
    at = (tenant.principal, tenant.database, tenant.application_id, live.flow.id, "v1")
    await versions.change_version(*at, VersionChange(enabled=False), SHOWN_VERSION)


async def _pause(live: Live, machinery: Machinery) -> None:
    await live.change(paused=True)


async def _edit(live: Live, machinery: Machinery) -> None:
    await live.change(cron_string="0 0 1 1 *", timezone="Asia/Tokyo")


async def _silence(live: Live, machinery: Machinery) -> None:
    await live.change(deployed_at=None)


async def _delete(live: Live, machinery: Machinery) -> None:
    await schedules.delete_schedule(live.tenant.principal, live.tenant.database, live.version.id, live.schedule.id)


async def _replace(live: Live, machinery: Machinery) -> None:
    await live.tenant.keep_version(live.flow, new_version("v1"), replace=True)


async def _delete_flow(live: Live, machinery: Machinery) -> None:
    at = (live.tenant.principal, live.tenant.database, live.tenant.application_id, live.flow.id)
    await deletions.accept_flow_deletion(*at, public_id=machinery.tools.terms.new_id())


async def _restore_content(live: Live, machinery: Machinery) -> None:
    await live.tenant.keep_version(live.flow, new_version("v1"), replace=True)
    async with live.tenant.database.connection() as connection:
        await connection.execute("DELETE FROM runs")  # the replacement accounted, and this is about the restoring
    await live.fall_behind(BEHIND)
    at = (live.tenant.principal, live.tenant.database, live.flow.id)
    (entry,), _ = await undo.list_trash(*at, limit=9, offset=0)
    await undo.restore_entry(*at, entry.id, machinery.tools.terms)


async def _add_another(live: Live, machinery: Machinery) -> None:
    given = {"cron_string": "*/2 * * * *"}
    await schedules.create_schedule(live.tenant.principal, live.tenant.database, live.version.id, given)


def new_version(name: str) -> NewVersion:
    return NewVersion(name, True, None, content_of(parse_document(b'{"nodes":[]}')))


CHANGES: dict[str, Callable[[Live, Machinery], Awaitable[None]]] = {
    "undeploy": _undeploy,
    "deploy another version": _deploy_another,
    "undeploy the other way": _withdraw,
    "deploy the draft": _deploy_draft,
    "disable the flow": _disable_flow,
    "disable the version": _disable_version,
    "pause the schedule": _pause,
    "edit the schedule": _edit,
    "silence the schedule": _silence,
    "delete the schedule": _delete,
    "replace the version": _replace,
    "delete the flow": _delete_flow,
    "restore a content": _restore_content,
    "add a schedule": _add_another,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_what_was_due_before_a_change_is_run_by_the_old_rules(
    tenant: Tenant, machinery: Machinery, change: Callable[[Live, Machinery], Awaitable[None]]
) -> None:
    live = await make_live(tenant, overlap_policy="allow")
    first = await live.fall_behind(BEHIND)
    await change(live, machinery)
    told = await accounts(live)
    ran = [at for at, status in told if status == "queued"]
    assert ran[:4] == [first + timedelta(minutes=minute) for minute in range(4)]
    after = await state(tenant.database, live.schedule.id)
    assert after is not None
    assert after["next_due"] is None or after["next_due"] > max(ran)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_what_is_not_live_afterwards_is_never_due(
    tenant: Tenant, machinery: Machinery, change: Callable[[Live, Machinery], Awaitable[None]]
) -> None:
    live = await make_live(tenant, overlap_policy="allow")
    await change(live, machinery)
    async with tenant.database.connection() as connection:
        should = await connection.fetchval(
            "SELECT count(*) FROM schedules s JOIN flow_versions v ON v.id = s.flow_version_id"
            " WHERE v.status = 'Deployed' AND s.deployed_at IS NOT NULL AND s.id = $1",
            live.schedule.id,
        )
    after = await state(tenant.database, live.schedule.id)
    assert after is not None
    assert (after["next_due"] is not None) == (after["live_since"] is not None) == bool(should)


async def test_deploying_an_old_version_invents_nothing(tenant: Tenant, database: Database) -> None:
    live = await make_live(tenant)
    await live.tenant.change_flow(live.flow, FlowChange(undeploy=True))
    async with database.connection() as connection:
        await connection.execute("UPDATE schedules SET deployed_at = deployed_at - interval '30 days'")
    before = await live.ledger()
    await tenant.deploy(live.flow, live.version)
    assert (await fire_all(database)).left_out == 0
    assert len(await live.ledger()) - len(before) <= 1, "but for a minute that began meanwhile"


async def test_enabling_again_runs_nothing_of_the_time_in_between(tenant: Tenant, database: Database) -> None:
    live = await make_live(tenant)
    await tenant.change_flow(live.flow, FlowChange(enabled=False))
    await live.fall_behind(timedelta(minutes=5))
    await tenant.change_flow(live.flow, FlowChange(enabled=True))
    told = await live.ledger()
    assert told.count(("skipped", "disabled")) >= 6
    assert len([status for status, _ in told if status == "queued"]) <= 1


async def test_an_edit_to_a_denser_expression_does_not_fire_the_past(tenant: Tenant, database: Database) -> None:
    live = await make_live(tenant, cron="0 0 1 1 *")
    await live.change(cron_string="* * * * *")
    after = await state(database, live.schedule.id)
    assert after is not None
    assert after["next_due"] > datetime.now(UTC) - timedelta(minutes=1)
    assert len(await live.ledger()) <= 1


async def test_a_schedule_of_an_undeployed_version_is_not_live(tenant: Tenant, database: Database) -> None:
    flow = await tenant.make_flow()
    version = await tenant.make_version(flow, "v1")
    made = await schedules.create_schedule(tenant.principal, database, version.id, {"cron_string": "* * * * *"})
    assert await state(database, made.id) is None
    await tenant.deploy(flow, version)
    assert await state(database, made.id) is not None


async def test_what_begins_later_is_first_due_after_that(tenant: Tenant, database: Database) -> None:
    begins = tomorrow()
    live = await make_live(tenant, deployed_at=begins)
    after = await state(database, live.schedule.id)
    assert after is not None
    assert begins < after["next_due"] <= begins + timedelta(minutes=1)


async def test_a_late_deploy_parts_the_instants_where_it_was_planned(tenant: Tenant, database: Database) -> None:
    """Nobody was there for ten minutes, in the middle of which the other version was to take over."""
    live = await make_live(tenant, overlap_policy="allow")
    other = await tenant.make_version(live.flow, "v2")
    given = {"cron_string": "* * * * *", "overlap_policy": "allow", "deployed_at": yesterday()}
    second = await schedules.create_schedule(tenant.principal, database, other.id, given)
    await place(tenant, live.flow, other.id, tomorrow())
    first = await live.fall_behind(timedelta(minutes=9))
    planned = first + timedelta(minutes=5)
    async with database.connection() as connection:
        await connection.execute("UPDATE flow_versions SET deploy_at = $1 WHERE id = $2", planned, other.id)
    await fire_all(database)
    assert len(await live.ledger()) == 6, "up to the planned deploy, and no further before it is carried out"
    await fire_all(database)
    await lifecycle.deploy_due(database, 10)
    await fire_all(database)
    assert len(await live.ledger()) == 6
    async with database.connection() as connection:
        begun = await connection.fetchval("SELECT min(scheduled_for) FROM runs WHERE schedule_id = $1", second.id)
    assert begun == planned + timedelta(minutes=1)
    assert len(await ledger(database, second.id)) >= 4


async def test_pausing_all_firing_skips_what_is_due_meanwhile(tenant: Tenant, database: Database) -> None:
    live = await make_live(tenant, overlap_policy="allow")
    assert await firing.pause_firing(tenant.principal, database, "maintenance") is not None
    assert await firing.pause_firing(tenant.principal, database, None) is None, "it is paused already"
    async with database.connection() as connection:
        await connection.execute("UPDATE firing_pauses SET began_at = began_at - interval '3 minutes'")
    await live.fall_behind(timedelta(minutes=6))
    await fire_all(database)
    assert await firing.resume_firing(tenant.principal, database) is not None
    assert await firing.resume_firing(tenant.principal, database) is None
    told = await live.ledger()
    assert told.count(("skipped", "firing_paused")) in (3, 4)
    assert told.count(("queued", None)) in (3, 4)
    assert await gaps(database, live.schedule.id) == []


async def accounts(live: Live) -> list[tuple[datetime, str]]:
    async with live.tenant.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT scheduled_for, status FROM runs WHERE schedule_id = $1 ORDER BY scheduled_for", live.schedule.id
        )
    return [(row["scheduled_for"], row["status"]) for row in rows]


# --- Which functions change what an instant means, read from the source.

MEANS = {
    "deployments": {"promote", "release"},
    "flow_versions": {"patch", "replace"},
    "schedules": {"insert", "update", "delete", "put_back"},
    "flows": {"update"},
}
"""Functions of the store after which an instant may mean something else, by module."""


@dataclass(frozen=True)
class Call:
    """A call of such a function, and whether it stands inside `async with accounted(...)`."""

    place: str
    accounted: bool


def _calls(source: ast.Module, name: str) -> list[Call]:
    modules = {alias.asname or alias.name: alias.name for node in ast.walk(source)
               if isinstance(node, ast.ImportFrom) and node.module == "core.store" for alias in node.names}  # fmt: skip
    found: list[Call] = []

    def visit(node: ast.AST, function: str, inside: bool) -> None:
        if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef):
            function = node.name
        if isinstance(node, ast.AsyncWith):
            inside = inside or any("accounted" in ast.unparse(item.context_expr) for item in node.items)
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
        ):
            module = modules.get(node.func.value.id)
            if module is not None and node.func.attr in MEANS.get(module, ()):
                found.append(Call(f"{name}.{function}: {module}.{node.func.attr}", inside))
        for child in ast.iter_child_nodes(node):
            visit(child, function, inside)

    visit(source, "", False)
    return found


def all_calls() -> list[Call]:
    folder = Path(core.operations.__file__).parent
    return [call for file in sorted(folder.glob("*.py")) for call in _calls(ast.parse(file.read_text()), file.stem)]


INDIRECT = {
    "versions._replace: flow_versions.replace": "only called inside accounted()",
    "arrivals.arrive: schedules.insert": "of the Draft of a flow that has just been made: nothing of it is live",
    "flows.work: flows.update": "where enabled does not change",
}
"""Calls that stand elsewhere, and why that is right."""


def test_whatever_changes_what_an_instant_means_accounts_first() -> None:
    outside = {call.place for call in all_calls() if not call.accounted}
    assert outside == set(INDIRECT)


def test_the_functions_looked_for_are_there() -> None:
    assert {place.partition(": ")[2] for place in (call.place for call in all_calls())} >= {
        "deployments.promote", "deployments.release", "flow_versions.patch", "flow_versions.replace",
        "schedules.insert", "schedules.update", "schedules.delete", "schedules.put_back", "flows.update",
    }  # fmt: skip


def test_a_call_outside_is_found() -> None:
    source = (
        "from core.store import schedules as store\n"
        "async def change_quietly(connection):\n"
        "    await store.update(connection)\n"
    )
    assert _calls(ast.parse(source), "new") == [Call("new.change_quietly: schedules.update", False)]
