"""The vendor's own clients, as they come from PyPI and npm, pointed at us: they must notice no difference."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest

from core.domain.flows import FlowChange, Running
from core.domain.identifiers import hex_id
from tests.clients.conftest import Client, open_client
from tests.clients.speakers import Speaker
from tests.support.api import Api
from tests.support.machinery import Machinery
from tests.support.queries import Content, insert_version
from tests.support.receiver import Receiver, Reply
from tests.support.runs import data_of, report
from tests.support.tenants import Tenant

NODES = [{"id": "a", "type": "DebugNode", "config": {"message": "hello"}}]


@pytest.fixture
async def client(anonymous: Api, tenant: Tenant, speaker: Speaker) -> AsyncIterator[Client]:
    """With jobs that are carried out, so on a database of its own."""
    async with open_client(speaker, anonymous.url, tenant.token) as client:
        yield client


async def test_a_life_of_versions_from_first_to_last(client: Client, tenant: Tenant, machinery: Machinery) -> None:
    """Created, replaced, listed, read, deployed, deleted by query, and the flow at the end."""
    at: dict[str, str] = {"applicationId": tenant.application}
    flow = await client.call("flows.post", **at, flow={"name": "Pump control", "flowClass": "cloud"})
    at["flowId"] = flow["id"]

    made = [
        await client.call("flowVersions.post", **at, flowVersion={"version": f"v{number}", "nodes": NODES})
        for number in range(10)
    ]
    assert [version["version"] for version in made] == [f"v{number}" for number in range(10)]
    assert made[0]["nodes"] == NODES

    new = {"version": "v3", "notes": "new"}
    replaced = await client.call("flowVersions.post", **at, flowVersion=new, allowReplacement=True)
    assert (replaced["id"], replaced["notes"]) == (made[3]["id"], "new")

    order = {"sortField": "creationDate", "sortDirection": "desc"}
    listed = await client.call("flowVersions.get", **at, **order, page="1", perPage=4, includeCustomNodes=False)
    assert [item["version"] for item in listed["items"]] == ["v5", "v4", "v3", "v2"]
    assert (listed["count"], listed["totalCount"], listed["page"], listed["perPage"]) == (4, 10, 1, 4)

    by_name = await client.call("flowVersion.get", **at, flowVersionId="v3")
    by_id = await client.call("flowVersion.get", **at, flowVersionId=made[3]["id"])
    assert by_name == by_id
    assert (by_id["id"], by_id["notes"]) == (replaced["id"], "new")

    deployed = await client.call("flow.patch", **at, flow={"defaultVersionId": made[0]["id"]})
    assert deployed["defaultVersionId"] == made[0]["id"]

    options = {"query": {"version": {"$in": ["v0", "v1", "v2", "v3"]}}, "email": "ops@example.com"}
    accepted = await client.call("flowVersions.delete", **at, options=options)
    assert accepted == {"success": True, "jobQueued": True, "jobId": accepted["jobId"]}
    await machinery.drain()
    left = await client.call("flowVersions.get", **at)
    assert [item["version"] for item in left["items"]] == ["v0", "v4", "v5", "v6", "v7", "v8", "v9"]

    assert await client.call("flowVersion.delete", **at, flowVersionId="v9") == {"success": True}
    assert await client.call("flow.delete", **at) == {"success": True}
    gone = await client.refused("flow.get", **at)
    assert (gone.status, gone.body) == (404, {"type": "NotFound", "message": "Flow was not found"})
    await machinery.drain()


async def test_a_job_is_found_in_the_log(client: Client, tenant: Tenant, machinery: Machinery) -> None:
    """In every state it passes through; the older of the clients has no operation for it."""
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 3)
    await tenant.deploy(flow, await tenant.make_version(flow, "live"))
    at = {"applicationId": tenant.application, "flowId": hex_id(flow.id)}
    options = {"query": {}, "email": "ops@example.com"}
    accepted = await client.call("flowVersions.delete", **at, options=options)
    if client.speaker.missing >= {"applicationJobLogs.get", "applicationJobLog.get"}:
        await machinery.drain()
        return
    queued = await _entry(client, tenant, accepted["jobId"])
    assert queued["status"] == "queued"
    await machinery.drain()
    ended = await _entry(client, tenant, accepted["jobId"])
    assert (ended["status"], ended["output"]) == ("completed", {"removed": 3, "failed": 1})
    alone = await client.call("applicationJobLog.get", applicationId=tenant.application, jobId=ended["id"])
    assert alone["id"] == ended["id"]
    assert alone["output"] == ended["output"]


async def _entry(client: Client, tenant: Tenant, job_id: str) -> dict[str, Any]:
    log = await client.call("applicationJobLogs.get", applicationId=tenant.application)
    (entry,) = (item for item in log["items"] if item["input"]["jobId"] == job_id)
    found: dict[str, Any] = entry
    return found


async def test_an_error_names_what_was_wrong(client: Client, tenant: Tenant) -> None:
    flow = await tenant.make_flow()
    at = {"applicationId": tenant.application, "flowId": hex_id(flow.id)}

    bad = await client.refused("flowVersions.delete", **at, options={"query": {"version": {"$regex": "v"}}})
    assert (bad.status, bad.body["type"]) == (400, "Validation")
    assert bad.body["message"].startswith("query.version.$regex: ")

    await client.call("flowVersions.post", **at, flowVersion={"version": "v1"})
    taken = await client.refused("flowVersions.post", **at, flowVersion={"version": "v1"})
    assert (taken.status, taken.body["type"]) == (400, "AlreadyExists")

    nobody = await client.as_(None).refused("flows.get", applicationId=tenant.application)
    assert (nobody.status, nobody.body) == (401, {"type": "Unauthorized", "message": "Invalid access token"})


async def test_lists_are_narrowed_in_the_clients_own_writing(client: Client, tenant: Tenant) -> None:
    """They flatten nested parameters into brackets, write booleans each in its way, and always ask for links."""
    at: dict[str, str] = {"applicationId": tenant.application}
    timer: Content = {"triggers": [{"type": "timer", "key": "minutely"}], "nodes": []}
    for name in ("Pump control", "Valve control"):
        flow = await tenant.make_flow(name)
        async with tenant.database.connection() as connection:
            body = timer if name == "Pump control" else {"triggers": [], "nodes": []}
            await insert_version(connection, tenant.company_id, flow.id, body, name=None, status="Draft", place=0)
            await insert_version(connection, tenant.company_id, flow.id, timer, name="v1", status="Inactive", place=1)
    node = await tenant.make_flow("Average", flow_class="customNode")

    async def names(**asked: Any) -> list[str]:
        answer = await client.call("flows.get", **at, **asked)
        assert (answer["_type"], {item["_type"] for item in answer["items"]} - {"flow"}) == ("flows", set())
        return [item["name"] for item in answer["items"]]

    timed = {"triggers": {"type": "timer", "key": "minutely"}}
    assert await names() == ["Pump control", "Valve control"]
    assert await names(triggerFilter=[{"type": "timer", "key": "minutely"}, {"type": "udp"}]) == ["Pump control"]
    assert await names(query=timed) == ["Pump control"]
    assert await names(query=timed, allVersions=True) == ["Pump control", "Valve control"]
    assert await names(flowClass="customNode", includeCustomNodes=True) == ["Average"]
    assert await names(sortField="id", sortDirection="desc", perPage=1) == ["Valve control"]

    found = await client.call("flows.getByVersion", **at, version="v1", filterField="name", filter="V*")
    assert [item["version"] for item in found["items"]] == ["v1"]
    if client.speaker.missing:
        return  # the older of the clients has no operation for what follows
    palette = await client.call("flows.palette", **at)
    assert [(entry["id"], entry["version"]) for entry in palette["customNodes"]] == [(hex_id(node.id), "develop")]
    log = await client.call("applicationJobLogs.get", **at, query={"status": "queued"}, sortField="status")
    assert (log["items"], log["query"]) == ([], {"status": "queued"})


BUTTON = "575ed18f7ae143cd83dc4aa6-SJaEw_dV"


async def test_a_button_is_pressed_and_its_runs_are_told_of(
    client: Client, anonymous: Api, tenant: Tenant, machinery: Machinery
) -> None:
    """Values of runs that a runner ended: at once, with errors, and by a later report over the API."""
    at: dict[str, str] = {"applicationId": tenant.application}
    flow = await client.call("flows.post", **at, flow={"name": "Pump control"})
    at["flowId"] = flow["id"]
    content = {"triggers": [{"type": "virtualButton", "key": BUTTON}], "nodes": []}
    version = await client.call("flowVersions.post", **at, flowVersion={"version": "v1", **content})
    await client.call("flow.patch", **at, flow={"defaultVersionId": version["id"]})
    details = {"nodeId": "a", "nodeLabel": "Insert"}
    async with Receiver() as runner:
        runner.script(
            report(logs=["went well"]),
            report(status="failure", logs=[{"level": "error", "message": "No such table.", "details": details}]),
            Reply(202),
        )
        await tenant.change_flow(
            await tenant.read_flow(int(flow["id"], 16)), FlowChange(running=Running(runner_url=runner.url))
        )
        for payload in ({"some": "data"}, {}, None):
            button = {"key": BUTTON, "payload": payload, "flowVersion": "v1"}
            assert await client.call("flow.pressVirtualButton", **at, button=button) == {"success": True}
            await machinery.drain()
        told = [data_of(request) for request in runner.requests]
    assert [(data["trigger_key"], data["payload"]) for data in told] == [
        (BUTTON, {"some": "data"}), (BUTTON, {}), (BUTTON, None)
    ]  # fmt: skip
    late = {"status": "partial_success", "message": "2 of 3"}
    reported = await anonymous.as_(tenant.key).post(f"/api/v1/flow-runs/{told[2]['run_id']}/report", late)
    assert reported.status == 200, reported.raw

    one = {**at, "flowVersionId": "v1"}
    for stats in (
        await client.call("flow.stats", **at, duration=3_600_000, resolution=3_600_000),
        await client.call("flow.stats", **at, duration="3600000", resolution="3600000", flowVersion="v1", end=0),
        await client.call("flowVersion.stats", **one, duration=3_600_000, resolution=3_600_000),
    ):
        [point] = stats["metrics"]
        assert (point["runCount"], point["pathsCompleted"], point["pathsFailed"]) == (3, 2, 2)
        assert point["wallTime"] >= 0
    assert len((await client.call("flow.stats", **at))["metrics"]) == 24
    [develop] = (await client.call("flow.stats", **at, flowVersion="develop", resolution=86_400_000))["metrics"]
    assert develop["runCount"] == 0

    errors = await client.call("flow.errors", **at, sortDirection="asc")
    assert [error["error"] for error in errors["errors"]] == [
        {"name": "error", "message": "No such table."}, {"name": "partial_success", "message": "2 of 3"}
    ]  # fmt: skip
    assert (errors["errors"][0]["nodeId"], errors["errors"][0]["flowVersionId"]) == ("a", version["id"])
    newest = await client.call("flowVersion.errors", **one, limit=1)
    assert newest["errors"] == errors["errors"][:0:-1]

    log = await client.call("flow.getLogEntries", **at, limit=10)
    assert [(entry["pathsCompleted"], entry["pathsFailed"]) for entry in log] == [(1, 1), (0, 1), (1, 0)]
    assert await client.call("flowVersion.getLogEntries", **one) == log[:1]
    since = 1 + int(datetime.fromisoformat(log[0]["time"]).timestamp() * 1_000)
    assert await client.call("flow.getLogEntries", **at, limit=10, since=since) == []

    refused = await client.refused("flow.stats", **at, duration=5 * 365 * 86_400_000, resolution=1)
    assert (refused.status, refused.body["type"]) == (400, "Validation")
    assert refused.body["message"].startswith("resolution: ")
    unknown = await client.refused("flow.pressVirtualButton", **at, button={"key": "nonsense"})
    assert (unknown.status, unknown.body["message"]) == (400, "key: is no virtual button of this version")
