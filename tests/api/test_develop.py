"""A flow's own triggers, nodes and globals over HTTP, and what each class of flow may have."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

from core.domain.flow_classes import FLOW_CLASSES
from core.domain.flows import Flow
from core.domain.identifiers import hex_id
from schemas.losant import FlowPatch, FlowPost, FlowVersionPost
from tests.api.cases import assert_error
from tests.api.conftest import Ground
from tests.support.api import Reply
from tests.support.arrangements import CONTENT, make_sibling
from tests.support.bodies import bodies_or_not
from tests.support.contents import unchanged
from tests.support.paths import flow_path, flows_path, version_path, versions_path

EMPTY: dict[str, Any] = {"triggers": [], "nodes": [], "globals": []}
A, B = {"id": "a", "type": "x"}, {"id": "b", "type": "x"}


def develop_of(flow: dict[str, Any]) -> dict[str, Any]:
    return {name: flow[name] for name in EMPTY}


async def trash(ground: Ground, flow: Flow) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await ground.api.get(f"/api/v1/flows/{flow.id}/trash")).json["data"]
    return found


async def test_a_flow_reads_empty_until_it_has_content(ground: Ground) -> None:
    flow = await ground.owner.make_flow()
    read = await ground.api.get(flow_path(ground.owner, flow))
    assert develop_of(read.json) == EMPTY


async def test_content_is_read_as_it_was_sent_wherever_the_flow_is_shown(ground: Ground) -> None:
    """As JSON text, not only as JSON."""
    application = await make_sibling(ground.owner)
    api = ground.as_(application)
    sent = {
        "triggers": '[ {"type":"timer", "config":{"seconds":1.50}, "outputIds":[["a"]]} ]',
        "nodes": '[{"type":"x","id":"\\u0061","config":{"z":1e2,"a":-0.0}}]',
        "globals": '[{"json":"{ \\"a\\": 1.50 }", "key":"k"}]',
        "minimumAgentVersion": '"1.2.3"',
        "customNodeConfig": '{"fields":[], "resultMode":"none","outputCount":1.0}',
    }
    raw = "{" + ",".join(f'"{name}" : {text}' for name, text in sent.items()) + ',"name":"n"}'
    made = await api.post(flows_path(application), raw=raw.encode())
    assert made.status == 201, made.raw
    path = f"{flows_path(application)}/{made.json['id']}"
    changed = await api.patch(path, {"description": "d"})
    for answer in (made, changed, await api.get(path), await api.get(flows_path(application))):
        for name, text in sent.items():
            assert f'"{name}":{text}'.encode() in answer.raw
    listed = (await api.get(flows_path(application))).json
    assert listed["items"] == [(await api.get(path)).json]


async def test_a_patch_replaces_whole_what_it_names(ground: Ground) -> None:
    flow = await ground.owner.make_flow()
    path = flow_path(ground.owner, flow)
    steps: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"nodes": [A, B]}, {"nodes": [A, B]}),
        ({"globals": [{"key": "k", "json": "1"}]}, {"nodes": [A, B], "globals": [{"key": "k", "json": "1"}]}),
        ({"nodes": [B], "name": "New"}, {"nodes": [B], "globals": [{"key": "k", "json": "1"}]}),
        ({"name": "Newer"}, {"nodes": [B], "globals": [{"key": "k", "json": "1"}]}),
        ({"globals": [], "nodes": []}, {}),
    ]
    tags = [(await ground.api.get(path)).headers["ETag"]]
    for given_members, expected in steps:
        answer = await ground.api.patch(path, given_members, headers={"If-Match": tags[-1]})
        assert answer.status == 200
        assert develop_of(answer.json) == {**EMPTY, **expected}
        assert (await ground.api.get(path)).raw == answer.raw
        tags.append(answer.headers["ETag"])
    assert len(set(tags)) == len(tags), "every change is seen in the ETag"
    stale = await ground.api.patch(path, {"nodes": [A]}, headers={"If-Match": tags[-2]})
    assert stale.status == 412


async def test_what_was_replaced_is_in_the_trash_and_comes_back(ground: Ground) -> None:
    flow = await ground.owner.make_flow()
    path = flow_path(ground.owner, flow)
    await ground.api.patch(path, {"nodes": [A]})
    changed = await ground.api.patch(path, {"nodes": [B]})
    (entry,) = await trash(ground, flow)
    assert (entry["name"], entry["reason"]) == (None, "replaced")
    restored = await ground.api.post(f"/api/v1/flows/{flow.id}/trash/{entry['id']}/restore")
    assert restored.status == 200
    back = await ground.api.get(path)
    assert back.json["nodes"] == [A]
    assert back.headers["ETag"] != changed.headers["ETag"]
    (other,) = await trash(ground, flow)
    await ground.api.post(f"/api/v1/flows/{flow.id}/trash/{other['id']}/restore")
    assert (await ground.api.get(path)).json["nodes"] == [B]


async def test_develop_is_in_no_list_of_versions_and_under_no_name(ground: Ground) -> None:
    flow = await ground.owner.make_flow()
    await ground.api.patch(flow_path(ground.owner, flow), {"nodes": [A]})
    await ground.owner.make_version(flow, "v1")
    listed = (await ground.api.get(versions_path(ground.owner, flow))).json
    assert [item["version"] for item in listed["items"]] == ["v1"]
    async with ground.database.connection() as connection:
        draft = await connection.fetchval(
            "SELECT id FROM flow_versions WHERE flow_id = $1 AND status = 'Draft'", flow.id
        )
    async with unchanged(ground.database):
        for name in ("develop", hex_id(draft)):
            address = version_path(ground.owner, flow, name)
            for answer in (
                await ground.api.get(address),
                await ground.api.patch(address, {"notes": "x"}),
                await ground.api.delete(address),
            ):
                assert_error(answer, 404, "NotFound", "Flow version was not found")
        deployed = await ground.api.patch(flow_path(ground.owner, flow), {"defaultVersionId": hex_id(draft)})
        assert_error(deployed, 404, "NotFound", "Flow version was not found")
        dry = await ground.api.post(f"{versions_path(ground.owner, flow)}/delete?dryRun=true", {"query": {}})
    assert dry.json["matched"] == 1


async def test_develop_runs_on_beside_the_default_version(ground: Ground) -> None:
    """Deploying and the develop content in one request: all of it or nothing."""
    flow = await ground.owner.make_flow()
    version = await ground.owner.make_version(flow, "v1")
    path = flow_path(ground.owner, flow)
    answer = await ground.api.patch(path, {"defaultVersionId": hex_id(version.id), "nodes": [A]})
    assert (answer.json["defaultVersionId"], answer.json["nodes"]) == (hex_id(version.id), [A])
    async with unchanged(ground.database):
        refused = await ground.api.patch(path, {"defaultVersionId": None, "nodes": [{**A, "outputIds": [["a"]]}]})
    assert_error(refused, 400, "Validation", "nodes[0].outputIds[0][0]: a node cannot lead to itself")


# Wiring and strict checks, wherever content arrives


async def test_links_are_judged_wherever_content_arrives(ground: Ground) -> None:
    flow = await ground.owner.make_flow()
    wrong = {"nodes": [A, {**B, "outputIds": [["a"], ["c"]]}]}
    message = "nodes[1].outputIds[1][0]: there is no node with this id"
    async with unchanged(ground.database):
        for answer in (
            await ground.api.post(flows_path(ground.owner), {"name": "n", **wrong}),
            await ground.api.patch(flow_path(ground.owner, flow), wrong),
            await ground.api.post(versions_path(ground.owner, flow), {"version": "v", **wrong}),
        ):
            assert_error(answer, 400, "Validation", message)


@pytest.mark.parametrize("word", ["true", "True", "1"])
async def test_a_strict_check_has_to_be_asked_for(ground: Ground, word: str) -> None:
    flow = await ground.owner.make_flow()
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", flows_path(ground.owner), {"name": "n"}),
        ("PATCH", flow_path(ground.owner, flow), {}),
        ("POST", versions_path(ground.owner, flow), {"version": "v"}),
    ]
    for method, path, body in requests:
        loose = {**body, "nodes": [A]}
        for query in ("", "?strictValidation=false"):
            answer = await ground.api.send(method, path + query, loose)
            assert answer.status in (200, 201), answer.raw
            if "version" in body:
                loose["version"] += "w"
        refused = await ground.api.send(method, f"{path}?strictValidation={word}", loose)
        assert_error(refused, 400, "Validation", "nodes[0].config: is required by a strict check")
        taken = await ground.api.send(method, f"{path}?strictValidation={word}", {**loose, **CONTENT})
        assert taken.status in (200, 201), taken.raw


# Classes

CUSTOM = {
    "triggers": [{"type": "customNodeStart", "outputIds": [["end"]]}],
    "nodes": [{"id": "end", "type": "CustomNodeCapNode", "outputIds": []}],
}
ENDPOINT = {"triggers": [{"type": "endpoint", "key": "e", "outputIds": [["a"]]}], "nodes": [A]}


@pytest.mark.parametrize("flow_class", FLOW_CLASSES)
async def test_a_class_allows_what_suits_it(ground: Ground, flow_class: str) -> None:
    given_flow = {"name": "n", "flowClass": flow_class}
    made = await ground.api.post(flows_path(ground.owner), given_flow)
    path = f"{flows_path(ground.owner)}/{made.json['id']}"
    allowed = {"timer": flow_class != "experience", "custom": flow_class == "customNode", "endpoint": True}
    contents: dict[str, dict[str, Any]] = {
        "timer": {"triggers": [{"type": "timer"}]},
        "custom": CUSTOM,
        "endpoint": ENDPOINT,
    }
    for title, content in contents.items():
        for answer in (
            await ground.api.post(flows_path(ground.owner), {**given_flow, **content}),
            await ground.api.patch(path, content),
            await ground.api.post(f"{path}/versions", {"version": title, **content}),
        ):
            assert (answer.status < 400) == allowed[title], (title, answer.raw)
            if not allowed[title]:
                assert answer.json["type"] == "Validation"
                assert answer.json["message"].startswith(("triggers[0].type: ", "nodes[0].type: "))


async def test_a_custom_node_has_no_default_and_keeps_its_versions(ground: Ground) -> None:
    flow = await ground.owner.make_flow(flow_class="customNode")
    path, versions = flow_path(ground.owner, flow), versions_path(ground.owner, flow)
    made = (await ground.api.post(f"{versions}?allowReplacement=true", {"version": "v1"})).json
    async with unchanged(ground.database):
        refused = await ground.api.patch(path, {"defaultVersionId": made["id"], "name": "x"})
        assert_error(refused, 400, "Validation", "defaultVersionId: a custom node has no default version")
        refused = await ground.api.post(f"{versions}?allowReplacement=true", {"version": "v1", "nodes": [A]})
        message = "A version of a custom node cannot be replaced; delete it first."
        assert_error(refused, 400, "Validation", message)
        refused = await ground.api.post(versions, {"version": "v1"})
        assert_error(refused, 400, "AlreadyExists", 'A version named "v1" already exists.')
    assert (await ground.api.patch(path, {"defaultVersionId": None})).status == 200
    assert (await ground.api.delete(f"{versions}/v1")).status == 200
    assert (await ground.api.post(versions, {"version": "v1"})).status == 201


async def test_a_custom_node_shows_itself(ground: Ground) -> None:
    shown: dict[str, Any] = {
        "shortDescription": "Converts",
        "iconData": "data:image/svg+xml;base64,PHN2Zz4=",
        "docsUrl": "see the wiki",
        "category": "logic",
        "customNodeSupports": ["edge"],
    }
    given_flow = {"name": "Custom", "flowClass": "customNode", **shown}
    made = (await ground.api.post(flows_path(ground.owner), given_flow)).json
    assert {name: made[name] for name in shown} == shown
    path = f"{flows_path(ground.owner)}/{made['id']}"
    kept = (await ground.api.patch(path, {"shortDescription": "", "category": "data"})).json
    assert {name: kept[name] for name in shown} == {**shown, "shortDescription": "", "category": "data"}
    bare = (await ground.api.patch(path, {"iconData": None, "category": "", "docsUrl": ""})).json
    assert "iconData" not in bare
    assert "category" not in bare
    assert (bare["docsUrl"], bare["customNodeSupports"]) == ("", ["edge"])
    assert (await ground.api.get(path)).json == bare
    refused = await ground.api.patch(path, {"customNodeSupports": ["cloud"]})
    assert_error(refused, 400, "Validation", "customNodeSupports: is not known here")
    await ground.api.post(f"{path}/versions", {"version": "v1"})
    for query, count in (('"edge"', 1), ('"cloud"', 0), ('{"$ne": "cloud"}', 1), ("null", 0)):
        address = URL(f"{path}/versions").with_query(query='{"customNodeSupports": ' + query + "}")
        assert (await ground.api.get(str(address))).json["totalCount"] == count


async def test_an_experience_version_lists_its_names(ground: Ground) -> None:
    flow = await ground.owner.make_flow(flow_class="experience")
    made = await ground.api.post(versions_path(ground.owner, flow), {"version": "v1", **ENDPOINT})
    assert (made.json["flowClass"], made.json["versions"]) == ("experience", ["v1"])
    assert (await ground.api.get(version_path(ground.owner, flow, "v1"))).json == made.json


# Whatever is sent

SCHEMAS = {"POST flow": FlowPost, "PATCH flow": FlowPatch, "POST version": FlowVersionPost}


@pytest.mark.parametrize("title", SCHEMAS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
async def test_any_body_is_taken_or_refused_in_words(ground: Ground, title: str, data: st.DataObject) -> None:
    """Bodies that are right but for a place or two get further than nonsense does. What is taken can be read."""
    body = data.draw(bodies_or_not(SCHEMAS[title]))
    strict = data.draw(st.booleans())
    flow_class = data.draw(st.sampled_from(FLOW_CLASSES))
    flow = await ground.owner.make_flow(flow_class=flow_class)
    method, _, thing = title.partition(" ")
    paths = {"POST flow": flows_path(ground.owner), "PATCH flow": flow_path(ground.owner, flow)}
    path = paths.get(title, versions_path(ground.owner, flow)) + ("?strictValidation=true" if strict else "")
    answer = await ground.api.send(method, path, raw=json.dumps(body).encode())
    assert answer.status in (200, 201, 400, 404), answer.raw
    if answer.status >= 400:
        assert set(answer.json) == {"type", "message"}
        return
    for name in ("triggers", "nodes", "globals", "customNodeConfig"):
        if name in body:
            assert answer.json[name] == body[name]
    address = f"{flows_path(ground.owner)}/{answer.json['flowId']}"
    read = await ground.api.get(f"{address}/versions/{answer.json['id']}" if thing == "version" else address)
    assert read.raw == answer.raw


async def test_a_body_of_megabytes_lets_others_have_their_turn(ground: Ground) -> None:
    """It is judged beside the event loop: no other request waits for a third of the time, as it would for the check of
    the shapes alone."""
    flow = await ground.owner.make_flow()
    nodes = b",".join([b'{"type":"x"}'] * 300_000)
    raw = b'{"version":"v","nodes":[' + nodes + b',{"type":"x","outputIds":[["gone"]]}]}'

    async def send() -> Reply:
        url, headers = ground.api.url + versions_path(ground.owner, flow), {"Authorization": str(ground.api.credential)}
        async with ground.api.session.post(url, data=io.BytesIO(raw), headers=headers) as answer:
            return Reply(answer.status, answer.headers, await answer.read())

    instants = [time.perf_counter()]
    sending = asyncio.create_task(send())
    while not sending.done():
        assert (await ground.api.get("/healthz")).status == 200
        instants.append(time.perf_counter())
    message = "nodes[300000].outputIds[0][0]: there is no node with this id"
    assert_error(await sending, 400, "Validation", message)
    waits = [after - before for before, after in itertools.pairwise(instants)]
    assert max(waits) < sum(waits) / 3
