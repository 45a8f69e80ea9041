"""A virtual button pressed over Losant's API: a start by hand that names its button."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from core.domain.identifiers import hex_id
from core.domain.runs import MOST_PAYLOAD_BYTES
from tests.api.cases import assert_answer, assert_error
from tests.support.api import Api, Reply
from tests.support.machinery import Machinery
from tests.support.receiver import Receiver
from tests.support.runs import Runnable, data_of, make_runnable, read_run
from tests.support.tenants import Tenant

KEY = "575ed18f7ae143cd83dc4aa6-SJaEw_dV"
BODY = """{"triggers": [{"type": "timer", "key": "t", "config": {"seconds": 60000}},
                        {"type": "virtualButton", "key": "%s"}, {"type": "virtualButton"}, 7, "virtualButton"],
           "nodes": []}"""


@dataclass
class Scene:
    api: Api
    runnable: Runnable
    runner: Receiver
    machinery: Machinery

    async def press(self, body: Any, **options: Any) -> Reply:
        flow = hex_id(self.runnable.flow.id)
        path = f"/applications/{self.runnable.tenant.application}/flows/{flow}/virtualButton"
        return await self.api.post(path, body, **options)

    async def pressed(self, **body: Any) -> dict[str, Any]:
        """What the runner was told."""
        reply = await self.press({"key": KEY, **body})
        assert_answer(reply, 200, {"success": True})
        await self.machinery.drain()
        data = dict(data_of(await self.runner.next()))
        assert reply.headers["Location"] == f"/api/v1/flow-runs/{data['run_id']}"
        return data


@pytest.fixture
async def scene(tenant: Tenant, api: Api, machinery: Machinery) -> AsyncIterator[Scene]:
    async with Receiver() as runner:
        yield Scene(api, await make_runnable(tenant, runner.url, body=BODY % KEY), runner, machinery)


async def test_a_press_starts_a_run_that_knows_its_button(scene: Scene) -> None:
    payloads: list[object] = [[], None, "text", 1.5, False]
    for payload in payloads:
        assert (await scene.pressed(payload=payload))["payload"] == payload
    data = await scene.pressed(payload={"some": "data"}, meta={"anything": [1]})
    assert (data["trigger"], data["trigger_key"], data["payload"]) == ("virtual_button", KEY, {"some": "data"})
    assert (data["version"], data["flow_version_id"]) == ("v1", scene.runnable.version.id)
    row = await read_run(scene.runnable.tenant, data["run_id"])
    assert (row["trigger"], row["trigger_key"], row["status"], row["requested_by_type"]) == (
        "virtual_button", KEY, "success", "apiToken"
    )  # fmt: skip
    run = await scene.api.get(f"/api/v1/flow-runs/{data['run_id']}")
    assert (run.json["data"]["trigger"], run.json["data"]["trigger_key"]) == ("virtual_button", KEY)
    listed = await scene.api.get("/api/v1/flow-runs?filter[trigger]=virtual_button")
    assert (listed.json["data"][0]["id"], listed.json["meta"]["total"]) == (data["run_id"], 6)


async def test_a_button_without_a_key_goes_by_its_place(scene: Scene) -> None:
    assert (await scene.pressed(key="#3"))["trigger_key"] == "#3"


async def test_the_version_is_named_in_losants_words(scene: Scene) -> None:
    tenant, flow = scene.runnable.tenant, scene.runnable.flow
    other = await tenant.make_version(flow, "v2", BODY % "of v2")
    assert (await scene.pressed(flowVersion="default"))["version"] == "v1"
    for name in ("v2", hex_id(other.id)):
        assert (await scene.pressed(flowVersion=name, key="of v2"))["flow_version_id"] == other.id
    assert_error(
        await scene.press({"key": KEY, "flowVersion": "v2"}), 400, "Validation",
        "key: is no virtual button of this version",
    )  # fmt: skip
    empty = await scene.press({"key": KEY, "flowVersion": "develop"})
    assert_error(empty, 400, "Validation", "key: is no virtual button of this version")
    path = f"/applications/{tenant.application}/flows/{hex_id(flow.id)}"
    changed = await scene.api.patch(path, {"triggers": [{"type": "virtualButton", "key": "dev"}], "nodes": []})
    assert changed.status == 200, changed.raw
    data = await scene.pressed(flowVersion="develop", key="dev")
    assert (data["version"], data["trigger_key"]) == (None, "dev")


async def test_a_run_again_is_of_the_same_button(scene: Scene) -> None:
    first = await scene.pressed(payload={"n": 1})
    again = await scene.api.post(f"/api/v1/flow-runs/{first['run_id']}/retry")
    assert again.status == 202, again.raw
    await scene.machinery.drain()
    second = data_of(await scene.runner.next())
    assert (second["trigger"], second["trigger_key"], second["payload"]) == ("retry", KEY, {"n": 1})


async def test_a_repeated_key_presses_once(scene: Scene) -> None:
    headers = {"Idempotency-Key": "once"}
    first, again = [await scene.press({"key": KEY}, headers=headers) for _ in range(2)]
    assert first.headers["Location"] == again.headers["Location"]
    assert (await scene.press({"key": "#3"}, headers=headers)).status == 422
    await scene.machinery.drain()
    assert len(scene.runner.requests) == 1


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"key": "nonsense"}, 400, "key: is no virtual button of this version"),
    ({"key": ""}, 400, "key: is no virtual button of this version"),
    ({"key": "t"}, 400, "key: is no virtual button of this version"),
    ({"key": "#1"}, 400, "key: is no virtual button of this version"),
    ({"key": "#5"}, 400, "key: is no virtual button of this version"),
    ({"key": "x" * 1_025}, 400, "key: Length must be between 0 and 1024."),
    ({"payload": 1}, 400, "key: is required"),
    ({"key": KEY, "flowVersion": "v9"}, 404, "Flow version was not found"),
    ({"key": KEY, "flowVersion": "f" * 24}, 404, "Flow version was not found"),
    ({"key": KEY, "flowVersion": ""}, 400, "flowVersion: Length must be between 1 and 255."),
    ({"key": KEY, "deviceId": "1"}, 400, "deviceId: must be 24 hexadecimal digits"),
    ({"key": KEY, "deviceId": "1" * 24}, 400,
     "deviceId: there are no devices here; a press starts a run by the flow's runner"),
    ({"key": KEY, "deploymentId": "1" * 24}, 400,
     "deploymentId: there are no devices here; a press starts a run by the flow's runner"),
    ({"key": KEY, "payload": "x" * MOST_PAYLOAD_BYTES}, 413, "The payload is larger than 1024 kB."),
    ({"key": KEY, "surprise": 1}, 400, "surprise: is not known here"),
]  # fmt: skip


async def test_a_press_that_cannot_be_is_refused(scene: Scene) -> None:
    kinds = {400: "Validation", 404: "NotFound", 413: "PayloadTooLarge"}
    for body, status, message in REFUSED:
        assert_error(await scene.press(body), status, kinds[status], message)
    async with scene.runnable.tenant.database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM runs") == 0


async def test_without_a_deployed_version_one_has_to_be_named(scene: Scene) -> None:
    tenant = scene.runnable.tenant
    bare = await tenant.make_flow("Bare")
    await tenant.make_version(bare, "v1", BODY % KEY)
    path = f"/applications/{tenant.application}/flows/{hex_id(bare.id)}/virtualButton"
    for body in ({"key": KEY}, {"key": KEY, "flowVersion": "default"}):
        refused = await scene.api.post(path, body)
        assert_error(refused, 400, "Validation", "This flow has no deployed version; name the version to start.")


async def test_nobody_presses_anothers_button(scene: Scene, stranger: Tenant) -> None:
    theirs = await make_runnable(stranger, None, body=BODY % KEY)
    root = f"/applications/{scene.runnable.tenant.application}/flows"
    refused = await scene.api.post(f"{root}/{hex_id(theirs.flow.id)}/virtualButton", {"key": KEY})
    assert_error(refused, 404, "NotFound", "Flow was not found")
    named = await scene.press({"key": KEY, "flowVersion": hex_id(theirs.version.id)})
    assert_error(named, 404, "NotFound", "Flow version was not found")
