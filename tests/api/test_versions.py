"""Versions over HTTP: what is sent is what is read, under whatever name, in whatever order."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from core.domain.flows import Flow
from core.domain.identifiers import hex_id
from tests.api.cases import assert_error
from tests.api.conftest import Ground
from tests.api.test_flows import INSTANT
from tests.support.api import Reply
from tests.support.contents import unchanged
from tests.support.paths import flow_path, version_path, versions_path

UNKNOWN = "Flow version was not found"


@pytest.fixture
async def flow(ground: Ground) -> Flow:
    return await ground.owner.make_flow()


Post = Callable[..., Awaitable[Reply]]


@pytest.fixture
def post(ground: Ground, flow: Flow) -> Post:
    """Creates a version of `flow`: `post("v1")`, `post("v1", "?allowReplacement=true", notes="n")`."""

    async def post(name: str, query: str = "", **given: Any) -> Reply:
        return await ground.api.post(versions_path(ground.owner, flow) + query, {"version": name, **given})

    return post


# What is sent is what is read

CONTENTS = {
    "a number keeps its zeros": '"nodes":[{"type":"a","config":{"x":1.50,"y":1.0,"z":-0.0}}]',
    "a number keeps its exponent": '"nodes":[{"type":"a","config":{"a":1e2,"b":1E+2,"c":1e-7,"d":1.0e0}}]',
    "64 digits": '"nodes":[{"type":"a","config":{"a":' + "9" * 64 + ',"b":-' + "1" * 64 + "}}]",
    "more than a double can hold": '"nodes":[{"type":"a","meta":{"a":0.1000000000000000055511151231257827}}]',
    "more than a double can count": '"nodes":[{"type":"a","meta":{"a":9007199254740993}}]',
    "keys keep their order": '"nodes":[{"type":"a","config":{"z":1,"a":2,"m":{"z":1,"a":2},"10":1,"9":2},"id":"a"}]',
    "blanks stay": '"nodes":[ { "type" :\t"a" ,\n"outputIds":[ ] } ]',
    "escapes stay": '"nodes":[{"type":"\\u00e9\\/\\ud83d\\ude00\\b","config":{"\\u0061b":1}}]',
    "all of Unicode": '"nodes":[{"type":"\u00e9\U0001f600\u0661\ufeff\u2028\u202e"}]',
    "what others trip over": '"nodes":[{"type":"a","meta":{"__proto__":1,"$where":2,"":3,"a.b":4,"%s":5,"\'; --":6}}]',
    "64 deep": '"nodes":[{"type":"a","config":{"a":' + "[" * 60 + "1" + "]" * 60 + "}}]",
}


@pytest.mark.parametrize("title", CONTENTS)
async def test_content_comes_back_to_the_letter(ground: Ground, flow: Flow, title: str) -> None:
    """As JSON text, not only as JSON: in the answer, read alone, and in a list."""
    member = CONTENTS[title].encode()
    owner, api = ground.owner, ground.api
    made = await api.post(versions_path(owner, flow), raw=b'{"version":"v1",' + member + b"}")
    assert made.status == 201, made.raw
    for answer in (
        made,
        await api.get(version_path(owner, flow, "v1")),
        await api.get(version_path(owner, flow, made.json["id"])),
        await api.get(versions_path(owner, flow)),
    ):
        assert member in answer.raw


async def test_every_part_of_the_content_comes_back_whatever_the_order(ground: Ground, flow: Flow) -> None:
    parts = {
        "globals": '[{"key":"k","json":"{ \\"a\\": 1.50 }"}]',
        "customNodeConfig": '{ "resultMode": "none", "outputCount": 1.0, "fields": [ ] }',
        "minimumAgentVersion": '"1.0.0"',
        "triggers": '[{"key":"t","type":"timer","config":{"seconds":1e1}}]',
        "nodes": '[{"id":"n","type":"x"}]',
        "notes": '"n\u00f6te"',
        "enabled": "false",
    }
    raw = "{" + ",".join(f'"{key}":{text}' for key, text in parts.items()) + ',"version":"v1"}'
    made = await ground.api.post(versions_path(ground.owner, flow), raw=raw.encode())
    assert made.status == 201
    for key, text in parts.items():
        assert f'"{key}":{text}'.encode() in made.raw
    assert {key: made.json[key] for key in parts} == {key: json.loads(text) for key, text in parts.items()}
    assert (await ground.api.get(version_path(ground.owner, flow, "v1"))).raw == made.raw


async def test_a_version_can_be_its_name_alone(ground: Ground, flow: Flow, post: Post) -> None:
    made = await post("v1")
    version = made.json
    assert set(version) == {
        "id", "flowVersionId", "flowId", "applicationId", "creationDate", "lastUpdated", "createdById",
        "createdByType", "lastUpdatedById", "lastUpdatedByType", "version", "flowClass", "enabled", "triggers", "nodes",
    }  # fmt: skip
    assert version["id"] == version["flowVersionId"]
    assert (version["flowId"], version["applicationId"]) == (hex_id(flow.id), ground.owner.application)
    assert (version["version"], version["flowClass"], version["enabled"]) == ("v1", "cloud", True)
    assert (version["triggers"], version["nodes"]) == ([], [])
    assert INSTANT.fullmatch(version["creationDate"])
    assert version["creationDate"] == version["lastUpdated"]


async def test_a_version_names_the_class_of_its_flow(ground: Ground) -> None:
    flow = await ground.owner.make_flow(flow_class="edge")
    made = await ground.api.post(versions_path(ground.owner, flow), {"version": "v1"})
    assert made.json["flowClass"] == "edge"
    assert (await ground.api.get(version_path(ground.owner, flow, "v1"))).json["flowClass"] == "edge"
    assert (await ground.api.get(versions_path(ground.owner, flow))).json["items"][0]["flowClass"] == "edge"


@pytest.mark.parametrize("size", [65_000, 66_000, 900_000])
async def test_large_content_is_no_different(ground: Ground, flow: Flow, post: Post, size: int) -> None:
    nodes = [{"id": "a", "type": "x", "config": {"text": "\u00e9" * (size // 2)}}]
    made = await post("v1", nodes=nodes)
    assert made.status == 201
    assert (await ground.api.get(version_path(ground.owner, flow, "v1"))).json["nodes"] == nodes


async def test_notes_and_globals_reach_to_their_bounds(post: Post) -> None:
    given: dict[str, Any] = {
        "notes": "\U0001f600" * 32_767,
        "globals": [{"key": f"k{number}", "json": " " * number + "1"} for number in range(100)],
        "minimumAgentVersion": "1." * 2 + "2" * 60,
    }
    made = await post("v1", **given)
    assert {key: made.json[key] for key in given} == given


# Names

NAMES = [
    "v1",
    "delete",
    "errors",
    "logs",
    "stats",
    "versions",
    "null",
    "true",
    "0",
    "..",
    ".",
    "a/b",
    "/",
    "//",
    "../../x",
    "a?b=c",
    "a#b",
    "a%2Fb",
    "%",
    "%00",
    "a&b;c=d",
    "a\\b",
    " ",
    " a ",
    "a+b",
    "\n",
    "\t",
    "\x7f",
    "\u00e4\u0308",
    "\u00e4",
    "a\u0308",
    "\U0001f600",
    "\u202e",
    "\ufeff",
    "\uffff",
    "Develop",
    "developer",
    "'; DROP TABLE flows; --",
    "x" * 255,
    "\U0001f600" * 255,
    "a" * 23,
    "a" * 25,
    "g" * 24,
    "\u0661" * 24,
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:20])
async def test_a_version_is_found_under_whatever_name(ground: Ground, flow: Flow, post: Post, name: str) -> None:
    """Made, read, replaced and deleted by it, and by no other name that only looks like it."""
    owner, api = ground.owner, ground.api
    bystander = await owner.make_version(flow, "bystander")
    made = await post(name)
    assert (made.status, made.json["version"]) == (201, name)
    path = version_path(owner, flow, name)
    assert (await api.get(path)).raw == made.raw
    assert_error(await post(name), 400, "AlreadyExists", f'A version named "{name}" already exists.')
    replaced = await post(name, "?allowReplacement=true", notes="new")
    assert (replaced.json["id"], replaced.json["notes"]) == (made.json["id"], "new")
    assert (await api.delete(path)).json == {"success": True}
    assert_error(await api.get(path), 404, "NotFound", UNKNOWN)
    assert await owner.names(flow) == [bystander.name]


async def test_names_are_told_apart_to_the_last_bit(ground: Ground, flow: Flow, post: Post) -> None:
    """Case, blanks and ways to write the same letter make different names."""
    names = ["v", "V", "v ", " v", "\u00e4", "a\u0308", "\u212b", "\u00c5", "ss", "\u00df"]
    made = {name: (await post(name)).json["id"] for name in names}
    assert len(set(made.values())) == len(names)
    for name, number in made.items():
        assert (await ground.api.get(version_path(ground.owner, flow, name))).json["id"] == number


async def test_a_slash_in_a_name_can_be_sent_as_2f_only(ground: Ground, flow: Flow, post: Post) -> None:
    await post("a/b")
    base = versions_path(ground.owner, flow)
    assert (await ground.api.get(f"{base}/a%2Fb")).json["version"] == "a/b"
    assert (await ground.api.get(f"{base}/a%2fb")).json["version"] == "a/b"
    assert (await ground.api.get(f"{base}/a/b")).status == 404
    assert (await ground.api.get(f"{base}/a%252Fb")).status == 404


async def test_what_looks_like_a_path_is_bulk_delete_for_post_only(ground: Ground, flow: Flow, post: Post) -> None:
    await post("delete")
    path = f"{versions_path(ground.owner, flow)}/delete"
    assert (await ground.api.get(path)).json["version"] == "delete"
    assert (await ground.api.delete(path)).json == {"success": True}
    assert (await ground.api.post(path, {"query": {"version": "nothing"}})).status == 202


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("develop", '"develop" is reserved'),
        ("default", '"default" is reserved'),
        ("0" * 24, "a name of 24 hexadecimal digits would be taken for an id"),
        ("ABCDEFabcdef012345678901", "a name of 24 hexadecimal digits would be taken for an id"),
        ("f" * 24, "a name of 24 hexadecimal digits would be taken for an id"),
        ("", "Length must be between 1 and 255."),
        ("x" * 256, "Length must be between 1 and 255."),
        ("\U0001f600" * 256, "Length must be between 1 and 255."),
    ],
    ids=lambda value: ascii(value)[:20],
)
@pytest.mark.parametrize("query", ["", "?allowReplacement=true"])
async def test_a_name_that_cannot_be_is_refused(
    ground: Ground, post: Post, name: str, problem: str, query: str
) -> None:
    async with unchanged(ground.database):
        answer = await post(name, query)
    assert_error(answer, 400, "Validation", f"version: {problem}")


# Replacement

A, B = {"id": "a", "type": "x"}, {"id": "b", "type": "x"}


@pytest.mark.parametrize("word", ["True", "true", "TRUE", "1"])
async def test_a_replacement_keeps_id_and_creation_and_takes_the_rest(
    ground: Ground, flow: Flow, post: Post, word: str
) -> None:
    """`True` is what the official Python client sends. Nothing of the old content is left in it."""
    old = (await post("v1", notes="old", enabled=False, globals=[{"key": "k", "json": "1"}], nodes=[A])).json
    answer = await post("v1", f"?allowReplacement={word}", nodes=[B])
    new = answer.json
    assert answer.status == 201
    assert (new["id"], new["creationDate"]) == (old["id"], old["creationDate"])
    assert new["lastUpdated"] >= old["lastUpdated"]
    assert (new["nodes"], new["enabled"]) == ([B], True)
    assert "notes" not in new
    assert "globals" not in new
    assert (await ground.api.get(version_path(ground.owner, flow, "v1"))).raw == answer.raw
    async with ground.database.connection() as connection:
        kept = await connection.fetch(
            "SELECT body, reason, notes FROM deleted_versions WHERE version_id = $1", int(old["id"], 16)
        )
    assert [(row["reason"], row["notes"]) for row in kept] == [("replaced", "old")]
    assert json.loads(kept[0]["body"])["nodes"] == [A]


async def test_permission_to_replace_makes_a_version_where_there_is_none(post: Post) -> None:
    assert (await post("v1", "?allowReplacement=true")).status == 201


@pytest.mark.parametrize("query", ["", "?allowReplacement=false", "?allowReplacement=False", "?allowReplacement=0"])
async def test_without_permission_a_taken_name_is_refused(ground: Ground, flow: Flow, post: Post, query: str) -> None:
    await post("v1", notes="first")
    async with unchanged(ground.database):
        answer = await post("v1", query, notes="second")
    assert_error(answer, 400, "AlreadyExists", 'A version named "v1" already exists.')
    assert (await ground.api.get(version_path(ground.owner, flow, "v1"))).json["notes"] == "first"


async def test_a_name_is_free_in_every_other_flow(ground: Ground, post: Post) -> None:
    await post("v1")
    other = await ground.owner.make_flow()
    assert (await ground.api.post(versions_path(ground.owner, other), {"version": "v1"})).status == 201


async def test_a_deployed_version_can_be_replaced_and_stays_deployed(ground: Ground, flow: Flow, post: Post) -> None:
    made = (await post("v1")).json
    await ground.api.patch(flow_path(ground.owner, flow), {"defaultVersionId": made["id"]})
    assert (await post("v1", "?allowReplacement=true", notes="new")).status == 201
    assert (await ground.api.get(flow_path(ground.owner, flow))).json["defaultVersionId"] == made["id"]


# Lists


async def listed(ground: Ground, flow: Flow, query: str = "") -> Any:
    answer = await ground.api.get(versions_path(ground.owner, flow) + query)
    assert answer.status == 200, answer.raw
    return answer.json


async def test_a_list_holds_what_reading_one_by_one_would(ground: Ground, flow: Flow, post: Post) -> None:
    made = [(await post(name, nodes=[{"type": "x", "config": {"x": 1.5}}])).json for name in ("b", "a", "c")]
    found = await listed(ground, flow)
    assert found == {
        "items": sorted(made, key=lambda version: version["version"]),
        "count": 3,
        "totalCount": 3,
        "page": 0,
        "perPage": 100,
        "sortField": "version",
        "sortDirection": "asc",
        "applicationId": ground.owner.application,
        "flowId": hex_id(flow.id),
    }


async def test_a_flow_without_versions_has_an_empty_list(ground: Ground, flow: Flow) -> None:
    found = await listed(ground, flow)
    assert (found["items"], found["count"], found["totalCount"]) == ([], 0, 0)


SORT_FIELDS = ["version", "id", "creationDate", "lastUpdated"]


@pytest.mark.parametrize("field", SORT_FIELDS)
@pytest.mark.parametrize("direction", ["asc", "desc", "ASC", "DESC", ""])
async def test_a_list_is_sorted_by_any_field_in_either_direction(
    ground: Ground, flow: Flow, post: Post, field: str, direction: str
) -> None:
    for name in ("b", "B", "a", "10", "9", "\u00e4"):
        await post(name)
    await post("b", "?allowReplacement=true")
    found = await listed(ground, flow, f"?sortField={field}&sortDirection={direction}")
    assert (found["sortField"], found["sortDirection"]) == (field, direction or "asc")
    names = [item["version"] for item in found["items"]]
    by_id = ["b", "B", "a", "10", "9", "\u00e4"]
    expected = {
        "version": ["10", "9", "B", "a", "b", "\u00e4"],
        "id": by_id,
        "creationDate": by_id,
        "lastUpdated": [*by_id[1:], "b"],
    }[field]
    assert names == (expected[::-1] if direction.lower() == "desc" else expected)


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("field", SORT_FIELDS)
async def test_pages_neither_overlap_nor_leave_anything_out(
    ground: Ground, flow: Flow, field: str, direction: str
) -> None:
    """Also where all rows are of one instant, as those of one statement nearly are."""
    await ground.owner.make_versions(flow, 23)
    async with ground.database.connection() as connection:
        await connection.execute("UPDATE flow_versions SET created_at = now(), updated_at = now()")
    query = f"?sortField={field}&sortDirection={direction}&perPage=5"
    pages = [await listed(ground, flow, f"{query}&page={page}") for page in range(7)]
    assert [page["count"] for page in pages] == [5, 5, 5, 5, 3, 0, 0]
    assert [page["page"] for page in pages] == list(range(7))
    assert {page["totalCount"] for page in pages} == {23}
    ids = [item["id"] for page in pages for item in page["items"]]
    assert len(set(ids)) == 23
    assert ids == [item["id"] for item in (await listed(ground, flow, query.replace("=5", "=1000")))["items"]]


async def test_a_page_reaches_from_1_to_1000_and_far_beyond_the_end(ground: Ground, flow: Flow) -> None:
    await ground.owner.make_versions(flow, 1_001)
    assert (await listed(ground, flow, "?perPage=1"))["count"] == 1
    assert (await listed(ground, flow, "?perPage=1000"))["count"] == 1_000
    assert (await listed(ground, flow, "?perPage=1000&page=1"))["count"] == 1
    beyond = await listed(ground, flow, "?perPage=1000&page=999999999")
    assert (beyond["items"], beyond["count"], beyond["totalCount"]) == ([], 0, 1_001)


# Deletion


@pytest.mark.parametrize("body", [None, {}], ids=["without a body", "with {}"])
@pytest.mark.parametrize("by", ["id", "id in capitals", "name"])
async def test_a_version_is_deleted_by_id_or_name(
    ground: Ground, flow: Flow, post: Post, by: str, body: object
) -> None:
    made = (await post("v1")).json
    await post("v2")
    segment = {"id": made["id"], "id in capitals": made["id"].upper(), "name": "v1"}[by]
    path = version_path(ground.owner, flow, segment)
    answer = await ground.api.delete(path, body=body)
    assert (answer.status, answer.json) == (200, {"success": True})
    async with unchanged(ground.database):
        for gone in (await ground.api.delete(path, body=body), await ground.api.get(path)):
            assert_error(gone, 404, "NotFound", UNKNOWN)
    assert await ground.owner.names(flow) == ["v2"]


async def test_a_deleted_name_is_free_again_and_gets_a_new_id(ground: Ground, flow: Flow, post: Post) -> None:
    old = (await post("v1")).json["id"]
    await ground.api.delete(version_path(ground.owner, flow, "v1"))
    new = (await post("v1")).json["id"]
    assert new != old
    assert (await ground.api.get(version_path(ground.owner, flow, old))).status == 404
    assert (await ground.api.get(version_path(ground.owner, flow, "v1"))).json["id"] == new


async def test_the_default_version_cannot_be_deleted(ground: Ground, flow: Flow, post: Post) -> None:
    made = (await post("v1")).json
    await ground.api.patch(flow_path(ground.owner, flow), {"defaultVersionId": made["id"]})
    message = "A deployed version, or one about to be deployed, cannot be deleted."
    for segment in (made["id"], "v1"):
        async with unchanged(ground.database):
            answer = await ground.api.delete(version_path(ground.owner, flow, segment))
        assert_error(answer, 400, "Validation", message)
    await ground.api.patch(flow_path(ground.owner, flow), {"defaultVersionId": None})
    assert (await ground.api.delete(version_path(ground.owner, flow, "v1"))).status == 200


async def test_develop_and_default_are_no_versions(ground: Ground, flow: Flow, post: Post) -> None:
    """Losant's words for the draft and the default are not names either."""
    made = (await post("v1")).json
    await ground.api.patch(flow_path(ground.owner, flow), {"defaultVersionId": made["id"]})
    for name in ("develop", "default"):
        path = version_path(ground.owner, flow, name)
        for answer in (await ground.api.get(path), await ground.api.delete(path)):
            assert_error(answer, 404, "NotFound", UNKNOWN)


# Who did it


async def test_a_version_says_who_made_it_and_who_changed_it_last(ground: Ground, flow: Flow, post: Post) -> None:
    made = (await post("v1")).json
    other = await ground.owner.make_token("flowVersions.*")
    api = ground.anonymous.as_(f"Bearer {other.secret}")
    body = {"version": "v1"}
    changed = (await api.post(f"{versions_path(ground.owner, flow)}?allowReplacement=1", body)).json
    mine, others = hex_id(ground.owner.token_id), hex_id(other.id)
    assert (made["createdById"], made["lastUpdatedById"]) == (mine, mine)
    assert (changed["createdById"], changed["lastUpdatedById"]) == (mine, others)


async def test_every_change_leaves_one_event_behind(ground: Ground, flow: Flow, post: Post) -> None:
    made = (await post("v1")).json
    await post("v1", "?allowReplacement=true", notes="n")
    await ground.api.patch(flow_path(ground.owner, flow), {"defaultVersionId": made["id"]})
    await ground.api.patch(flow_path(ground.owner, flow), {"defaultVersionId": None})
    await ground.api.delete(version_path(ground.owner, flow, "v1"))
    async with ground.database.connection() as connection:
        events = await connection.fetch(
            "SELECT action, actor_type, actor_id, remote FROM audit_events"
            " WHERE subject_type = 'version' AND subject_id = $1 ORDER BY id",
            int(made["id"], 16),
        )
    assert [event["action"] for event in events] == [
        "version.create", "version.replace", "version.deploy", "version.undeploy", "version.delete",
    ]  # fmt: skip
    assert {(event["actor_type"], event["actor_id"]) for event in events} == {("apiToken", ground.owner.token_id)}
    assert {event["remote"] for event in events} == {"127.0.0.1"}


async def test_a_name_in_a_message_is_what_was_sent(post: Post) -> None:
    """Messages are JSON strings: whatever is in a name cannot break out of them."""
    name = '"}\n<script>\U0001f600'
    await post(name)
    answer = await post(name)
    assert answer.json["message"] == f'A version named "{name}" already exists.'
