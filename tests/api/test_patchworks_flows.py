"""Flows in the Patchworks dialect: the whole company's, and the same ones that Losant's dialect shows."""

from __future__ import annotations

from typing import Any

import pytest

from core.domain.identifiers import hex_id
from core.domain.stored_schedules import MOST_SCHEDULES
from core.operations.catalogue import MOST_RELATED
from tests.support.api import Api
from tests.support.arrangements import make_sibling
from tests.support.lifecycles import tomorrow
from tests.support.machinery import Machinery
from tests.support.patchworks import Patchworks
from tests.support.tenants import Tenant


@pytest.fixture
def speaker(anonymous: Api, tenant: Tenant) -> Patchworks:
    return Patchworks(anonymous.as_(tenant.key))


async def test_a_new_flow_is_as_usual(speaker: Patchworks) -> None:
    flow = await speaker.new_flow("Orders")
    assert flow == {
        "id": flow["id"], "name": "Orders", "description": None, "is_enabled": True, "flow_class": "cloud",
        "runner_url": None, "flow_priority": 3, "run_timeout_seconds": 3600, "revision": 1,
        "created_at": flow["created_at"], "updated_at": flow["updated_at"],
    }  # fmt: skip
    assert await speaker.flow(flow) == flow


async def test_both_dialects_see_the_same_flows(speaker: Patchworks, api: Api, tenant: Tenant) -> None:
    """Made here, a flow is in the default application and of the class cloud; of all applications all are seen here."""
    made = await speaker.new_flow("Orders", description="By hand", is_enabled=False)
    read = await api.get(f"/applications/{tenant.application}/flows/{hex_id(made['id'])}")
    assert (read.json["name"], read.json["description"], read.json["enabled"]) == ("Orders", "By hand", False)
    assert read.json["flowClass"] == "cloud"
    sibling = await make_sibling(tenant)
    others = [await tenant.make_flow("Edge", flow_class="edge"), await sibling.make_flow("Elsewhere")]
    listed = await speaker.ask("GET", "/flows?fields[flows]=id,flow_class")
    assert listed == [
        {"id": made["id"], "flow_class": "cloud"},
        {"id": others[0].id, "flow_class": "edge"},
        {"id": others[1].id, "flow_class": "cloud"},
    ]
    renamed = await speaker.ask("PATCH", f"/flows/{others[1].id}", {"name": "Here"})
    assert renamed["name"] == "Here"


async def test_an_applications_token_sees_its_own(anonymous: Api, speaker: Patchworks, tenant: Tenant) -> None:
    sibling = await make_sibling(tenant)
    theirs = Patchworks(anonymous.as_(f"Bearer {sibling.token}"))
    made = await theirs.new_flow("Theirs")
    await speaker.new_flow("Ours")
    assert [flow["id"] for flow in await theirs.ask("GET", "/flows")] == [made["id"]]
    assert len(await speaker.ask("GET", "/flows")) == 2


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_a_change_takes_what_is_given(speaker: Patchworks, method: str) -> None:
    runner: dict[str, Any] = {"runner_url": "https://runner.example/run", "flow_priority": 1, "run_timeout_seconds": 60}
    flow = await speaker.new_flow(description="Old", **runner)
    path = f"/flows/{flow['id']}"
    assert await speaker.ask(method, path, {"is_enabled": False}) == {
        **flow, "is_enabled": False, "revision": 2, "updated_at": (await speaker.flow(flow))["updated_at"]
    }  # fmt: skip
    cleared = await speaker.ask(method, path, {"description": None, "runner_url": None, "flow_priority": 5.0})
    assert (cleared["description"], cleared["runner_url"], cleared["flow_priority"]) == (None, None, 5)
    assert cleared["run_timeout_seconds"] == 60


@pytest.mark.parametrize("url", ["ftp://runner.example", "https://", "https://a:b@c.example", "https://a.example/#b"])
async def test_where_a_flow_runs_is_checked_like_a_callback(speaker: Patchworks, url: str) -> None:
    refused = await speaker.api.post("/api/v1/flows", {"name": "a", "runner_url": url})
    assert (refused.status, list(refused.json["errors"])) == (422, ["runner_url"])
    assert await speaker.ask("GET", "/flows") == []


async def test_a_flow_keeps_how_it_runs_through_its_deletion(
    speaker: Patchworks, tenant: Tenant, machinery: Machinery
) -> None:
    flow = await speaker.new_flow(runner_url="https://runner.example/run", flow_priority=1, run_timeout_seconds=60)
    planned = await speaker.new_draft(flow)
    await speaker.put(planned, tomorrow().isoformat())
    answer = await speaker.api.delete(f"/api/v1/flows/{flow['id']}")
    assert (answer.status, set(answer.json)) == (200, {"message"})
    assert (await speaker.api.get(f"/api/v1/flows/{flow['id']}")).status == 404
    await machinery.drain()
    job = answer.headers["Location"]
    ended = (await speaker.api.get(job)).json["data"]
    assert (ended["status"], ended["result"]["removed"], ended["result"]["failed"]) == ("completed", 1, 0)
    assert (await speaker.api.post(f"{job}/undo")).status == 202
    await machinery.drain()
    back = await speaker.flow(flow)
    assert {**back, "revision": 1, "updated_at": flow["updated_at"]} == flow
    (draft,) = await speaker.versions(flow)
    assert (draft["id"], draft["status"], draft["deployed_at"]) == (planned["id"], "Draft", None)


# Lists


async def test_a_list_is_narrowed_and_sorted(speaker: Patchworks) -> None:
    for name, priority, enabled in (("Alpha", 1, True), ("beta", 3, False), ("Gamma%", 3, True), ("ÄLPHA", 5, True)):
        await speaker.new_flow(name, flow_priority=priority, is_enabled=enabled)

    async def found(parameters: str) -> list[str]:
        return [flow["name"] for flow in await speaker.ask("GET", f"/flows?{parameters}")]

    assert await found("") == ["Alpha", "beta", "Gamma%", "ÄLPHA"]
    assert await found("filter[name]=ALPHA,a%25") == ["Alpha", "Gamma%"]
    assert await found("filter[name]=%C3%A4lp") == ["ÄLPHA"]
    assert await found("filter[is_enabled]=0") == ["beta"]
    assert await found("filter[flow_priority]=1,5&sort=-id") == ["ÄLPHA", "Alpha"]
    assert await found("sort=-flow_priority,-name") == ["ÄLPHA", "beta", "Gamma%", "Alpha"]
    assert await found("filter[flow_class]=edge") == []


async def test_what_comes_along(speaker: Patchworks) -> None:
    empty, full = await speaker.new_flow("Empty"), await speaker.new_flow("Full")
    deployed = await speaker.deploy(await speaker.new_draft(full))
    draft, _ = await speaker.versions(full)
    everything = (
        "include=versions,latestVersion,deployedVersion,versions_count,"
        "versionsExists,latestVersionExists,deployedVersionExists"
    )
    listed = await speaker.ask("GET", f"/flows?{everything}&fields[flows]=id")
    nothing = {
        "id": empty["id"], "versions": [], "latest_version": None, "deployed_version": None, "versions_count": 0,
        "versions_exists": False, "latest_version_exists": False, "deployed_version_exists": False,
    }  # fmt: skip
    all_of_it = {
        "id": full["id"], "versions": [draft, deployed], "latest_version": draft, "deployed_version": deployed,
        "versions_count": 2, "versions_exists": True, "latest_version_exists": True, "deployed_version_exists": True,
    }  # fmt: skip
    assert listed == [nothing, all_of_it]
    assert await speaker.flow(full, f"?{everything}&fields[flows]=id") == all_of_it
    bare = await speaker.flow(full, "?include=deployedVersion&fields[versions]=name&fields[flows]=name")
    assert bare == {"name": "Full", "deployed_version": {"name": "v1"}}
    assert "versions" not in await speaker.flow(full)


async def test_the_versions_that_come_along_have_a_bound(speaker: Patchworks, tenant: Tenant) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, MOST_RELATED + 1)
    shown = await speaker.flow({"id": flow.id}, "?include=versions,versions_count&fields[versions]=iteration")
    assert [row["iteration"] for row in shown["versions"]] == list(range(MOST_RELATED + 1, 1, -1))
    assert shown["versions_count"] == MOST_RELATED + 1


async def test_an_include_that_is_unknown_is_refused(speaker: Patchworks) -> None:
    for parameters, begins in (
        ("include=versions.steps", "Requested include(s) `versions.steps` are not allowed. Allowed include(s) are `v"),
        ("filter[status]=Draft", "Requested filter(s) `status` are not allowed. Allowed filter(s) are `id, "),
        ("sort=runs", "Requested sort(s) `runs` is not allowed. Allowed sort(s) are `id, "),
        ("fields[flows]=secret", "Requested field(s) `secret` are not allowed. Allowed field(s) are `id, "),
        ("fields[runs]=id", "Requested field(s) `runs` are not allowed. Allowed field(s) are `flows, versions`."),
    ):
        answer = await speaker.api.get(f"/api/v1/flows?{parameters}")
        assert (answer.status, set(answer.json)) == (400, {"message"})
        assert answer.json["message"].startswith(begins)


async def test_schedules_come_along_with_versions(speaker: Patchworks, tenant: Tenant) -> None:
    flow = await tenant.make_flow()
    first, second = [await tenant.make_version(flow, name) for name in ("a", "b")]
    await tenant.deploy(flow, first)
    made = await speaker.api.post(f"/api/v1/flow-versions/{first.id}/schedules", {"cron_string": "0 3 * * *"})
    own = {first.id: [made.json["data"]], second.id: []}
    at = f"/api/v1/flows/{flow.id}"

    listed = await speaker.api.get(f"{at}/versions?include=schedules,schedules_count,schedulesExists")
    assert [(row["schedules"], row["schedules_count"], row["schedules_exists"]) for row in listed.json["data"]] == [
        (own[number], len(own[number]), bool(own[number])) for number in (second.id, first.id)
    ]
    read = await speaker.api.get(f"{at}/versions/{first.id}?include=schedules&fields[versions]=name")
    assert read.json["data"] == {"name": "a", "schedules": own[first.id]}

    parameters = (
        "include=versions.schedules,deployedVersion.schedules,latestVersion&fields[versions]=id&fields[flows]=id"
    )
    (shown,) = (await speaker.api.get(f"/api/v1/flows?{parameters}")).json["data"]
    assert shown == (await speaker.api.get(f"{at}?{parameters}")).json["data"]
    assert shown["versions"] == [{"id": number, "schedules": own[number]} for number in (second.id, first.id)]
    assert shown["deployed_version"] == {"id": first.id, "schedules": own[first.id]}
    assert shown["latest_version"] == {"id": second.id}


async def test_too_many_schedules_are_not_brought_along(speaker: Patchworks, tenant: Tenant) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 11)
    async with tenant.database.connection() as connection:
        await connection.execute(
            "INSERT INTO schedules (company_id, flow_id, flow_version_id, cron_string, timezone, overlap_policy,"
            " catchup_window_seconds, paused, created_by_type, updated_by_type)"
            " SELECT v.company_id, v.flow_id, v.id, '0 3 * * *', 'UTC', 'skip', 600, false, 'cli', 'cli'"
            " FROM flow_versions v, generate_series(1, $2) WHERE v.flow_id = $1",
            flow.id, MOST_SCHEDULES,
        )  # fmt: skip
    path = f"/api/v1/flows/{flow.id}/versions?include=schedules"
    refused = await speaker.api.get(path)
    assert (refused.status, set(refused.json["errors"])) == (422, {"include"})
    assert len((await speaker.api.get(f"{path}&per_page=10")).json["data"]) == 10
