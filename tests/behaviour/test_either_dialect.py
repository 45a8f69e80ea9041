"""What flows and versions do, written once: done in the words of one dialect, and seen to be so in both."""

from __future__ import annotations

import pytest

from core.domain.flows import Flow
from core.domain.identifiers import LARGEST_ID
from core.domain.versions import Version
from tests.support.api import Api
from tests.support.lifecycles import come_due, tomorrow, views
from tests.support.machinery import Machinery
from tests.support.patchworks import Patchworks
from tests.support.speakers import Both, Seen, Speaker, both
from tests.support.tenants import Tenant
from worker.deployer import Deployer


@pytest.fixture
def ears(anonymous: Api, tenant: Tenant) -> Both:
    return both(anonymous, tenant)


@pytest.fixture(params=["losant", "patchworks"])
def speaker(request: pytest.FixtureRequest, ears: Both) -> Speaker:
    chosen: Speaker = getattr(ears, request.param)
    return chosen


@pytest.fixture
async def flow(tenant: Tenant) -> Flow:
    return await tenant.make_flow("Pump")


@pytest.fixture
async def versions(tenant: Tenant, flow: Flow) -> list[Version]:
    return [await tenant.make_version(flow, name) for name in ("a", "b", "c")]


def seen(deployed: str | None, *names: str) -> Seen:
    return Seen("Pump", True, frozenset(names or ("a", "b", "c")), deployed)


async def test_a_flow_is_made_and_found(speaker: Speaker, ears: Both) -> None:
    made = await speaker.create("Pump")
    assert await ears.look(made) == Seen("Pump", True, frozenset(), None)
    assert await ears.losant.flows() == await ears.patchworks.flows() == {made}


async def test_a_flow_is_changed(speaker: Speaker, ears: Both, flow: Flow) -> None:
    assert await speaker.rename(flow.id, "Valve")
    assert await speaker.enable(flow.id, False)
    assert await ears.look(flow.id) == Seen("Valve", False, frozenset(), None)
    assert await speaker.enable(flow.id, True)
    assert await ears.look(flow.id) == Seen("Valve", True, frozenset(), None)


async def test_one_version_is_deployed_at_a_time(
    speaker: Speaker, ears: Both, flow: Flow, versions: list[Version]
) -> None:
    assert await ears.look(flow.id) == seen(None)
    for version in versions:
        assert await speaker.deploy(flow.id, version.id)
        assert await ears.look(flow.id) == seen(version.name)


async def test_deploying_again_changes_nothing(
    speaker: Speaker, tenant: Tenant, flow: Flow, versions: list[Version]
) -> None:
    await speaker.deploy(flow.id, versions[0].id)
    before = await views(tenant, flow)
    assert await speaker.deploy(flow.id, versions[0].id)
    assert await views(tenant, flow) == before


async def test_a_version_is_undeployed(speaker: Speaker, ears: Both, flow: Flow, versions: list[Version]) -> None:
    await speaker.deploy(flow.id, versions[0].id)
    assert await speaker.undeploy(flow.id, versions[0].id)
    assert await ears.look(flow.id) == seen(None)


async def test_an_unknown_version_is_not_deployed(
    speaker: Speaker, ears: Both, tenant: Tenant, flow: Flow, versions: list[Version]
) -> None:
    await speaker.deploy(flow.id, versions[0].id)
    other = await tenant.make_version(await tenant.make_flow("Other"), "a")
    for unknown in (LARGEST_ID - 1, other.id):
        assert not await speaker.deploy(flow.id, unknown)
    assert await ears.look(flow.id) == seen("a")


async def test_what_is_deployed_stays_and_what_is_not_can_go_and_come_back(
    speaker: Speaker, ears: Both, flow: Flow, versions: list[Version]
) -> None:
    await speaker.deploy(flow.id, versions[0].id)
    assert not await speaker.delete(flow.id, versions[0].id)
    assert await speaker.delete(flow.id, versions[1].id)
    assert not await speaker.delete(flow.id, versions[1].id), "it is not there any more"
    assert await ears.look(flow.id) == seen("a", "a", "c")
    native = Patchworks(ears.patchworks.api)
    (entry,) = await native.trash({"id": flow.id})
    await native.restore({"id": flow.id}, entry)
    assert await ears.look(flow.id) == seen("a")


async def test_a_planned_version_stays_and_any_deploy_takes_the_plan_back(
    speaker: Speaker, ears: Both, tenant: Tenant, flow: Flow, versions: list[Version]
) -> None:
    a, b, _ = versions
    for change in (speaker.deploy(flow.id, b.id), speaker.undeploy(flow.id, b.id)):
        assert await ears.patchworks.put(flow.id, a.id, tomorrow().isoformat())
        assert not await speaker.delete(flow.id, a.id)
        assert await change
        await come_due(tenant)
        assert await Deployer(tenant.database).run_once() == 0
    assert await ears.look(flow.id) == seen(None)


async def test_a_plan_that_comes_due_is_seen_in_both(
    ears: Both, tenant: Tenant, flow: Flow, versions: list[Version]
) -> None:
    await ears.losant.deploy(flow.id, versions[0].id)
    await ears.patchworks.put(flow.id, versions[1].id, tomorrow().isoformat())
    assert await ears.look(flow.id) == seen("a")
    await come_due(tenant)
    assert await Deployer(tenant.database).run_once() == 1
    assert await ears.look(flow.id) == seen("b")


async def test_a_flow_is_removed(
    speaker: Speaker, ears: Both, machinery: Machinery, flow: Flow, versions: list[Version]
) -> None:
    await speaker.deploy(flow.id, versions[0].id)
    assert await speaker.remove(flow.id)
    assert await ears.look(flow.id) is None
    assert not await speaker.remove(flow.id)
    await machinery.drain()
    assert await ears.losant.flows() == await ears.patchworks.flows() == set()


@pytest.mark.parametrize("change", ["rename", "deploy", "undeploy"])
async def test_a_tag_is_stale_after_a_change_in_either(
    speaker: Speaker, ears: Both, flow: Flow, versions: list[Version], change: str
) -> None:
    """One tag for both, since it is one flow."""
    await ears.losant.deploy(flow.id, versions[1].id)
    for reader in (ears.losant, ears.patchworks):
        tag = await reader.tag(flow.id)
        assert tag == await ears.losant.tag(flow.id)
        if change == "rename":
            await speaker.rename(flow.id, "Valve")
        elif change == "deploy":
            await speaker.deploy(flow.id, versions[0].id)
        else:
            await speaker.undeploy(flow.id, versions[1].id)
        assert await reader.rename_if(flow.id, "Late", tag) == 412
        await ears.losant.deploy(flow.id, versions[1].id)


# What only one of them can say


async def test_what_losant_writes_into_develop_patchworks_deploys(ears: Both, tenant: Tenant, flow: Flow) -> None:
    """Losant's develop content and Patchworks' Draft are one thing."""
    api, path = ears.losant.api, ears.losant.path(flow.id)
    content = {"nodes": [{"id": "a", "type": "DebugNode"}]}
    await api.patch(path, content)
    (draft,) = await views(tenant, flow)
    assert await ears.patchworks.deploy(flow.id, draft.id)
    assert await ears.look(flow.id) == seen("v1", "v1")
    version = (await api.get(f"{path}/versions/v1")).json
    assert (version["nodes"], int(version["id"], 16)) == (content["nodes"], draft.id)
    develop = (await api.get(path)).json
    assert (develop["nodes"], develop["defaultVersionId"]) == (content["nodes"], version["id"])
    await api.patch(path, {"nodes": []})
    assert (await api.get(f"{path}/versions/v1")).json["nodes"] == content["nodes"], "they have parted"


async def test_what_patchworks_copies_losant_develops(ears: Both, flow: Flow, versions: list[Version]) -> None:
    await Patchworks(ears.patchworks.api).copy({"flow_id": flow.id, "id": versions[0].id})
    develop = (await ears.losant.api.get(ears.losant.path(flow.id))).json
    assert develop["nodes"] == [{"id": "a", "type": "x"}]
    assert await ears.look(flow.id) == seen(None)
