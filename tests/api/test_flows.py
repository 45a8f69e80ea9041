"""Flows over HTTP: made, listed, changed, deployed from, and hidden by their deletion."""

from __future__ import annotations

import re
from typing import Any

import pytest

from core.domain.flow_classes import FLOW_CLASSES
from core.domain.identifiers import LARGEST_ID, hex_id
from tests.api.cases import assert_error
from tests.api.conftest import Ground
from tests.support.arrangements import make_sibling
from tests.support.contents import unchanged
from tests.support.paths import flow_path, flows_path, version_path, versions_path

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)


async def test_a_flow_is_made_with_its_name_alone(ground: Ground) -> None:
    owner = ground.owner
    answer = await ground.api.post(flows_path(owner), {"name": "Pump control"})
    made = answer.json
    assert answer.status == 201
    assert set(made) == {
        "id", "flowId", "applicationId", "creationDate", "lastUpdated", "createdById", "createdByType",
        "lastUpdatedById", "lastUpdatedByType", "name", "enabled", "flowClass", "triggers", "nodes", "globals",
    }  # fmt: skip
    assert made["id"] == made["flowId"]
    assert made["applicationId"] == owner.application
    assert (made["name"], made["enabled"], made["flowClass"]) == ("Pump control", True, "cloud")
    assert (made["createdById"], made["createdByType"]) == (hex_id(owner.token_id), "apiToken")
    assert INSTANT.fullmatch(made["creationDate"])
    assert made["creationDate"] == made["lastUpdated"]
    assert (await ground.api.get(f"{flows_path(owner)}/{made['id']}")).json == made
    assert (await ground.api.get(f"{flows_path(owner)}/{made['id'].upper()}")).json == made


@pytest.mark.parametrize("flow_class", FLOW_CLASSES)
async def test_a_flow_is_made_with_all_there_is_to_say(ground: Ground, flow_class: str) -> None:
    given = {
        "name": "P\u00fcmp \U0001f600 \u0661 \ufeff'--" + "x" * 240,
        "description": "y" * 32_767,
        "enabled": False,
        "flowClass": flow_class,
    }
    made = (await ground.api.post(flows_path(ground.owner), given)).json
    assert {key: made[key] for key in given} == given


async def test_two_flows_may_have_one_name(ground: Ground) -> None:
    answers = [await ground.api.post(flows_path(ground.owner), {"name": "Twin"}) for _ in range(2)]
    assert [answer.status for answer in answers] == [201, 201]
    assert answers[0].json["id"] != answers[1].json["id"]


async def test_flows_are_listed_by_name_page_by_page(ground: Ground) -> None:
    application = await make_sibling(ground.owner)
    api = ground.as_(application)
    names = ["b", "B", "a", "\u00e4", "10", "9", "b"]
    made = [(await api.post(flows_path(application), {"name": name})).json for name in names]
    expected = sorted(made, key=lambda flow: (flow["name"], flow["id"]))
    answer = await api.get(flows_path(application))
    assert answer.json == {
        "items": expected,
        "count": 7,
        "totalCount": 7,
        "page": 0,
        "perPage": 100,
        "sortField": "name",
        "sortDirection": "asc",
        "applicationId": application.application,
        "flowClass": "cloud",
    }
    paged = [(await api.get(f"{flows_path(application)}?page={page}&perPage=3")).json for page in range(4)]
    assert [flow for page in paged for flow in page["items"]] == expected
    assert [page["count"] for page in paged] == [3, 3, 1, 0]
    assert {page["totalCount"] for page in paged} == {7}


async def test_an_application_without_flows_has_an_empty_list(ground: Ground) -> None:
    application = await make_sibling(ground.owner)
    answer = await ground.as_(application).get(flows_path(application))
    assert (answer.status, answer.json["items"], answer.json["totalCount"]) == (200, [], 0)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "New"},
        {"description": "New"},
        {"description": ""},
        {"enabled": False},
        {"name": "New", "description": "Too", "enabled": False},
        {},
    ],
)
async def test_a_patch_changes_what_it_names(ground: Ground, change: dict[str, Any]) -> None:
    owner = ground.owner
    flow = await owner.make_flow("Old", description="Old")
    before = (await ground.api.get(flow_path(owner, flow))).json
    answer = await ground.api.patch(flow_path(owner, flow), change)
    assert answer.status == 200
    assert answer.json == (await ground.api.get(flow_path(owner, flow))).json
    assert {**answer.json, "lastUpdated": ""} == {**before, **change, "lastUpdated": ""}
    assert answer.json["lastUpdated"] >= before["lastUpdated"]


async def test_flow_class_cannot_be_changed(ground: Ground) -> None:
    flow = await ground.owner.make_flow()
    answer = await ground.api.patch(flow_path(ground.owner, flow), {"flowClass": "edge"})
    assert_error(answer, 400, "Validation", "flowClass: is not known here")


# Deploying


async def test_a_version_becomes_the_default_gives_way_and_is_withdrawn(ground: Ground) -> None:
    owner, api = ground.owner, ground.api
    flow = await owner.make_flow()
    one, two = await owner.make_version(flow, "one"), await owner.make_version(flow, "two")
    path = flow_path(owner, flow)
    assert "defaultVersionId" not in (await api.get(path)).json

    for version in (one, two, two, one):
        answer = await api.patch(path, {"defaultVersionId": hex_id(version.id)})
        assert (answer.status, answer.json["defaultVersionId"]) == (200, hex_id(version.id))
        assert (await api.get(path)).json == answer.json
    assert await owner.names(flow) == ["one", "two"], "nothing was made or lost on the way"

    for _ in range(2):
        answer = await api.patch(path, {"defaultVersionId": None})
        assert answer.status == 200
        assert "defaultVersionId" not in answer.json


async def test_an_id_in_capitals_deploys_too(ground: Ground) -> None:
    flow = await ground.owner.make_flow()
    versions = [await ground.owner.make_version(flow, f"v{number}") for number in range(12)]
    answer = await ground.api.patch(
        flow_path(ground.owner, flow), {"defaultVersionId": hex_id(versions[-1].id).upper()}
    )
    assert answer.json["defaultVersionId"] == hex_id(versions[-1].id)


async def test_deploying_what_the_flow_does_not_have_changes_nothing(ground: Ground) -> None:
    """Not even the name in the same request; another company's version is as unknown as any."""
    owner = ground.owner
    flow = await owner.make_flow("Old")
    deployed = await owner.make_version(flow, "deployed")
    await owner.deploy(flow, deployed)
    elsewhere = await owner.make_version(await owner.make_flow(), "elsewhere")
    abroad = await ground.stranger.make_version(await ground.stranger.make_flow(), "abroad")
    unknown = [hex_id(LARGEST_ID), "0" * 24, "f" * 24, hex_id(elsewhere.id), hex_id(abroad.id)]
    for version in unknown:
        async with unchanged(ground.database):
            answer = await ground.api.patch(flow_path(owner, flow), {"name": "New", "defaultVersionId": version})
        assert_error(answer, 404, "NotFound", "Flow version was not found")


@pytest.mark.parametrize("value", ["deployed", "", "default", 7, True, ["a"], {}])
async def test_a_default_version_is_named_by_id_only(ground: Ground, value: Any) -> None:
    flow = await ground.owner.make_flow()
    await ground.owner.make_version(flow, "deployed")
    async with unchanged(ground.database):
        answer = await ground.api.patch(flow_path(ground.owner, flow), {"defaultVersionId": value})
    assert_error(answer, 400, "Validation", "defaultVersionId: must be 24 hexadecimal digits")


# Deleting


@pytest.mark.parametrize("body", [None, {}], ids=["without a body", "with {}"])
async def test_a_deleted_flow_is_gone_at_once_with_all_that_is_under_it(ground: Ground, body: object) -> None:
    """One official client sends a body with DELETE, the other does not."""
    owner, api = ground.owner, ground.api
    flow, other = await owner.make_flow(), await owner.make_flow()
    version = await owner.make_version(flow, "v1")
    await owner.deploy(flow, version)
    answer = await api.delete(flow_path(owner, flow), body=body)
    assert (answer.status, answer.json) == (200, {"success": True})
    assert re.fullmatch(r"/api/v1/jobs/[A-Za-z0-9_-]{21}", answer.headers["Location"])

    async with unchanged(ground.database):
        for request in (
            api.get(flow_path(owner, flow)),
            api.patch(flow_path(owner, flow), {"name": "x"}),
            api.delete(flow_path(owner, flow)),
            api.get(versions_path(owner, flow)),
            api.post(versions_path(owner, flow), {"version": "v2"}),
            api.post(f"{versions_path(owner, flow)}/delete", {"query": {}}),
            api.delete(version_path(owner, flow, "v1")),
        ):
            assert_error(await request, 404, "NotFound", "Flow was not found")
        gone = await api.get(version_path(owner, flow, "v1"))
        assert_error(gone, 404, "NotFound", "Flow version was not found")
    listed = [item["id"] for item in (await api.get(f"{flows_path(owner)}?perPage=1000")).json["items"]]
    assert hex_id(flow.id) not in listed
    assert hex_id(other.id) in listed
