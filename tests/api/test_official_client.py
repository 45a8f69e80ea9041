"""The vendor's own Python client, as it comes from PyPI, pointed at us: it must notice no difference."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import losant_rest
import pytest

from tests.support.api import Api
from tests.support.machinery import Machinery
from tests.support.queries import Content, insert_version
from tests.support.tenants import Tenant

Result = TypeVar("Result")

Client = Any
"""It has no types."""


@pytest.fixture
def client(anonymous: Api, tenant: Tenant) -> Client:
    return losant_rest.Client(auth_token=tenant.token, url=anonymous.url)


async def in_thread(work: Callable[[], Result]) -> Result:
    """The client waits for its answers; the server is in this event loop."""
    return await asyncio.to_thread(work)


async def error_of(work: Callable[[], Any]) -> Any:
    with pytest.raises(losant_rest.LosantError) as caught:
        await in_thread(work)
    return caught.value


async def test_a_life_of_versions_from_first_to_last(client: Client, tenant: Tenant, machinery: Machinery) -> None:
    """Created, replaced, listed, read, deleted by the hundred, polled for, and the flow at the end."""
    at: dict[str, str] = {"applicationId": tenant.application}
    flow = await in_thread(lambda: client.flows.post(**at, flow={"name": "Pump control", "flowClass": "cloud"}))
    at["flowId"] = flow["id"]

    def create() -> list[Any]:
        return [
            client.flow_versions.post(
                **at, flowVersion={"version": f"v{number}", "nodes": [{"id": "a", "type": "DebugNode"}]}
            )
            for number in range(10)
        ]

    made = await in_thread(create)
    assert [version["version"] for version in made] == [f"v{number}" for number in range(10)]

    replaced = await in_thread(
        lambda: client.flow_versions.post(**at, flowVersion={"version": "v3", "notes": "new"}, allowReplacement=True)
    )
    assert (replaced["id"], replaced["notes"]) == (made[3]["id"], "new")

    listed = await in_thread(
        lambda: client.flow_versions.get(
            **at, sortField="creationDate", sortDirection="desc", page="1", perPage=4, includeCustomNodes=False
        )
    )
    assert [item["version"] for item in listed["items"]] == ["v5", "v4", "v3", "v2"]
    assert (listed["count"], listed["totalCount"], listed["page"], listed["perPage"]) == (4, 10, 1, 4)

    by_name = await in_thread(lambda: client.flow_version.get(**at, flowVersionId="v3"))
    by_id = await in_thread(lambda: client.flow_version.get(**at, flowVersionId=made[3]["id"]))
    assert by_name == by_id == replaced

    deployed = await in_thread(lambda: client.flow.patch(**at, flow={"defaultVersionId": made[0]["id"]}))
    assert deployed["defaultVersionId"] == made[0]["id"]

    options = {"query": {"version": {"$in": ["v0", "v1", "v2", "v3"]}}, "email": "ops@example.com"}
    accepted = await in_thread(lambda: client.flow_versions.delete(**at, options=options))
    assert accepted == {"success": True, "jobQueued": True, "jobId": accepted["jobId"]}

    await machinery.drain()
    log = await in_thread(lambda: client.application_job_logs.get(applicationId=tenant.application))
    (entry,) = (item for item in log["items"] if item["input"]["jobId"] == accepted["jobId"])
    assert (entry["status"], entry["output"]) == ("completed", {"removed": 3, "failed": 1})
    alone = await in_thread(lambda: client.application_job_log.get(applicationId=tenant.application, jobId=entry["id"]))
    assert alone == entry
    left = await in_thread(lambda: client.flow_versions.get(**at))
    assert [item["version"] for item in left["items"]] == ["v0", "v4", "v5", "v6", "v7", "v8", "v9"]

    assert await in_thread(lambda: client.flow_version.delete(**at, flowVersionId="v9")) == {"success": True}
    assert await in_thread(lambda: client.flow.delete(**at)) == {"success": True}
    gone = await error_of(lambda: client.flow.get(**at))
    assert (gone.status, gone.data) == (404, {"type": "NotFound", "message": "Flow was not found"})
    await machinery.drain()


async def test_lists_are_narrowed_in_the_client_s_own_writing(client: Client, tenant: Tenant) -> None:
    """It flattens nested parameters into brackets, writes True as Python does, and always asks for links."""
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
        answer = await in_thread(lambda: client.flows.get(**at, **asked))
        assert (answer["_type"], {item["_type"] for item in answer["items"]} - {"flow"}) == ("flows", set())
        return [item["name"] for item in answer["items"]]

    timed = {"triggers": {"type": "timer", "key": "minutely"}}
    assert await names() == ["Pump control", "Valve control"]
    assert await names(triggerFilter=[{"type": "timer", "key": "minutely"}, {"type": "udp"}]) == ["Pump control"]
    assert await names(query=timed) == ["Pump control"]
    assert await names(query=timed, allVersions=True) == ["Pump control", "Valve control"]
    assert await names(flowClass="customNode", includeCustomNodes=True) == ["Average"]
    assert await names(sortField="id", sortDirection="desc", perPage=1) == ["Valve control"]

    found = await in_thread(lambda: client.flows.get_by_version(**at, version="v1", filterField="name", filter="V*"))
    assert [item["version"] for item in found["items"]] == ["v1"]
    palette = await in_thread(lambda: client.flows.palette(**at))
    assert [(entry["id"], entry["version"]) for entry in palette["customNodes"]] == [(f"{node.id:024x}", "develop")]
    log = await in_thread(lambda: client.application_job_logs.get(**at, query={"status": "queued"}, sortField="status"))
    assert (log["items"], log["query"]) == ([], {"status": "queued"})


async def test_an_error_carries_status_and_body(client: Client, anonymous: Api, tenant: Tenant) -> None:
    flow = await tenant.make_flow()
    at = {"applicationId": tenant.application, "flowId": f"{flow.id:024x}"}

    bad = await error_of(lambda: client.flow_versions.delete(**at, options={"query": {"version": {"$regex": "v"}}}))
    assert (bad.status, bad.data["type"]) == (400, "Validation")
    assert bad.data["message"].startswith("query.version.$regex: ")

    await in_thread(lambda: client.flow_versions.post(**at, flowVersion={"version": "v1"}))
    taken = await error_of(lambda: client.flow_versions.post(**at, flowVersion={"version": "v1"}))
    assert (taken.status, taken.data["type"]) == (400, "AlreadyExists")

    unnamed = losant_rest.Client(url=anonymous.url)
    nobody = await error_of(lambda: unnamed.flows.get(applicationId=tenant.application))
    assert (nobody.status, nobody.data) == (401, {"type": "Unauthorized", "message": "Invalid access token"})


async def test_a_base_url_that_ends_in_a_slash_works_as_well(anonymous: Api, tenant: Tenant) -> None:
    """The client puts it and the path together as they are."""
    client = losant_rest.Client(auth_token=tenant.token, url=f"{anonymous.url}/")
    made = await in_thread(lambda: client.flows.post(applicationId=tenant.application, flow={"name": "Pump control"}))
    listed = await in_thread(lambda: client.flows.get(applicationId=tenant.application, perPage="1000"))
    assert listed["items"] == [made]
