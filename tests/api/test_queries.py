"""The query language over HTTP, in lists and in bulk deletes alike: what is refused, by its path and at once, and what
is taken for itself.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable
from typing import Any

import pytest
from yarl import URL

from core.domain.flows import Flow
from core.operations.lists import LIST_SECONDS
from tests.api.cases import assert_error
from tests.api.conftest import Ground
from tests.support.api import Reply
from tests.support.contents import unchanged
from tests.support.paths import versions_path

REFUSED_SECONDS = 0.05
"""What a refusal may take, request and answer included; the best of a few tries, since the machine has other work."""

TRIES = 5


@pytest.fixture
async def flow(ground: Ground) -> Flow:
    flow = await ground.owner.make_flow()
    await ground.owner.make_versions(flow, 2)
    return flow


async def list_by(ground: Ground, flow: Flow, **asked: str) -> Reply:
    return await ground.api.get(str(URL(versions_path(ground.owner, flow)).with_query(asked)))


async def delete_by(ground: Ground, flow: Flow, query: Any, parameters: str = "") -> Reply:
    return await ground.api.post(f"{versions_path(ground.owner, flow)}/delete{parameters}", {"query": query})


async def names_by(ground: Ground, flow: Flow, **asked: str) -> list[str]:
    reply = await list_by(ground, flow, **asked)
    assert reply.status == 200, reply.raw
    return [item["version"] for item in reply.json["items"]]


# What is refused

NESTED: dict[str, Any] = {"version": "a"}
for _ in range(8):
    NESTED = {"$and": [NESTED]}

NOT_PLAIN = "must be a string, a number, true, false or null"
NO_DATE = "must be a date in ISO 8601 or in milliseconds since 1970"

BAD_QUERIES: dict[str, tuple[Any, str]] = {
    "depth 9": (NESTED, "query" + ".$and[0]" * 8 + ": is nested more than 8 deep"),
    "201 conditions": (
        {"$or": [{"$or": [{"version": "a"}] * 100}, {"$or": [{"version": "a"}] * 100}, {"version": "a"}]},
        "query.$or[2].version: the query has more than 200 conditions",
    ),
    "101 members": ({"$or": [{}] * 101}, "query.$or: must have at most 100 entries"),
    "$in of 101": ({"version": {"$in": ["a"] * 101}}, "query.version.$in: must have at most 100 entries"),
    "a long text": ({"version": "x" * 1025}, "query.version: must have at most 1024 characters"),
    "an unknown field": (
        {"$and": [{}, {"notes": "x"}]},
        "query.$and[1].notes: is not a field or operator here; there are ",
    ),
    "$regex": ({"version": {"$regex": ".*"}}, "query.version.$regex: is not an operator; there are "),
    "$not": ({"version": {"$not": {"$eq": "a"}}}, "query.version.$not: is not an operator; there are "),
    "$where": ({"$where": "1"}, "query.$where: is not a field or operator here; there are "),
    "no operator": ({"version": {}}, "query.version: must have at least one operator"),
    "$ci alone": ({"version": {"$ci": True}}, "query.version: must have at least one operator"),
    "$ci of another type": ({"version": {"$eq": "a", "$ci": 1}}, "query.version.$ci: must be true or false"),
    "no operator on id": ({"id": {}}, "query.id: must have exactly one operator"),
    "two operators on id": (
        {"id": {"$gt": "1" * 24, "$lt": "2" * 24}},
        "query.id: must have exactly one operator",
    ),
    "a text operator on id": ({"id": {"$startsWith": "1" * 24}}, "query.id.$startsWith: an id has no such operator"),
    "an id of another form": ({"id": "7"}, "query.id: must be 24 hexadecimal digits or null"),
    "an id in Arabic digits": ({"id": "\u0661" * 24}, "query.id: must be 24 hexadecimal digits or null"),
    "an id as a number": ({"id": {"$in": [7]}}, "query.id.$in[0]: must be 24 hexadecimal digits"),
    "an empty text": (
        {"version": {"$contains": ""}},
        "query.version.$contains: must be text of at least one character",
    ),
    "a number for text": (
        {"version": {"$endsWith": 5}},
        "query.version.$endsWith: must be text of at least one character",
    ),
    "a list": ({"version": ["a"]}, f"query.version: {NOT_PLAIN}"),
    "an object": ({"version": {"$eq": {"a": 1}}}, f"query.version.$eq: {NOT_PLAIN}"),
    "a group that is no list": ({"$and": {"version": "a"}}, "query.$and: must be a list"),
    "a member that is no object": ({"$or": [{}, "a"]}, "query.$or[1]: must be an object"),
    "null in a list": (
        {"version": {"$in": ["a", None]}},
        "query.version.$in[1]: must be a string, a number, true or false",
    ),
    "no object": ("version = 'a'", "query: must be an object"),
    "no operator on a date": ({"creationDate": {}}, "query.creationDate: must have at least one operator"),
    "true for a date": ({"creationDate": True}, f"query.creationDate: {NO_DATE}"),
    "false for a date": ({"lastUpdated": {"$gt": False}}, f"query.lastUpdated.$gt: {NO_DATE}"),
    "junk for a date": ({"creationDate": {"$lt": "yesterday"}}, f"query.creationDate.$lt: {NO_DATE}"),
    "no day of the calendar": ({"creationDate": "2026-02-30"}, f"query.creationDate: {NO_DATE}"),
    "a date in Arabic digits": ({"creationDate": "\u0662\u0660\u0662\u0666-11-21"}, f"query.creationDate: {NO_DATE}"),
    "a very long date": ({"creationDate": "2026-11-21" + " " * 5_000}, f"query.creationDate: {NO_DATE}"),
    "an object for a date": ({"creationDate": {"$in": [{}]}}, f"query.creationDate.$in[0]: {NO_DATE}"),
    "a text operator on a date": (
        {"creationDate": {"$startsWith": "2026"}},
        "query.creationDate.$startsWith: a date has no such operator",
    ),
    "$ci of a date": ({"lastUpdated": {"$ci": True}}, "query.lastUpdated: must have at least one operator"),
    "triggers as text": ({"triggers": "timer"}, "query.triggers: must be an object with a type"),
    "triggers without a type": ({"triggers": {}}, "query.triggers.type: must be text of at most 255 characters"),
    "two operators on triggers": (
        {"triggers": {"$eq": {"type": "a"}, "$ne": {"type": "b"}}},
        "query.triggers: must have exactly one operator, $eq or $ne",
    ),
    "another operator on nodes": (
        {"nodes": {"$in": [{"type": "a"}]}},
        "query.nodes: must have exactly one operator, $eq or $ne",
    ),
    "a key of nodes": (
        {"nodes": {"type": "a", "key": "b"}},
        "query.nodes.key: is not known here; there are type, config",
    ),
    "a key with a quote": (
        {"triggers": {"$eq": {"type": "a", "key": "b'; --"}}},
        "query.triggers.$eq.key: must be 1 to 255 letters, digits, underscores or hyphens",
    ),
    "a path in config": (
        {"nodes": {"type": "a", "config": {"a.b": 1}}},
        "query.nodes.config.a.b: must be 1 to 255 letters, digits, underscores or hyphens",
    ),
    "an object in config": ({"nodes": {"type": "a", "config": {"b": {}}}}, f"query.nodes.config.b: {NOT_PLAIN}"),
    "201 conditions in config": (
        {"nodes": {"type": "a", "config": {f"c{number}": 1 for number in range(200)}}},
        "query.nodes: the query has more than 200 conditions",
    ),
    "a list for enabled": ({"enabled": [True]}, f"query.enabled: {NOT_PLAIN}"),
    "300 kB": ({"version": {"$in": ["x" * 3_000] * 100}}, "query: "),
    "300 kB of two bytes a character": ({"a": "\u00e9" * 150_000}, "query.a: is not a field or operator here; "),
    "240 kB of conditions": (
        {"$or": [{"$and": [{"version": "x" * 20}] * 100} for _ in range(60)]},
        "query.$or[2].$and[0].version: the query has more than 200 conditions",
    ),
    "240 kB of unknown fields": (
        {f"field{number:05}": 1 for number in range(14_000)},
        "query.field00000: is not a field",
    ),
}


@pytest.mark.parametrize("title", BAD_QUERIES)
async def test_a_bad_query_is_named_by_its_path_at_once(ground: Ground, flow: Flow, title: str) -> None:
    query, message = BAD_QUERIES[title]
    text = json.dumps(query, ensure_ascii=False)

    async def refused(asked: Awaitable[Reply]) -> float:
        """The seconds that the answer took."""
        began = time.perf_counter()
        answer = await asked
        taken = time.perf_counter() - began
        assert (answer.status, answer.json["type"]) == (400, "Validation")
        assert answer.json["message"].startswith(message)
        assert len(answer.raw) < 1_000
        return taken

    async def refusals() -> list[float]:
        """In each way there is to ask."""
        return [
            await refused(list_by(ground, flow, query=text)),
            await refused(delete_by(ground, flow, query)),
            await refused(delete_by(ground, flow, query, "?dryRun=true")),
        ]

    async with unchanged(ground.database):
        fastest = await refusals()
        for _ in range(TRIES - 1):
            if max(fastest) <= REFUSED_SECONDS:
                break
            fastest = [min(pair) for pair in zip(fastest, await refusals(), strict=True)]
    assert max(fastest) <= REFUSED_SECONDS


async def test_a_query_may_be_as_large_as_its_bounds_allow(ground: Ground, flow: Flow) -> None:
    """200 conditions, 8 deep, lists of 100: the largest that a person could mean."""
    inner: dict[str, Any] = {"version": {"$nin": ["x" * 20] * 100}, "$or": [{"version": "a"}] * 99}
    query: dict[str, Any] = {"$nor": [inner, {"$or": [{"id": None}] * 100}]}
    for _ in range(5):
        query = {"$and": [query]}
    answer = await delete_by(ground, flow, query)
    assert answer.status == 202, answer.raw
    assert (await list_by(ground, flow, query=json.dumps(query))).status == 200


async def test_a_query_in_the_address_is_not_cut_short(ground: Ground, flow: Flow) -> None:
    """Encoded it is several times as long as aiohttp takes by itself."""
    longest = {"version": {"$in": ["v1", *["\u00e9" * 1024] * 99]}}
    assert await names_by(ground, flow, query=json.dumps(longest, ensure_ascii=False)) == ["v1"]


# What is no error


@pytest.mark.parametrize(
    "query",
    [
        {"enabled": {"$startsWith": "tr"}},
        {"enabled": {"$contains": "e", "$ci": True}},
        {"enabled": "true"},
        {"enabled": 1},
        {"enabled": {"$gt": "a"}},
        {"enabled": {"$in": ["true", 1]}},
        {"version": 1},
        {"version": {"$lt": 10**18}},
        {"version": None},
        {"creationDate": None},
        {"creationDate": 10**18},
        {"lastUpdated": {"$lt": "0001-01-01T00:00:00+23:59"}},
        {"customNodeSupports": "x"},
        {"triggers": {"type": "t", "config": {"a": 1.0}}},
        {"id": "f" * 24},
    ],
    ids=json.dumps,
)
async def test_a_comparison_across_types_matches_nothing(ground: Ground, flow: Flow, query: dict[str, Any]) -> None:
    assert await names_by(ground, flow, query=json.dumps(query)) == []
    preview = await delete_by(ground, flow, query, "?dryRun=true")
    assert (preview.status, preview.json) == (200, {"matched": 0, "protected": 0, "sample": []})


SPECIAL = ["100%", "a%b", "a_b", "a\\b", "axb", "ab", "*", "a*b", "'; --", "$1", "%", "_", "\\"]


@pytest.fixture
async def special(ground: Ground) -> Flow:
    """Versions whose names mean something to LIKE, to SQL or to a shell."""
    flow = await ground.owner.make_flow("Special")
    for name in SPECIAL:
        await ground.owner.make_version(flow, name)
    return flow


@pytest.mark.parametrize("part", ["%", "_", "\\", "a%", "%b", "a_", "\\b", "'", "$1", "; --", "*"])
async def test_what_like_would_read_is_literal_in_a_query(ground: Ground, special: Flow, part: str) -> None:
    for operator, holds in (
        ("$contains", str.__contains__),
        ("$startsWith", str.startswith),
        ("$endsWith", str.endswith),
    ):
        query = {"version": {operator: part}}
        expected = sorted(name for name in SPECIAL if holds(name, part))
        assert sorted(await names_by(ground, special, query=json.dumps(query))) == expected
        preview = await delete_by(ground, special, query, "?dryRun=true")
        assert sorted(one["version"] for one in preview.json["sample"]) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        *((name, [name]) for name in SPECIAL if "*" not in name),
        ("*%", ["%", "100%"]),
        ("a_*", ["a_b"]),
        ("*\\*", ["\\", "a\\b"]),
        ("a*b", ["a%b", "a*b", "a\\b", "a_b", "ab", "axb"]),
        ("*'*", ["'; --"]),
        ("A*", []),
        ("**", SPECIAL),
        ("", SPECIAL),
    ],
)
async def test_what_like_would_read_is_literal_in_a_filter(
    ground: Ground, special: Flow, pattern: str, expected: list[str]
) -> None:
    assert sorted(await names_by(ground, special, filter=pattern)) == sorted(expected)


@pytest.mark.parametrize("field", ["name", "flowClass", "customNodeSupports"])
async def test_nothing_is_asked_of_a_flow_that_is_not_there(ground: Ground, field: str) -> None:
    """These are the flow's own, so there is nothing to compare with; whether it is another's makes no difference."""
    flow = await ground.stranger.make_flow("Foreign")
    for query in ({field: "x"}, {"$nor": [{field: {"$ne": None}}]}):
        answer = await list_by(ground, flow, query=json.dumps(query))
        assert_error(answer, 404, "NotFound", "Flow was not found")


# What takes too long


async def test_a_query_that_takes_too_long_is_stopped_and_says_so(ground: Ground) -> None:
    """Each of 200 conditions unpacks the body of each of 20,000 versions, and none is ever met."""
    flow = await ground.owner.make_flow("Large")
    await ground.owner.make_versions(flow, 20_000, body_bytes=8_000)
    conditions = [{"nodes": {"type": f"t{number}"}} for number in range(100)]
    query = {"$or": [{"$or": conditions}, {"$or": conditions}]}
    began = time.monotonic()
    answer = await list_by(ground, flow, query=json.dumps(query))
    taken = time.monotonic() - began
    assert_error(answer, 503, "ServiceUnavailable", "The query took too long and was stopped; ask for less.")
    assert "Retry-After" not in answer.headers, "the same again would take as long again"
    assert taken < 2 * LIST_SECONDS
    simpler = await list_by(ground, flow, query=json.dumps({"$or": conditions[:1]}))
    assert (simpler.status, simpler.json["totalCount"]) == (200, 0), "the next one is not stopped for it"
