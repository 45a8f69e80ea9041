"""Lists of flows over HTTP: what narrows and orders them, what is refused, and the versions of one name."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from yarl import URL

from core.domain.flows import Flow
from core.domain.identifiers import hex_id
from core.operations.lists import LIST_SECONDS
from tests.api.cases import assert_error
from tests.api.conftest import Ground
from tests.support.api import Api, Reply
from tests.support.arrangements import make_sibling
from tests.support.contents import unchanged
from tests.support.paths import flow_path, flows_path, job_logs_path
from tests.support.queries import Content, insert_version
from tests.support.tenants import Tenant

TIMER: Content = {"triggers": [{"type": "timer", "key": "every-minute", "config": {"seconds": 60}}], "nodes": []}
WEBHOOK: Content = {"triggers": [{"type": "webhook", "key": "a" * 24}], "nodes": [{"type": "DebugNode"}]}
EMPTY: Content = {"triggers": [], "nodes": []}


@pytest.fixture
async def application(ground: Ground) -> Tenant:
    """One without any flow."""
    return await make_sibling(ground.owner)


@pytest.fixture
async def api(ground: Ground, application: Tenant) -> Api:
    return ground.as_(application)


async def put(tenant: Tenant, flow: Flow, body: Content, name: str | None = None, status: str = "Inactive") -> str:
    """Gives a flow an enabled version or, without a name, its develop content; returns its id."""
    async with tenant.database.connection() as connection:
        held = await connection.fetchval("SELECT count(*) FROM flow_versions WHERE flow_id = $1", flow.id)
        number, _ = await insert_version(
            connection,
            tenant.company_id,
            flow.id,
            body,
            name=name,
            status=status if name else "Draft",
            place=3 * held + 1,
        )
    return hex_id(number)


async def ask(api: Api, path: str, **asked: Any) -> Reply:
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in asked.items()}
    return await api.get(str(URL(path).with_query(texts)))


async def names(api: Api, application: Tenant, **asked: Any) -> list[str]:
    answer = await ask(api, flows_path(application), **asked)
    assert answer.status == 200, answer.raw
    assert answer.json["totalCount"] == len(answer.json["items"]) == answer.json["count"]
    return [item["name"] for item in answer.json["items"]]


# What narrows a list of flows


async def test_there_are_cloud_flows_unless_another_class_is_asked_for(api: Api, application: Tenant) -> None:
    for flow_class in ("cloud", "edge", "customNode"):
        await application.make_flow(f"of {flow_class}", flow_class=flow_class)
    assert await names(api, application) == ["of cloud"]
    assert await names(api, application, flowClass="edge") == ["of edge"]
    assert await names(api, application, flowClass="embedded") == []
    answer = await ask(api, flows_path(application), flowClass="customNode", filterField="name", filter="of*")
    assert {name: answer.json[name] for name in ("flowClass", "filter", "filterField", "count")} == {
        "flowClass": "customNode", "filter": "of*", "filterField": "name", "count": 1,
    }  # fmt: skip


async def test_a_query_overrides_class_filter_and_triggers(api: Api, application: Tenant) -> None:
    for flow_class in ("cloud", "edge"):
        await application.make_flow(f"of {flow_class}", flow_class=flow_class)
    others = {"flowClass": "experience", "filter": "x", "triggerFilter[0][type]": "timer"}
    assert await names(api, application, query={}, **others) == ["of cloud", "of edge"]
    assert await names(api, application, query={"flowClass": "edge"}, **others) == ["of edge"]
    assert await names(api, application, query={"flowClass": {"$eq": "EDGE", "$ci": True}}) == ["of edge"]
    assert "flowClass" not in (await ask(api, flows_path(application), query={})).json


SPECIAL = ["100%", "a%b", "a_b", "a\\b", "axb", "ab", "a*b", "'; --", "$1"]


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("a%b", ["a%b"]),
        ("a_b", ["a_b"]),
        ("a\\b", ["a\\b"]),
        ("a*b", ["a%b", "a*b", "a\\b", "a_b", "ab", "axb"]),
        ("*%*", ["100%", "a%b"]),
        ("A*", []),
        ("", sorted(SPECIAL)),
        ("**", sorted(SPECIAL)),
    ],
)
async def test_a_filter_is_a_glob_of_the_whole_name(
    api: Api, application: Tenant, glob: str, expected: list[str]
) -> None:
    for name in SPECIAL:
        await application.make_flow(name)
    assert await names(api, application, filter=glob) == expected


async def test_a_name_is_compared_without_case_as_it_is_now(api: Api, application: Tenant) -> None:
    """Also when it was changed, and when the flow is older than the column that helps."""
    flow = await application.make_flow("Straße")
    old = await application.make_flow("MAIN STREET")
    async with application.database.connection() as connection:
        await connection.execute("UPDATE flows SET name_folded = NULL WHERE id = $1", old.id)
    wanted = {"name": {"$startsWith": "STRASSE", "$ci": True}}
    assert await names(api, application, query=wanted) == ["Straße"]
    assert await names(api, application, query={"name": {"$eq": "main street", "$ci": True}}) == ["MAIN STREET"]
    await api.patch(flow_path(application, flow), {"name": "Gasse"})
    assert await names(api, application, query=wanted) == []
    assert await names(api, application, query={"name": {"$contains": "GASSE", "$ci": True}}) == ["Gasse"]
    await api.patch(flow_path(application, flow), {"enabled": False})
    assert await names(api, application, query={"name": {"$contains": "GASSE", "$ci": True}}) == ["Gasse"]


async def test_a_trigger_filter_fits_any_of_its_entries(api: Api, application: Tenant) -> None:
    """Clients percent-encode the brackets."""
    for name, body in (("timed", TIMER), ("hooked", WEBHOOK), ("idle", EMPTY)):
        await put(application, await application.make_flow(name), body)
    await application.make_flow("empty")

    async def filtered(asked: str) -> list[str]:
        answer = await api.get(f"{flows_path(application)}?{asked}")
        assert answer.status == 200, answer.raw
        return [item["name"] for item in answer.json["items"]]

    assert await filtered("triggerFilter%5B0%5D%5Btype%5D=timer") == ["timed"]
    assert await filtered("triggerFilter[0][type]=timer&triggerFilter[0][key]=every-minute") == ["timed"]
    assert await filtered("triggerFilter[0][key]=every-minute&triggerFilter[0][type]=webhook") == []
    assert await filtered("triggerFilter[0][type]=timer&triggerFilter[1][type]=webhook") == ["hooked", "timed"]
    assert await filtered(f"triggerFilter[7][key]={'a' * 24}&triggerFilter[3][type]=nothing") == ["hooked"]
    assert await filtered("triggerFilter=") == ["empty", "hooked", "idle", "timed"]
    assert await filtered("triggerFilter[0][type]=timer&filter=h*") == []


async def test_a_trigger_filter_asks_the_default_version_where_there_is_one(api: Api, application: Tenant) -> None:
    flow = await application.make_flow("released")
    await put(application, flow, TIMER)
    await put(application, flow, WEBHOOK, "v1", "Deployed")
    asked = {name: {"triggerFilter[0][type]": name} for name in ("timer", "webhook")}
    assert await names(api, application, **asked["webhook"]) == ["released"]
    assert await names(api, application, **asked["timer"]) == []
    await api.patch(flow_path(application, flow), {"defaultVersionId": None})
    assert await names(api, application, **asked["timer"]) == ["released"]


async def test_a_query_asks_the_develop_content(api: Api, application: Tenant) -> None:
    """And with allVersions those of the versions, each by itself, with all of the query."""
    timed, hooked = await application.make_flow("timed"), await application.make_flow("hooked")
    await put(application, timed, TIMER)
    await put(application, timed, WEBHOOK, "v1")
    await put(application, hooked, WEBHOOK, "v1", "Deployed")
    by_timer, by_hook = {"triggers": {"type": "timer"}}, {"triggers": {"type": "webhook", "key": "a" * 24}}
    assert await names(api, application, query=by_timer) == ["timed"]
    assert await names(api, application, query=by_hook) == []
    assert await names(api, application, query=by_hook, allVersions="True") == ["hooked", "timed"]
    assert await names(api, application, query=by_hook | {"name": "timed"}, allVersions="true") == ["timed"]
    assert await names(api, application, query={"$and": [by_timer, by_hook]}, allVersions="true") == []
    assert await names(api, application, query={"triggers": {"$ne": {"type": "timer"}}}) == ["hooked"]
    assert await names(api, application, query={"nodes": {"type": "DebugNode"}}, allVersions="1") == ["hooked", "timed"]
    assert await names(api, application, allVersions="true") == ["hooked", "timed"], "of no use without a query"


async def test_flows_are_found_by_their_default_version(api: Api, application: Tenant) -> None:
    released, pending = await application.make_flow("released"), await application.make_flow("pending")
    number = await put(application, released, EMPTY, "v1", "Deployed")
    await put(application, pending, EMPTY, "v1")
    assert await names(api, application, query={"defaultVersion": number}) == ["released"]
    assert await names(api, application, query={"defaultVersion": None}) == ["pending"]
    assert await names(api, application, query={"defaultVersion": {"$ne": None}}) == ["released"]
    assert await names(api, application, query={"defaultVersion": {"$nin": [number]}}) == ["pending"]
    assert await names(api, application, query={"defaultVersion": {"$lt": "f" * 24}}) == ["released"]


@pytest.mark.parametrize("sort", ["name", "id", "creationDate", "lastUpdated"])
async def test_flows_come_in_the_order_asked_for(api: Api, application: Tenant, sort: str) -> None:
    flows = [await application.make_flow(name) for name in ("b", "a", "C")]
    await api.patch(flow_path(application, flows[0]), {"enabled": False})
    for direction in ("asc", "DESC", ""):
        answer = await ask(api, flows_path(application), sortField=sort, sortDirection=direction)
        shown = [item[sort] for item in answer.json["items"]]  # instants to the millisecond, which two can share
        assert shown == sorted(shown, reverse=direction == "DESC")
        assert len(shown) == 3
        assert (answer.json["sortField"], answer.json["sortDirection"]) == (sort, direction or "asc")


# The versions of one name


async def test_versions_of_one_name_are_found_in_all_flows(api: Api, ground: Ground, application: Tenant) -> None:
    made: dict[str, dict[str, Any]] = {}
    for name in ("b", "a"):
        flow = await application.make_flow(name)
        for version in ("v1", "v2"):
            answer = await api.post(f"{flow_path(application, flow)}/versions", {"version": version, "notes": name})
            made[f"{name} {version}"] = answer.json
    await put(application, await application.make_flow("on the edge", flow_class="edge"), EMPTY, "v1")
    await put(ground.owner, await ground.owner.make_flow("elsewhere"), EMPTY, "v1")
    path = f"{flows_path(application)}/version"
    answer = await ask(api, path, version="v1")
    assert answer.json == {
        "items": [made["a v1"], made["b v1"]], "count": 2, "totalCount": 2, "page": 0, "perPage": 100,
        "sortField": "name", "sortDirection": "asc", "applicationId": application.application,
    }  # fmt: skip

    async def found(**asked: Any) -> list[Any]:
        answer = await ask(api, path, version="v1", **asked)
        assert answer.status == 200, answer.raw
        return [item.get("notes") for item in answer.json["items"]]

    assert await found(sortField="creationDate") == ["b", "a"]
    assert await found(sortField="id", sortDirection="desc") == ["a", "b"]
    assert await found(perPage="1", page="1") == ["b"]
    assert await found(filter="a*") == ["a"]
    assert await found(flowClass="edge") == [None]
    assert await found(query={}) == ["a", "b", None]
    assert await found(query={"name": {"$gt": "a"}, "flowClass": "cloud"}) == ["b"]
    assert await found(query={"flowId": made["b v2"]["flowId"]}) == ["b"]
    assert await found(query={"id": {"$in": [made["a v1"]["id"], made["b v2"]["id"]]}}) == ["a"]
    for name in ("develop", "default", "v3", "V1", "v%"):
        assert (await ask(api, path, version=name)).json["items"] == []


async def test_a_version_has_to_be_named(api: Api, application: Tenant) -> None:
    answer = await api.get(f"{flows_path(application)}/version")
    assert_error(answer, 400, "Validation", "version: is required")


async def test_the_words_in_the_place_of_a_flow_are_no_flow(api: Api, application: Tenant) -> None:
    """Only GET is answered there; for every other method they are an id like any."""
    for word in ("version", "palette"):
        for method in ("PATCH", "DELETE"):
            answer = await api.send(method, f"{flows_path(application)}/{word}", {})
            assert_error(answer, 404, "NotFound", "Flow was not found")


# What is refused

NESTED: dict[str, Any] = {"name": "a"}
for _ in range(8):
    NESTED = {"$and": [NESTED]}

REFUSED: dict[str, tuple[Any, str]] = {
    "a field of versions": ({"$or": [{"version": "v1"}]}, "query.$or[0].version: is not a field or operator here; "),
    "notes": ({"notes": "x"}, "query.notes: is not a field or operator here; there are "),
    "$regex": ({"name": {"$regex": ".*"}}, "query.name.$regex: is not an operator; there are "),
    "depth 9": (NESTED, "query" + ".$and[0]" * 8 + ": is nested more than 8 deep"),
    "201 conditions": (
        {"$or": [{"$or": [{"name": "a"}] * 100}, {"$or": [{"name": "a"}] * 100}, {"name": "a"}]},
        "query.$or[2].name: the query has more than 200 conditions",
    ),
    "an id of another form": ({"id": "7"}, "query.id: must be 24 hexadecimal digits or null"),
}  # fmt: skip

OWN: dict[str, tuple[Any, str]] = {
    "defaultVersion": ({"defaultVersion": "v1"}, "query.defaultVersion: must be 24 hexadecimal digits or null"),
    "triggers": ({"triggers": {"key": "a"}}, "query.triggers.type: must be text of at most 255 characters"),
    "flowId": ({"flowId": {"$startsWith": "a"}}, "query.flowId.$startsWith: an id has no such operator"),
    "runStartedAt": ({"runStartedAt": True}, "query.runStartedAt: must be a date in ISO 8601 or in milliseconds"),
    "resourceId": ({"resourceId": 7}, "query.resourceId: must be 24 hexadecimal digits or null"),
    "status": ({"status": ["queued"]}, "query.status: must be a string, a number, true, false or null"),
}
FIELDS = {
    "flows": {"defaultVersion", "triggers"},
    "flows/version": {"flowId"},
    "jobLogs": {"runStartedAt", "resourceId", "status"},
}

REFUSED_SECONDS = 0.05
"""What a refusal may take, request and answer included; the best of a few tries, since the machine has other work."""


@pytest.mark.parametrize("place", FIELDS)
@pytest.mark.parametrize("title", [*REFUSED, *OWN])
async def test_a_bad_query_is_named_by_its_path_at_once(ground: Ground, place: str, title: str) -> None:
    """One for a field that this list does not have is refused for that."""
    query, message = REFUSED.get(title) or OWN[title]
    if title in OWN and title not in FIELDS[place]:
        message = f"query.{title}: is not a field or operator here; there are "
    address = URL(f"/applications/{ground.owner.application}/{place}")
    path = str(address.with_query({"version": "v1", "query": json.dumps(query)}))
    taken = []
    async with unchanged(ground.database):
        for _ in range(5):
            began = time.perf_counter()
            answer = await ground.api.get(path)
            taken.append(time.perf_counter() - began)
            assert (answer.status, answer.json["type"]) == (400, "Validation")
            assert answer.json["message"].startswith(message)
            assert len(answer.raw) < 1_000
    assert min(taken) <= REFUSED_SECONDS


WRITTEN = "must be written as triggerFilter[0][type] and triggerFilter[0][key]"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"triggerFilter[0][color]": "red"}, "triggerFilter[0].color: is not known here; there are type, key"),
        ({"triggerFilter[0][config]": "{}"}, "triggerFilter[0].config: is not known here; there are type, key"),
        ({"triggerFilter[3][type]": "x" * 1025}, "triggerFilter[3].type: must have at most 1024 characters"),
        ({"triggerFilter[3][key]": "a\0b"}, "triggerFilter[3].key: must not contain NUL"),
        ({"triggerFilter[100][type]": "timer"}, "triggerFilter: must have at most 100 entries"),
        ({"triggerFilter[999999999][type]": "timer"}, "triggerFilter: must have at most 100 entries"),
        ({f"triggerFilter[{'9' * 5000}][type]": "timer"}, f"triggerFilter: {WRITTEN}"),
        ({"triggerFilter[0]": "timer"}, f"triggerFilter: {WRITTEN}"),
        ({"triggerFilter[]": "timer"}, f"triggerFilter: {WRITTEN}"),
        ({"triggerFilter[][type]": "timer"}, f"triggerFilter: {WRITTEN}"),
        ({"triggerFilter[type]": "timer"}, f"triggerFilter: {WRITTEN}"),
        ({"triggerFilter[-1][type]": "timer"}, f"triggerFilter: {WRITTEN}"),
        ({"triggerFilter[\u0661][type]": "timer"}, f"triggerFilter: {WRITTEN}"),
        ({"triggerFilter[0][type][0]": "timer"}, f"triggerFilter: {WRITTEN}"),
        ({"triggerFilter[0][type]x": "timer"}, f"triggerFilter: {WRITTEN}"),
        ({"triggerFilter": '[{"type":"timer"}]'}, f"triggerFilter: {WRITTEN}"),
    ],
)
@pytest.mark.parametrize("place", ["flows", "flows/version"])
async def test_a_trigger_filter_of_another_form_is_refused(
    ground: Ground, place: str, parameters: dict[str, str], message: str
) -> None:
    path = f"/applications/{ground.owner.application}/{place}"
    assert_error(await ask(ground.api, path, version="v1", **parameters), 400, "Validation", message)


async def test_a_list_that_takes_too_long_is_stopped_and_says_so(ground: Ground) -> None:
    """Each of 200 conditions unpacks the content of each of 20,000 versions, and none is ever met."""
    flow = await ground.owner.make_flow("Large")
    await ground.owner.make_versions(flow, 20_000, body_bytes=8_000)
    conditions = [{"nodes": {"type": f"t{number}"}} for number in range(100)]
    query = {"$or": [{"$or": conditions}, {"$or": conditions}]}
    began = time.monotonic()
    answer = await ask(ground.api, flows_path(ground.owner), query=query, allVersions="true")
    taken = time.monotonic() - began
    assert_error(answer, 503, "ServiceUnavailable", "The query took too long and was stopped; ask for less.")
    assert taken < 2 * LIST_SECONDS
    assert (await ask(ground.api, flows_path(ground.owner), query=query)).json["totalCount"] == 0
    assert (await ask(ground.api, job_logs_path(ground.owner), query={})).status == 200
