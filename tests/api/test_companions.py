"""What answers carry only when asked: their type and links, and the custom nodes they refer to; and the palette."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.domain.flows import Flow
from core.domain.identifiers import LARGEST_ID, hex_id
from schemas.links import PARENTS, hrefs
from service.routes import ROUTES
from tests.api.conftest import Ground
from tests.api.test_flow_lists import put
from tests.support.api import Api
from tests.support.arrangements import make_sibling
from tests.support.paths import flow_path, flows_path, job_logs_path, version_path, versions_path
from tests.support.queries import Content
from tests.support.tenants import Tenant

SETTINGS: dict[str, Any] = {"outputCount": 1, "resultMode": "none", "fields": []}
ANYWHERE = {"cloud": True, "experience": True, "customNode": True}


@pytest.fixture
async def application(ground: Ground) -> Tenant:
    """One without any flow."""
    return await make_sibling(ground.owner)


@pytest.fixture
async def api(ground: Ground, application: Tenant) -> Api:
    return ground.as_(application)


def using(*nodes: dict[str, Any]) -> Content:
    """A content that runs custom nodes, beside other nodes."""
    used: list[dict[str, Any]] = [{"id": f"n{place}", **node} for place, node in enumerate(nodes)]
    return {"triggers": [], "nodes": [*used, {"id": "end", "type": "DebugNode", "config": {"customNodeId": "x"}}]}


def run(custom_node: str, version: object = None) -> dict[str, Any]:
    """A node that runs a custom node; without a version it names none."""
    config = {"customNodeId": custom_node, **({} if version is None else {"customNodeVersion": version})}
    return {"type": "CustomNodeExecuteNode", "config": config}


def settings(**more: Any) -> Content:
    content: Any = {"triggers": [], "nodes": [], "customNodeConfig": {**SETTINGS, **more}}
    return content  # type: ignore[no-any-return]


# Type and links


def at(*hrefs_of: str) -> dict[str, Any]:
    return {name: {"href": href} for name, href in zip(hrefs_of[::2], hrefs_of[1::2], strict=True)}


async def test_every_address_is_one_that_is_served() -> None:
    """But the application's own, which every answer of the dialect links to and which is not ours to serve."""
    known = {"flowVersion": "{flowVersionId}", "applicationJobLog": "{jobId}"}
    places = hrefs("{applicationId}", "{flowId}", "~")
    assert set(PARENTS) | {"application"} == set(places)
    served = {route.path for route in ROUTES if route.method == "GET"}
    for name, href in places.items():
        path = href.replace("~", known.get(name, ""))
        assert (path in served) == (name != "application"), path


async def test_answers_say_what_they_are_and_where(api: Api, application: Tenant) -> None:
    flow = await application.make_flow()
    version = await application.make_version(flow, "v1")
    job = (await api.post(f"{versions_path(application, flow)}/delete", {"query": {"version": "none"}})).json["jobId"]
    entry = (await api.get(f"{job_logs_path(application)}/{job}")).json["id"]
    root, flows = f"/applications/{application.application}", flows_path(application)
    here, versions = flow_path(application, flow), versions_path(application, flow)
    of_flow = at("self", here, "application", root, "flows", flows)
    of_version = at(
        "self", f"{versions}/{hex_id(version.id)}", "application", root, "flow", here, "flowVersions", versions
    )
    logs = job_logs_path(application)
    of_entry = at("self", f"{logs}/{entry}", "application", root, "applicationJobLogs", logs)
    expected: dict[str, tuple[str, dict[str, Any], tuple[str, dict[str, Any]] | None]] = {
        flows: ("flows", at("self", flows, "application", root), ("flow", of_flow)),
        f"{flows}/version?version=v1": (
            "flowVersions", at("self", f"{flows}/version", "application", root, "flows", flows),
            ("flowVersion", of_version),
        ),
        f"{flows}/palette": (
            "paletteResponse", at("self", f"{flows}/palette", "application", root, "flows", flows), None
        ),
        here: ("flow", of_flow, None),
        versions: (
            "flowVersions", at("self", versions, "application", root, "flow", here), ("flowVersion", of_version)
        ),
        version_path(application, flow, "v1"): ("flowVersion", of_version, None),
        logs: ("applicationJobLogs", at("self", logs, "application", root), ("applicationJobLog", of_entry)),
        f"{logs}/{job}": ("applicationJobLog", of_entry, None),
    }  # fmt: skip
    for path, (kind, links, item) in expected.items():
        separator = "&" if "?" in path else "?"
        plain = (await api.get(path)).json
        for word in ("true", "True", "TRUE", "1"):
            answer = (await api.get(f"{path}{separator}_actions=false&_links={word}&_embedded=true")).json
            assert (answer.pop("_type"), answer.pop("_links")) == (kind, links)
            for entry in answer.get("items", ()):
                assert (entry.pop("_type"), entry.pop("_links")) == item
            assert answer == plain, "nothing else is different, and without asking there is none"
        for word in ("false", "False", "0", ""):
            assert (await api.get(f"{path}{separator}_links={word}")).json == plain


async def test_what_was_made_or_changed_says_so_too(api: Api, application: Tenant) -> None:
    made = (await api.post(f"{flows_path(application)}?_links=true", {"name": "Pump control"})).json
    path = f"{flows_path(application)}/{made['id']}"
    assert (await api.get(f"{path}?_links=true")).json == made
    changed = (await api.patch(f"{path}?_links=True", {"enabled": False})).json
    assert (changed["_type"], changed["_links"]) == ("flow", made["_links"])
    version = (await api.post(f"{path}/versions?_links=true", {"version": "v 1/2"})).json
    assert version["_links"]["self"] == {"href": f"{path}/versions/{version['id']}"}
    again = await api.patch(f"{path}/versions/{version['id']}?_links=true", {"notes": "x"})
    assert (again.json["_type"], again.json["_links"]) == ("flowVersion", version["_links"])


async def test_links_lead_where_they_say(api: Api, application: Tenant) -> None:
    flow = await application.make_flow()
    await application.make_version(flow, "v1")
    page = (await api.get(f"{versions_path(application, flow)}?_links=true")).json
    for thing in (page, *page["items"]):
        for name, link in thing["_links"].items():
            if name != "application":
                answer = await api.get(f"{link['href']}?_links=true")
                assert answer.status == 200
                assert answer.json["_links"]["self"] == link


# Custom nodes


async def test_a_palette_has_each_custom_node_once(api: Api, ground: Ground, application: Tenant) -> None:
    """At its newest version, else at its develop content; what cannot be used is left out."""
    assert (await api.get(f"{flows_path(application)}/palette")).json == {
        "customNodes": [], "applicationId": application.application,
    }  # fmt: skip
    average = await application.make_flow("Average", flow_class="customNode", description="Of the last values")
    await put(application, average, settings(outputCount=2))
    empty = await application.make_flow("Bare", flow_class="customNode")
    convert = await application.make_flow("Convert", flow_class="customNode")
    await put(application, convert, settings(), None)
    await put(application, convert, settings(resultMode="required"), "v1")
    newest = await put(application, convert, settings(resultMode="optional"), "v2")
    off = await put(application, convert, settings(), "v3")
    await api.patch(version_path(application, convert, off), {"enabled": False})
    await application.make_flow("Disabled", flow_class="customNode", enabled=False)
    await application.make_flow("Ordinary")
    await ground.owner.make_flow("Elsewhere", flow_class="customNode")
    await api.delete(flow_path(application, await application.make_flow("Deleted", flow_class="customNode")))
    assert (await api.get(f"{flows_path(application)}/palette")).json["customNodes"] == [
        {
            "id": hex_id(average.id), "name": "Average", "description": "Of the last values", "version": "develop",
            "customNodeConfig": {**SETTINGS, "outputCount": 2}, "compatibleFlowClasses": ANYWHERE,
        },
        {"id": hex_id(empty.id), "name": "Bare", "version": "develop", "compatibleFlowClasses": ANYWHERE},
        {
            "id": hex_id(convert.id), "name": "Convert", "version": "v2", "flowVersionId": newest,
            "customNodeConfig": {**SETTINGS, "resultMode": "optional"}, "compatibleFlowClasses": ANYWHERE,
        },
    ]  # fmt: skip


async def test_a_palette_shows_what_a_custom_node_says_of_itself(api: Api, application: Tenant) -> None:
    said = {"shortDescription": "Converts", "docsUrl": "https://docs.example.com", "category": "logic"}
    for name, supports, more in (("a", ["edge"], said), ("b", ["cloud"], {"category": ""}), ("c", [], {})):
        body = {"name": name, "flowClass": "customNode", "customNodeSupports": supports, **more}
        assert (await api.post(flows_path(application), body)).status == 201
    first, *others = (await api.get(f"{flows_path(application)}/palette")).json["customNodes"]
    assert {name: first[name] for name in said} == said
    assert first["compatibleFlowClasses"] == {"edge": True}
    for other in others:
        assert set(other) == {"id", "name", "version", "compatibleFlowClasses"}
        assert other["compatibleFlowClasses"] == ANYWHERE


@pytest.fixture
async def convert(application: Tenant) -> Flow:
    """A custom node with a develop content and two versions, of which one is deployed."""
    flow = await application.make_flow("Convert", flow_class="customNode")
    await put(application, flow, settings(resultDescription="develop"))
    for name, status in (("v1", "Deployed"), ("v2", "Inactive")):
        await put(application, flow, settings(resultDescription=name), name, status)
    return flow


def told(shown: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    """Name, version and the description that tells whether its settings are those of that version."""
    return [
        (node["name"], node["version"], node.get("customNodeConfig", {}).get("resultDescription"))
        for node in shown["customNodes"]
    ]


async def test_a_flow_brings_along_the_custom_nodes_it_runs(
    api: Api, ground: Ground, application: Tenant, convert: Flow
) -> None:
    """Each once at each version it runs; what is not there is left out."""
    number = hex_id(convert.id)
    bare = await application.make_flow("Bare", flow_class="customNode")
    ordinary = await application.make_flow("Ordinary")
    foreign = await ground.owner.make_flow("Foreign", flow_class="customNode")
    flow = await application.make_flow("Pump control")
    await put(
        application, flow,
        using(
            run(number.upper(), "v2"), run(number, "v2"), run(number, "develop"), run(number, "default"), run(number),
            run(number, "v1"), run(number, "v9"), run(hex_id(bare.id)), run(hex_id(ordinary.id)),
            run(hex_id(foreign.id)), run(hex_id(LARGEST_ID)), run("f" * 24), run("nonsense"), run("0" * 24, "v1"),
            {"type": "CustomNodeExecuteNode"}, {"type": "CustomNodeExecuteNode", "config": {"customNodeId": 7}},
            {"type": "CustomNodeExecuteNode", "config": {"customNodeId": number, "customNodeVersion": 7}},
            {"type": "OtherNode", "config": {"customNodeId": number, "customNodeVersion": "v2"}},
        ),
    )  # fmt: skip
    path = flow_path(application, flow)
    shown = (await api.get(f"{path}?includeCustomNodes=True")).json
    assert told(shown) == [
        ("Bare", "develop", None), ("Convert", "v1", "v1"), ("Convert", "v2", "v2"), ("Convert", "develop", "develop"),
    ]  # fmt: skip
    assert [("flowVersionId" in node) for node in shown["customNodes"]] == [False, True, True, False]
    for asked in ("", "?includeCustomNodes=false"):
        assert "customNodes" not in (await api.get(path + asked)).json


async def test_every_answer_with_content_brings_them_along(api: Api, application: Tenant, convert: Flow) -> None:
    body = using(run(hex_id(convert.id), "v2"))
    flow = await application.make_flow("Pump control")
    await put(application, flow, body)
    asked, expected = "includeCustomNodes=true", [("Convert", "v2", "v2")]
    flows, versions = flows_path(application), versions_path(application, flow)
    made = await api.post(f"{versions}?{asked}", {"version": "one", **body})
    assert (made.status, told(made.json)) == (201, expected)
    assert told((await api.patch(f"{versions}/one?{asked}", {"notes": "x"})).json) == expected
    assert told((await api.get(f"{versions}/one?{asked}")).json) == expected
    assert told((await api.patch(f"{flow_path(application, flow)}?{asked}", {"enabled": True})).json) == expected
    assert (await api.post(f"{flows}?{asked}", {"name": "Empty"})).json["customNodes"] == []

    for path in (versions, flows, f"{flows}/version"):
        answer = (await api.get(f"{path}?{asked}&version=one&_links=true")).json
        assert told(answer) == expected
        assert answer["totalCount"] > 0
        assert all("customNodes" not in item for item in answer["items"]), "once for all items"
    assert (await api.get(f"{flows}?{asked}&perPage=1&page=9")).json["customNodes"] == []


async def test_only_a_page_s_own_custom_nodes_come_along(api: Api, application: Tenant, convert: Flow) -> None:
    for name in ("a", "b"):
        await put(
            application,
            await application.make_flow(name),
            using(run(hex_id(convert.id), "v2")) if name == "b" else using(),
        )
    path = f"{flows_path(application)}?includeCustomNodes=true&perPage=1"
    assert told((await api.get(f"{path}&page=0")).json) == []
    assert told((await api.get(f"{path}&page=1")).json) == [("Convert", "v2", "v2")]


async def test_a_job_log_tells_the_query_it_was_narrowed_by(api: Api, application: Tenant) -> None:
    flow = await application.make_flow()
    await api.post(f"{versions_path(application, flow)}/delete", {"query": {}})
    await api.delete(flow_path(application, flow))
    logs = job_logs_path(application)
    assert "query" not in (await api.get(logs)).json
    for query, count in (({}, 2), ({"name": "Removal of a flow"}, 1), ({"runStartedAt": {"$ne": None}}, 0)):
        answer = (await api.get(f"{logs}?query={json.dumps(query)}".replace(" ", "+"))).json
        assert (answer["query"], answer["totalCount"], len(answer["items"])) == (query, count, count)
