"""The query language: what it means as a tree, and what is refused, each time by its path."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.errors import Invalid
from core.domain.identifiers import LARGEST_ID, hex_id
from core.domain.query import (
    EVERYTHING,
    FAR_MILLISECONDS,
    MOST_CONDITIONS,
    MOST_MEMBERS,
    MOST_QUERY_DEPTH,
    MOST_TEXT,
    Combination,
    Condition,
    Group,
    Match,
    Node,
    Operator,
    Scalar,
    holds,
    parse_query,
    parts_of,
)
from tests.fuzz.seeds import QUERIES
from tests.support.front import taken

SCALARS = ["v1", "", 5, 1.5, True, None]


def both(*members: Node) -> Combination:
    return Combination(Group.AND, members)


def refusal(query: object) -> Invalid:
    with pytest.raises(Invalid) as caught:
        parse_query(query)
    return caught.value


# What it means


def test_without_conditions_it_matches_everything() -> None:
    assert parse_query({}) == both()


@pytest.mark.parametrize("value", SCALARS)
def test_a_plain_value_is_an_equality(value: Any) -> None:
    assert parse_query({"version": value}) == both(Condition("version", Operator.EQ, value))


@pytest.mark.parametrize("operator", ["$eq", "$ne", "$gt", "$lt", "$gte", "$lte"])
@pytest.mark.parametrize("value", SCALARS)
def test_a_comparison_takes_any_plain_value(operator: str, value: Any) -> None:
    assert parse_query({"version": {operator: value}}) == both(Condition("version", Operator(operator), value))


@pytest.mark.parametrize("operator", ["$startsWith", "$endsWith", "$contains"])
def test_a_text_operator_takes_text(operator: str) -> None:
    assert parse_query({"version": {operator: "v"}}) == both(Condition("version", Operator(operator), "v"))
    values: list[object] = ["", 5, None, True, ["v"], {}]
    for value in values:
        assert refusal({"version": {operator: value}}).path == f"query.version.{operator}"


@pytest.mark.parametrize("operator", ["$in", "$nin"])
def test_a_list_operator_takes_up_to_100_plain_values(operator: str) -> None:
    entries: list[Scalar] = ["v1", 5, True, 1.5, "", *["x"] * (MOST_MEMBERS - 5)]
    assert parse_query({"version": {operator: entries}}) == both(
        Condition("version", Operator(operator), tuple(entries))
    )
    assert parse_query({"version": {operator: []}}) == both(Condition("version", Operator(operator), ()))
    error = refusal({"version": {operator: [*entries, "one more"]}})
    assert error.message == f"query.version.{operator}: must have at most 100 entries"
    assert refusal({"version": {operator: "v1"}}).message == f"query.version.{operator}: must be a list"
    entries_of_no_use: list[object] = [None, [], {}]
    for entry in entries_of_no_use:
        assert refusal({"version": {operator: ["v1", entry]}}).path == f"query.version.{operator}[1]"


def test_several_operators_of_one_field_must_all_hold() -> None:
    assert parse_query({"version": {"$gte": "a", "$lt": "b", "$nin": ["aa"]}}) == both(
        Condition("version", Operator.GTE, "a"),
        Condition("version", Operator.LT, "b"),
        Condition("version", Operator.NIN, ("aa",)),
    )


@pytest.mark.parametrize("ignoring", [True, False])
def test_ci_goes_for_every_operator_beside_it(ignoring: bool) -> None:
    query = {"version": {"$startsWith": "A", "$ci": ignoring, "$ne": "AB"}}
    assert parse_query(query) == both(
        Condition("version", Operator.STARTS_WITH, "A", ignoring), Condition("version", Operator.NE, "AB", ignoring)
    )


@pytest.mark.parametrize("value", [1, 0, "true", None, [], {}])
def test_ci_is_true_or_false(value: Any) -> None:
    assert refusal({"version": {"$eq": "a", "$ci": value}}).message == "query.version.$ci: must be true or false"


def test_an_id_becomes_its_number_whatever_its_case() -> None:
    assert parse_query({"id": hex_id(255)}) == both(Condition("id", Operator.EQ, 255))
    assert parse_query({"id": hex_id(255).upper()}) == both(Condition("id", Operator.EQ, 255))
    assert parse_query({"id": "0" * 24}) == both(Condition("id", Operator.EQ, 0))
    assert parse_query({"id": None}) == both(Condition("id", Operator.EQ, None))
    assert parse_query({"id": {"$in": [hex_id(1), hex_id(2)]}}) == both(Condition("id", Operator.IN, (1, 2)))
    for operator in ("$eq", "$ne", "$gt", "$lt", "$gte", "$lte"):
        assert parse_query({"id": {operator: hex_id(7)}}) == both(Condition("id", Operator(operator), 7))
        assert parse_query({"id": {operator: None}}) == both(Condition("id", Operator(operator), None))


@pytest.mark.parametrize("text", ["f" * 24, f"{2**63:024x}"])
def test_an_id_beyond_all_ids_stands_for_the_first_of_them(text: str) -> None:
    assert parse_query({"id": {"$gt": text}}) == both(Condition("id", Operator.GT, LARGEST_ID + 1))


@pytest.mark.parametrize(
    "value", ["", "1", "x" * 24, "1" * 23, "1" * 25, "\u0661" * 24, "0" * 23 + "1\n", 5, True, 1.5, []]
)
def test_an_id_is_24_hex_digits(value: Any) -> None:
    assert refusal({"id": value}).path == "query.id"
    assert refusal({"id": {"$ne": value}}).path == "query.id.$ne"
    assert refusal({"id": {"$nin": [hex_id(1), value]}}).path == "query.id.$nin[1]"


def test_an_id_takes_exactly_one_operator() -> None:
    one = hex_id(1)
    for query in ({}, {"$gt": one, "$lt": one}, {"$eq": one, "$ci": True}):
        assert refusal({"id": query}).message == "query.id: must have exactly one operator"
    for operator in ("$startsWith", "$endsWith", "$contains", "$ci"):
        error = refusal({"id": {operator: one}})
        assert error.message == f"query.id.{operator}: an id has no such operator"
    assert refusal({"id": {"$in": [None]}}).path == "query.id.$in[0]"
    assert refusal({"id": {"$in": [one] * 101}}).path == "query.id.$in"


@pytest.mark.parametrize("group", ["$and", "$or", "$nor"])
def test_a_group_holds_queries(group: str) -> None:
    query = {group: [{"version": "a"}, {}, {"$nor": []}]}
    members = (both(Condition("version", Operator.EQ, "a")), both(), both(Combination(Group.NOR, ())))
    assert parse_query(query) == both(Combination(Group(group), members))


def test_all_keys_of_one_object_must_hold() -> None:
    parsed = parse_query({"version": {"$gt": "a"}, "$or": [{"version": "b"}], "id": hex_id(1)})
    assert parsed == both(
        Condition("version", Operator.GT, "a"),
        Combination(Group.OR, (both(Condition("version", Operator.EQ, "b")),)),
        Condition("id", Operator.EQ, 1),
    )


# What is refused


@pytest.mark.parametrize("value", ["", "x", 1, True, None, []])
def test_a_query_is_an_object(value: Any) -> None:
    assert refusal(value).message == "query: must be an object"
    assert refusal({"$or": [{}, value]}).message == "query.$or[1]: must be an object"


@pytest.mark.parametrize("value", ["x", 1, True, None, {}])
def test_a_group_is_a_list(value: Any) -> None:
    assert refusal({"$and": value}).message == "query.$and: must be a list"


@pytest.mark.parametrize("key", ["notes", "$not", "$where", "$eq", "", "version ", "Version", "\u0000"])
def test_an_unknown_key_is_named(key: str) -> None:
    error = refusal({"version": "a", "$and": [{key: 1}]})
    assert error.path == f"query.$and[0].{key}"
    assert error.problem.startswith("is not a field or operator here; there are version, ")


@pytest.mark.parametrize("operator", ["$regex", "$not", "$exists", "$all", "$and", "eq", "", "$EQ"])
def test_an_unknown_operator_is_named(operator: str) -> None:
    for query in ({operator: "a"}, {"$eq": "a", operator: "a"}):
        assert refusal({"version": query}).path == f"query.version.{operator}"
    assert refusal({"id": {operator: hex_id(1)}}).path == f"query.id.{operator}"
    assert "is not an operator" in refusal({"version": {operator: "a"}}).problem


def test_an_object_without_operators_is_refused() -> None:
    assert refusal({"version": {}}).message == "query.version: must have at least one operator"
    assert refusal({"version": {"$ci": True}}).message == "query.version: must have at least one operator"


@pytest.mark.parametrize("value", [[], ["a"], [{}]])
def test_a_value_is_plain(value: Any) -> None:
    problem = "must be a string, a number, true, false or null"
    assert refusal({"version": value}).message == f"query.version: {problem}"
    assert refusal({"version": {"$eq": value}}).message == f"query.version.$eq: {problem}"
    assert refusal({"version": {"$eq": {}}}).message == f"query.version.$eq: {problem}"


def test_a_text_has_1024_characters_at_most() -> None:
    longest = "x" * MOST_TEXT
    for query, path in (
        (lambda text: {"version": text}, "version"),
        (lambda text: {"version": {"$contains": text}}, "version.$contains"),
        (lambda text: {"version": {"$in": ["a", text]}}, "version.$in[1]"),
    ):
        parse_query(query(longest))
        assert refusal(query(longest + "x")).message == f"query.{path}: must have at most 1024 characters"


# Bounds


def deep(levels: int) -> dict[str, Any]:
    """A query of this many levels, itself the first."""
    query: dict[str, Any] = {"version": "a"}
    for _ in range(levels - 1):
        query = {"$and": [query]}
    return query


def test_the_8th_level_is_the_last() -> None:
    parse_query(deep(MOST_QUERY_DEPTH))
    error = refusal(deep(MOST_QUERY_DEPTH + 1))
    assert error.message == "query" + ".$and[0]" * 8 + ": is nested more than 8 deep"


@pytest.mark.parametrize("levels", [50, 5_000])
def test_depth_beyond_is_refused_before_it_costs_anything(levels: int) -> None:
    assert refusal(deep(levels)).path == "query" + ".$and[0]" * 8


def test_the_200th_condition_is_the_last() -> None:
    conditions = [{"version": {"$gt": "a", "$lt": "b"}}] * (MOST_CONDITIONS // 2)
    parse_query({"$or": conditions})
    error = refusal({"$or": conditions, "id": hex_id(1)})
    assert error.message == "query.id: the query has more than 200 conditions"
    spread = {"$and": [{"$or": conditions[:60]}, {"$nor": conditions[:41]}]}
    assert refusal(spread).path == "query.$and[1].$nor[40].version"


def test_a_group_has_100_members_at_most() -> None:
    parse_query({"$or": [{}] * MOST_MEMBERS})
    assert refusal({"$or": [{}] * (MOST_MEMBERS + 1)}).message == "query.$or: must have at most 100 entries"


ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "version",
                    "id",
                    "lastUpdated",
                    "nodes",
                    "triggers",
                    "type",
                    "config",
                    *Group,
                    *Operator,
                    "$ci",
                    "$regex",
                ]
            )
            | st.text(max_size=5),
            inner,
            max_size=3,
        )
    ),
    max_leaves=15,
)


@given(ANYTHING.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=50))
def test_whatever_is_sent_is_a_query_within_its_bounds_or_invalid_with_a_path(raw: bytes) -> None:
    """`make fuzz` tries this on other bytes."""
    taken(raw)


@pytest.mark.parametrize("query", QUERIES)
def test_what_the_fuzzer_begins_with_are_queries(query: object) -> None:
    assert taken(json.dumps(query).encode())


# Dates


def milliseconds(year: int, month: int = 1, day: int = 1, **rest: int) -> int:
    moment = datetime(year, month, day, tzinfo=UTC) + timedelta(**rest)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        ("2026-11-21", milliseconds(2026, 11, 21)),
        ("2026-11-21T10:00:00Z", milliseconds(2026, 11, 21, hours=10)),
        ("2026-11-21T10:00:00", milliseconds(2026, 11, 21, hours=10)),
        ("2026-11-21 10:00", milliseconds(2026, 11, 21, hours=10)),
        ("2026-11-21T10:00:00.123Z", milliseconds(2026, 11, 21, hours=10, milliseconds=123)),
        ("2026-11-21T10:00:00.123999999Z", milliseconds(2026, 11, 21, hours=10, milliseconds=123)),
        ("2026-11-21T10:00:00.5+02:00", milliseconds(2026, 11, 21, hours=8, milliseconds=500)),
        ("2026-11-21T10:00:00-11:30", milliseconds(2026, 11, 21, hours=21, minutes=30)),
        ("20261121T100000Z", milliseconds(2026, 11, 21, hours=10)),
        ("1969-12-31T23:59:59.999Z", -1),
        ("0001-01-01", milliseconds(1)),
        ("0001-01-01T00:00:00+23:59", milliseconds(1) - (24 * 60 - 1) * 60_000),
        ("9999-12-31T23:59:59.999999-14:00", milliseconds(9999, 12, 31) + 38 * 3_600_000 - 1),
        (0, 0),
        (-1, -1),
        (1.9, 1),
        (-0.1, -1),
        (1795255200000, 1795255200000),
        (2**62, FAR_MILLISECONDS),
        (10**30, FAR_MILLISECONDS),
        (-(10**30), -FAR_MILLISECONDS),
        (1e300, FAR_MILLISECONDS),
        (None, None),
    ],
)
@pytest.mark.parametrize("field", ["creationDate", "lastUpdated"])
def test_a_date_is_iso_text_or_milliseconds(field: str, value: Any, instant: int | None) -> None:
    assert parse_query({field: value}) == both(Condition(field, Operator.EQ, instant))
    assert parse_query({field: {"$gte": value}}) == both(Condition(field, Operator.GTE, instant))
    assert parse_query({field: {"$nin": [value]}}) == both(Condition(field, Operator.NIN, (instant,)))


@pytest.mark.parametrize(
    "value",
    [
        "", "now", "2026", "2026-13-01", "2026-02-30", "2026-11-21T25:00:00Z", "2026-11-21T10:00:00+25:00",
        "10000-01-01", "-0001-01-01", "0000-01-01", "21.11.2026", "2026/11/21", "1795255200000", " 2026-11-21",
        "2026-11-21\n", "\u0662\u0660\u0662\u0666-11-21", "2026-11-21T10:00:00Z" + "0" * 30, True, False, [], [1],
    ],
)  # fmt: skip
def test_what_is_no_date_is_named(value: Any) -> None:
    problem = "must be a date in ISO 8601 or in milliseconds since 1970"
    assert refusal({"creationDate": value}).message == f"query.creationDate: {problem}"
    assert refusal({"lastUpdated": {"$ne": value}}).message == f"query.lastUpdated.$ne: {problem}"
    assert refusal({"lastUpdated": {"$in": [0, value]}}).message == f"query.lastUpdated.$in[1]: {problem}"


def test_the_operators_of_a_date() -> None:
    assert parse_query({"creationDate": {"$gt": 1, "$lte": 2}}) == both(
        Condition("creationDate", Operator.GT, 1), Condition("creationDate", Operator.LTE, 2)
    )
    for operator in ("$startsWith", "$endsWith", "$contains"):
        error = refusal({"creationDate": {operator: "2026"}})
        assert error.message == f"query.creationDate.{operator}: a date has no such operator"
    for query in ({}, {"$ci": True}):
        assert refusal({"creationDate": query}).message == "query.creationDate: must have at least one operator"
    assert refusal({"creationDate": {"$regex": "2"}}).path == "query.creationDate.$regex"
    assert refusal({"creationDate": {"$in": [0] * 101}}).message == (
        "query.creationDate.$in: must have at most 100 entries"
    )
    assert refusal({"creationDate": {"$in": 0}}).message == "query.creationDate.$in: must be a list"


# Triggers and nodes


def test_a_match_is_a_type_and_what_else_is_given() -> None:
    assert parse_query({"nodes": {"type": "t"}}) == both(Match("nodes", "t", None, (), negated=False))
    assert parse_query({"triggers": {"type": "t", "key": "k-1_"}}) == both(
        Match("triggers", "t", "k-1_", (), negated=False)
    )
    config = {"a": 1, "b": None, "c": True, "d": "x", "e": 1.5}
    assert parse_query({"nodes": {"type": "", "config": config}}) == both(
        Match("nodes", "", None, tuple(config.items()), negated=False)
    )


@pytest.mark.parametrize("field", ["triggers", "nodes"])
def test_a_match_stands_under_one_of_two_operators(field: str) -> None:
    for operator, negated in (("$eq", False), ("$ne", True)):
        parsed = parse_query({field: {operator: {"type": "t", "config": {"a": 1}}}})
        assert parsed == both(Match(field, "t", None, (("a", 1),), negated=negated))
    wanted = {"type": "t"}
    wrong: list[dict[str, object]] = [
        {"$eq": wanted, "$ne": wanted},
        {"$eq": wanted, "type": "t"},
        {"type": "t", "$ci": True},
        {"$in": [wanted]},
        {"$contains": "t"},
        {"$regex": "t"},
        {"$gt": wanted},
    ]
    for query in wrong:
        assert refusal({field: query}).message == f"query.{field}: must have exactly one operator, $eq or $ne"


@pytest.mark.parametrize("value", ["timer", 1, True, None, []])
def test_a_match_is_an_object(value: Any) -> None:
    assert refusal({"triggers": value}).message == "query.triggers: must be an object with a type"
    assert refusal({"nodes": {"$ne": value}}).message == "query.nodes.$ne: must be an object with a type"


def test_the_shape_of_a_match() -> None:
    wrong: list[object] = [None, 1, [], "x" * 256]
    for kind in wrong:
        error = refusal({"nodes": {"type": kind}})
        assert error.message == "query.nodes.type: must be text of at most 255 characters"
    assert refusal({"triggers": {"key": "k"}}).path == "query.triggers.type"
    assert refusal({"nodes": {}}).path == "query.nodes.type"
    parse_query({"nodes": {"type": "x" * 255}})
    assert refusal({"nodes": {"type": "t", "key": "k"}}).message == (
        "query.nodes.key: is not known here; there are type, config"
    )
    assert refusal({"triggers": {"$eq": {"type": "t", "name": "n"}}}).message == (
        "query.triggers.$eq.name: is not known here; there are type, key, config"
    )


@pytest.mark.parametrize("key", ["", "a.b", "a b", "ä", "\u0661", "x" * 256, "a'", "a\n", "$a"])
def test_keys_are_letters_digits_underscores_and_hyphens(key: str) -> None:
    rule = "must be 1 to 255 letters, digits, underscores or hyphens"
    assert refusal({"triggers": {"type": "t", "key": key}}).message == f"query.triggers.key: {rule}"
    error = refusal({"nodes": {"type": "t", "config": {"fine": 1, key: 1}}})
    assert (error.problem, error.path.startswith("query.nodes.config.")) == (rule, True)


@pytest.mark.parametrize("value", [None, 1, True, []])
def test_a_key_is_text_where_it_is_given(value: Any) -> None:
    assert refusal({"triggers": {"type": "t", "key": value}}).path == "query.triggers.key"


@pytest.mark.parametrize("value", [None, 1, True, "x", []])
def test_config_is_an_object_of_plain_values(value: Any) -> None:
    assert refusal({"nodes": {"type": "t", "config": value}}).message == "query.nodes.config: must be an object"
    wrong: list[object] = [[], {}, "x" * (MOST_TEXT + 1)]
    for entry in wrong:
        assert refusal({"nodes": {"type": "t", "config": {"a": entry}}}).path == "query.nodes.config.a"


def test_each_value_of_config_is_a_condition() -> None:
    config = {f"c{number}": number for number in range(MOST_CONDITIONS - 1)}
    parse_query({"nodes": {"type": "t", "config": config}})
    error = refusal({"nodes": {"type": "t", "config": {**config, "more": 1}}})
    assert error.message == "query.nodes: the query has more than 200 conditions"


# What is the same for every row


def parsed(value: object) -> Condition:
    (condition,) = parse_query({"flowClass": value}).members
    assert isinstance(condition, Condition)
    return condition


@pytest.mark.parametrize(
    ("value", "of_cloud", "of_nothing"),
    [
        ("cloud", True, False),
        ("Cloud", False, False),
        ({"$eq": "CLOUD", "$ci": True}, True, False),
        (None, False, True),
        (5, False, False),
        (True, False, False),
        ({"$ne": "cloud"}, False, True),
        ({"$ne": "edge"}, True, True),
        ({"$ne": None}, True, False),
        ({"$ne": 5}, True, True),
        ({"$in": ["edge", "cloud"]}, True, False),
        ({"$in": ["CLOUD"], "$ci": True}, True, False),
        ({"$in": []}, False, False),
        ({"$in": [1, True]}, False, False),
        ({"$nin": ["cloud"]}, False, True),
        ({"$nin": []}, True, True),
        ({"$gt": "clouc"}, True, False),
        ({"$gt": "cloud"}, False, False),
        ({"$gte": "cloud"}, True, False),
        ({"$lt": "\U0010ffff"}, True, False),
        ({"$lte": "cloud"}, True, False),
        ({"$lt": "Cloud"}, False, False),
        ({"$gt": None}, False, False),
        ({"$lte": None}, False, False),
        ({"$lt": 5}, False, False),
        ({"$startsWith": "cl"}, True, False),
        ({"$endsWith": "oud"}, True, False),
        ({"$contains": "LOU", "$ci": True}, True, False),
        ({"$contains": "%"}, False, False),
    ],
)
def test_a_condition_on_what_every_row_shares(value: object, of_cloud: bool, of_nothing: bool) -> None:
    assert holds(parsed(value), "cloud") is of_cloud
    assert holds(parsed(value), None) is of_nothing


def test_text_is_compared_by_code_point() -> None:
    """UTF-16 would put the second below the first."""
    assert holds(parsed({"$gt": "\uffff"}), "\U0001f600")
    assert holds(parsed({"$lt": "a"}), "Z")
    assert holds(parsed({"$eq": "STRASSE", "$ci": True}), "straße")


def test_the_parts_of_a_query_are_what_it_asks_without_the_groups() -> None:
    query = parse_query(
        {"$and": [{"enabled": True}, {"$nor": [{"version": {"$gt": "a", "$lt": "b"}}, {}]}], "nodes": {"type": "x"}}
    )
    parts = list(parts_of(query))
    assert [(type(part), part.field) for part in parts] == [  # type: ignore[union-attr]
        (Condition, "enabled"),
        (Condition, "version"),
        (Condition, "version"),
        (Match, "nodes"),
    ]
    assert list(parts_of(EVERYTHING)) == []
