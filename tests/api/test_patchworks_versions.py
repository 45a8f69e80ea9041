"""Flow versions in the Patchworks dialect: from Draft to Deployed, back, and into the trash."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from core.domain.identifiers import hex_id
from core.domain.versions import MOST_AHEAD_SECONDS, NOW_SECONDS
from tests.support.api import Api
from tests.support.lifecycles import come_due
from tests.support.patchworks import PAST, Patchworks, address, standing
from tests.support.tenants import Tenant
from worker.deployer import Deployer


@pytest.fixture
def speaker(anonymous: Api, tenant: Tenant) -> Patchworks:
    """With the company's key, as most clients speak."""
    return Patchworks(anonymous.as_(tenant.key))


def ahead(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


async def test_a_flow_is_born_without_a_version_and_gets_one_draft(speaker: Patchworks) -> None:
    flow = await speaker.new_flow()
    assert await speaker.versions(flow) == []
    draft = await speaker.new_draft(flow)
    assert standing([draft]) == [(1, "Draft", None)]
    assert (draft["is_editable"], draft["is_deployed"], draft["deployed_at"]) == (True, False, None)
    assert await speaker.versions(flow) == [draft]
    again = await speaker.api.post(f"/api/v1/flows/{flow['id']}/versions")
    assert (again.status, again.json) == (409, {"message": "This flow already has a draft."})


async def test_deploying_a_draft_keeps_its_row_and_leaves_another_one(speaker: Patchworks) -> None:
    flow = await speaker.new_flow()
    draft = await speaker.new_draft(flow)
    deployed = await speaker.deploy(draft)
    assert deployed["id"] == draft["id"]
    assert standing([deployed]) == [(1, "Deployed", "v1")]
    assert deployed["deployed_at"] == deployed["last_deployed_at"]
    assert deployed["deployed_at"].endswith("Z")
    after = await speaker.versions(flow)
    assert standing(after) == [(2, "Draft", None), (1, "Deployed", "v1")]
    assert after[0]["digest"] == deployed["digest"]

    second = await speaker.deploy(after[0])
    assert standing(await speaker.versions(flow)) == [
        (3, "Draft", None), (2, "Deployed", "v2"), (1, "Inactive", "v1")
    ]  # fmt: skip
    first = await speaker.version(deployed)
    assert (first["deployed_at"], first["last_deployed_at"]) == (None, deployed["deployed_at"])
    assert second["revision"] > draft["revision"]


async def test_a_name_that_is_taken_gets_a_number(speaker: Patchworks, api: Api, tenant: Tenant) -> None:
    flow = await tenant.make_flow()
    for name in ("v4", "v4-2", "v4-20"):
        await tenant.make_version(flow, name)
    shown = {"id": flow.id}
    draft = await speaker.new_draft(shown)
    assert draft["iteration"] == 4
    assert (await speaker.deploy(draft))["name"] == "v4-3"


async def test_deploying_an_inactive_version_leaves_the_draft_alone(speaker: Patchworks) -> None:
    flow = await speaker.new_flow()
    first = await speaker.deploy(await speaker.new_draft(flow))
    second = await speaker.deploy((await speaker.versions(flow))[0])
    draft = (await speaker.versions(flow))[0]
    back = await speaker.deploy(first)
    assert (back["id"], back["name"], back["status"]) == (first["id"], "v1", "Deployed")
    assert standing(await speaker.versions(flow)) == [
        (3, "Draft", None), (2, "Inactive", "v2"), (1, "Deployed", "v1")
    ]  # fmt: skip
    assert await speaker.version(draft) == draft
    assert (await speaker.version(second))["deployed_at"] is None


async def test_null_undeploys(speaker: Patchworks) -> None:
    flow = await speaker.new_flow()
    version = await speaker.deploy(await speaker.new_draft(flow))
    off = await speaker.undeploy(version)
    assert (off["status"], off["deployed_at"], off["last_deployed_at"]) == ("Inactive", None, version["deployed_at"])
    assert await speaker.undeploy(off) == off, "once is enough"
    draft = (await speaker.versions(flow))[0]
    assert await speaker.undeploy(draft) == draft


@pytest.mark.parametrize("back", ["as it was read", "long ago", "just now"])
async def test_writing_back_what_was_read_changes_nothing(speaker: Patchworks, back: str) -> None:
    flow = await speaker.new_flow()
    deployed = await speaker.deploy(await speaker.new_draft(flow))
    at = {"as it was read": deployed["deployed_at"], "long ago": PAST, "just now": ahead(1)}[back]
    before = await speaker.versions(flow)
    assert await speaker.put(deployed, at) == deployed
    for version in before:
        if version["status"] != "Deployed":
            assert await speaker.put(version, version["deployed_at"]) == version
    assert await speaker.versions(flow) == before


async def test_without_deployed_at_nothing_changes(speaker: Patchworks) -> None:
    flow = await speaker.new_flow()
    draft = await speaker.new_draft(flow)
    assert await speaker.ask("PUT", address(draft), {}) == draft


# Deploys that are planned


async def test_further_ahead_is_a_plan(speaker: Patchworks, tenant: Tenant) -> None:
    flow = await speaker.new_flow()
    draft = await speaker.new_draft(flow)
    at = (datetime.now(UTC) + timedelta(days=30)).replace(microsecond=123456)
    planned = await speaker.put(draft, at.astimezone(timezone(timedelta(hours=1))).isoformat())
    assert (planned["status"], planned["deployed_at"]) == ("Draft", at.strftime("%Y-%m-%dT%H:%M:%S.123456Z"))
    assert planned["revision"] == draft["revision"] + 1
    assert await speaker.put(planned, planned["deployed_at"]) == planned, "writing back changes nothing"
    await come_due(tenant)
    assert await Deployer(tenant.database).run_once() == 1
    assert standing(await speaker.versions(flow)) == [(2, "Draft", None), (1, "Deployed", "v1")]


async def test_the_last_word_counts(speaker: Patchworks) -> None:
    """At most one plan a flow: another takes its place, and any deploy or undeploy takes it back."""
    flow = await speaker.new_flow()
    first = await speaker.deploy(await speaker.new_draft(flow))
    second = await speaker.deploy((await speaker.versions(flow))[0])
    draft = (await speaker.versions(flow))[0]

    async def planned() -> list[int]:
        return [
            version["iteration"]
            for version in await speaker.versions(flow)
            if version["deployed_at"] and version["status"] != "Deployed"
        ]

    await speaker.put(first, ahead(1000))
    assert await planned() == [1]
    await speaker.put(draft, ahead(1000))
    assert await planned() == [3]
    await speaker.put(draft, None)
    assert await planned() == []
    await speaker.put(first, ahead(1000))
    await speaker.put(second, PAST)
    assert await planned() == [1], "nothing was deployed by that, so nothing is taken back"
    await speaker.undeploy(second)
    assert await planned() == []
    await speaker.put(first, ahead(1000))
    await speaker.deploy(second)
    assert await planned() == []


async def test_what_is_planned_cannot_be_deleted_or_overwritten(speaker: Patchworks) -> None:
    flow = await speaker.new_flow()
    first = await speaker.deploy(await speaker.new_draft(flow))
    await speaker.undeploy(first)
    await speaker.put(first, ahead(1000))
    refused = await speaker.refused("DELETE", first)
    assert (refused.status, set(refused.json)) == (409, {"message"})
    draft = (await speaker.versions(flow))[0]
    await speaker.put(draft, ahead(1000))
    refused = await speaker.refused("POST", first, path="/copy")
    assert refused.status == 409
    assert "about to be deployed" in refused.json["message"]
    assert await speaker.trash(flow) == []


async def test_a_deployed_version_has_no_plan(speaker: Patchworks) -> None:
    deployed = await speaker.deploy(await speaker.new_draft(await speaker.new_flow()))
    refused = await speaker.refused("PUT", deployed, {"deployed_at": ahead(1000)})
    assert refused.status == 409
    assert await speaker.version(deployed) == deployed


@pytest.mark.parametrize(("seconds", "status"), [(NOW_SECONDS - 0.5, "Deployed"), (NOW_SECONDS + 5, "Draft")])
async def test_clocks_may_differ_a_little(speaker: Patchworks, seconds: float, status: str) -> None:
    draft = await speaker.new_draft(await speaker.new_flow())
    assert (await speaker.put(draft, ahead(seconds)))["status"] == status


async def test_a_plan_has_a_bound(speaker: Patchworks) -> None:
    draft = await speaker.new_draft(await speaker.new_flow())
    refused = await speaker.refused("PUT", draft, {"deployed_at": ahead(MOST_AHEAD_SECONDS + 60)})
    assert (refused.status, refused.json["errors"]) == (422, {"deployed_at": ["must be at most 366 days ahead"]})
    await speaker.put(draft, ahead(MOST_AHEAD_SECONDS - 60))


# Deleting and copying


async def test_only_an_inactive_version_can_be_deleted(speaker: Patchworks) -> None:
    flow = await speaker.new_flow()
    first = await speaker.deploy(await speaker.new_draft(flow))
    draft = (await speaker.versions(flow))[0]
    for version, message in (
        (draft, "A draft cannot be deleted."),
        (first, "A deployed version, or one about to be deployed, cannot be deleted."),
    ):
        refused = await speaker.refused("DELETE", version)
        assert (refused.status, refused.json) == (409, {"message": message})
    await speaker.undeploy(first)
    assert await speaker.delete(first) == {"message": "The flow version was deleted."}
    assert (await speaker.refused("GET", first)).status == 404
    (entry,) = await speaker.trash(flow)
    assert (entry["version_id"], entry["reason"]) == (first["id"], "deleted")
    await speaker.restore(flow, entry)
    back = await speaker.version(first)
    assert (back["iteration"], back["name"], back["status"]) == (1, "v1", "Inactive")


async def test_ordinals_are_neither_moved_nor_used_again(speaker: Patchworks) -> None:
    flow = await speaker.new_flow()
    first = await speaker.deploy(await speaker.new_draft(flow))
    second = await speaker.deploy((await speaker.versions(flow))[0])
    await speaker.delete(first)
    copied = await speaker.copy(second)
    assert standing(await speaker.versions(flow)) == [(4, "Draft", None), (2, "Deployed", "v2")]
    assert copied["iteration"] == 4, "3 was the draft that went to the trash"


async def test_a_copy_takes_the_place_of_the_draft(speaker: Patchworks, api: Api, tenant: Tenant) -> None:
    flow = await tenant.make_flow()
    shown, losant = {"id": flow.id}, f"/applications/{tenant.application}/flows/{hex_id(flow.id)}"
    source = await tenant.make_version(flow, "source")
    written = await api.patch(losant, {"globals": [{"key": "a", "json": "1"}]})
    (draft,) = await speaker.versions(shown, "?filter[status]=Draft")
    copied = await speaker.copy({"flow_id": flow.id, "id": source.id})
    assert (copied["id"] != draft["id"], copied["digest"]) == (True, source.digest.hex())
    (entry,) = await speaker.trash(shown)
    assert (entry["version_id"], entry["name"], entry["digest"]) == (draft["id"], None, draft["digest"])
    read = await api.get(losant)
    assert read.json["nodes"] == [{"id": "a", "type": "x"}]
    assert read.headers["ETag"] != written.headers["ETag"]

    await speaker.restore(shown, entry)
    assert (await api.get(losant)).json["globals"] == [{"key": "a", "json": "1"}]
    assert [entry["digest"] for entry in await speaker.trash(shown)] == [copied["digest"]]


async def test_a_draft_cannot_be_copied(speaker: Patchworks) -> None:
    draft = await speaker.new_draft(await speaker.new_flow())
    refused = await speaker.refused("POST", draft, path="/copy")
    assert (refused.status, refused.json) == (409, {"message": "A draft cannot be copied."})


async def test_a_custom_node_cannot_be_deployed(speaker: Patchworks, tenant: Tenant) -> None:
    flow = await tenant.make_flow(flow_class="customNode")
    draft = await speaker.new_draft({"id": flow.id})
    for at in (PAST, ahead(1000)):
        refused = await speaker.refused("PUT", draft, {"deployed_at": at})
        assert refused.status == 409
        assert "custom node" in refused.json["message"]


async def test_if_match_guards_every_write(speaker: Patchworks) -> None:
    flow = await speaker.new_flow()
    version = await speaker.deploy(await speaker.new_draft(flow))
    await speaker.undeploy(version)
    path = f"/api/v1{address(version)}"
    for method, ending, body in (
        ("PUT", "", {"deployed_at": PAST}), ("PUT", "", {}), ("POST", "/copy", None), ("DELETE", "", None)
    ):  # fmt: skip
        stale = await speaker.api.send(method, path + ending, body, headers={"If-Match": '"r1"'})
        assert stale.status == 412
    tag = (await speaker.api.get(path)).headers["ETag"]
    assert (await speaker.api.send("DELETE", path, headers={"If-Match": tag})).status == 200


# Lists


async def test_a_list_is_paged_narrowed_sorted_and_cut_to_fields(speaker: Patchworks, tenant: Tenant) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 30)
    shown = {"id": flow.id}
    answer = await speaker.api.get(f"/api/v1/flows/{flow.id}/versions")
    assert (len(answer.json["data"]), answer.json["meta"]["total"], answer.json["meta"]["per_page"]) == (15, 30, 15)
    assert [row["iteration"] for row in answer.json["data"]] == list(range(30, 15, -1)), "the newest first"

    async def found(parameters: str) -> list[str]:
        return [row["name"] for row in await speaker.versions(shown, parameters)]

    assert await found("?filter[iteration]=3,5&sort=iteration") == ["v3", "v5"]
    assert await found("?filter[name]=V1&sort=-name&per_page=3") == ["v19", "v18", "v17"]
    assert await found("?filter[name]=%25") == []
    assert await found("?filter[name]=v1&filter[iteration]=1,2") == ["v1"]
    assert await found("?filter[status]=Draft,Deployed") == []
    assert await found("?filter[is_enabled]=false") == []
    assert await speaker.versions(shown, "?fields[versions]=name,iteration&filter[iteration]=7") == [
        {"iteration": 7, "name": "v7"}
    ]


async def test_links_ask_for_the_same(speaker: Patchworks, tenant: Tenant) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 5)
    path = f"/api/v1/flows/{flow.id}/versions?filter[name]=v&sort=name&per_page=2&page=2"
    answer = (await speaker.api.get(path)).json
    assert [row["name"] for row in answer["data"]] == ["v3", "v4"]
    after = answer["links"]["next"].removeprefix("http://penstock.example")
    assert [row["name"] for row in (await speaker.api.get(after)).json["data"]] == ["v5"]
    clamped = (await speaker.api.get(f"/api/v1/flows/{flow.id}/versions?per_page=250")).json
    assert clamped["meta"]["per_page"] == 100
    beyond = (await speaker.api.get(f"/api/v1/flows/{flow.id}/versions?page=9")).json
    assert (beyond["data"], beyond["meta"]["from"], beyond["meta"]["total"]) == ([], None, 5)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            "filter[nonsense]=1",
            "Requested filter(s) `nonsense` are not allowed."
            " Allowed filter(s) are `id, name, status, iteration, is_enabled`.",
        ),
        (
            "include=steps",
            "Requested include(s) `steps` are not allowed."
            " Allowed include(s) are `schedules, schedules_count, schedulesExists`.",
        ),
        (
            "sort=-body",
            "Requested sort(s) `-body` is not allowed."
            " Allowed sort(s) are `id, name, iteration, deployed_at, created_at, updated_at`.",
        ),
        ("fields[flows]=id", "Requested field(s) `flows` are not allowed. Allowed field(s) are `versions`."),
    ],
)
async def test_what_a_list_does_not_have_is_refused_with_what_it_has(
    speaker: Patchworks, parameters: str, message: str
) -> None:
    flow = await speaker.new_flow()
    answer = await speaker.api.get(f"/api/v1/flows/{flow['id']}/versions?{parameters}")
    assert (answer.status, answer.json) == (400, {"message": message})
