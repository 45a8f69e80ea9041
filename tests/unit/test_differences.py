"""What differs between two contents, and what turns one into the other."""

from __future__ import annotations

import copy
import time
from typing import Any

import jsonpatch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.differences import ABSENT, MOST_ALTERED, MOST_FIELDS, Change, Edge, compare, compare_schedules
from core.domain.documents import canonical_text
from core.domain.matching import NAMING, bare
from core.domain.patches import MOST_OPERATIONS, make_patch

Json = Any


def node(name: str, *targets: str, **config: object) -> dict[str, Json]:
    return {
        "id": name,
        "type": "MathNode",
        "config": config,
        "meta": {"label": name.title(), "x": 10, "y": 20},
        "outputIds": [list(targets)],
    }


def content(*nodes: dict[str, Json], **more: Json) -> dict[str, Json]:
    timer = {"key": "t", "type": "timer", "config": {"seconds": 60}, "meta": {"x": 1}, "outputIds": [["a"]]}
    return {"triggers": [timer], "nodes": list(nodes), "globals": [{"key": "limit", "json": "4"}], **more}


BEFORE = content(node("a", "b", unit="C"), node("b", "c"), node("c"))


def applied(before: Json, after: Json) -> Json:
    """What the patch makes of the first content without layout."""
    operations = [dict(one) for one in make_patch(before, after).operations]
    return jsonpatch.apply_patch(copy.deepcopy(bare(before)), operations)


def unordered(value: dict[str, Json]) -> dict[str, Json]:
    """A content whose lists of which the order means nothing are in one order."""
    ordered = {name: sorted(found, key=canonical_text) for name in NAMING if isinstance(found := value.get(name), list)}
    return {**value, **ordered}


def assert_turns_into(before: Json, after: Json) -> None:
    found = applied(before, after)
    assert canonical_text(unordered(found)) == canonical_text(unordered(bare(after)))


def test_what_is_the_same_has_no_differences() -> None:
    assert not compare(BEFORE, copy.deepcopy(BEFORE))
    assert make_patch(BEFORE, copy.deepcopy(BEFORE)).operations == ()


def test_layout_and_order_are_no_differences() -> None:
    after = copy.deepcopy(BEFORE)
    after["nodes"].reverse()
    for element in (*after["nodes"], *after["triggers"]):
        element["meta"].update(x=999, y=-1, uiId="other", color="#fff")
    del after["triggers"][0]["meta"]
    assert not compare(BEFORE, after)
    assert make_patch(BEFORE, after).operations == ()


def test_nodes_edges_triggers_globals_and_settings_are_told_apart() -> None:
    after = content(node("a", "d", unit="F"), node("c"), node("d"), minimumAgentVersion="1.2.3")
    after["triggers"][0]["config"]["seconds"] = 30
    after["globals"] = [{"key": "limit", "json": "5"}, {"key": "new", "json": "1"}]
    found = compare(BEFORE, after)
    assert [thing.id for thing in found.nodes.removed] == ["b"]
    assert [thing.id for thing in found.nodes.added] == ["d"]
    (altered,) = found.nodes.altered
    assert (altered.thing.id, altered.thing.type, altered.thing.label) == ("a", "MathNode", "A")
    assert altered.changes == (Change("/config/unit", "C", "F"),), "where it leads to is told by its edges"
    assert set(found.edges_removed) == {Edge("node", "a", 0, "b"), Edge("node", "b", 0, "c")}
    assert set(found.edges_added) == {Edge("node", "a", 0, "d")}
    assert found.triggers.altered[0].changes == (Change("/config/seconds", 60, 30),)
    assert found.globals.altered[0].changes == (Change("/json", "4", "5"),)
    assert [thing.id for thing in found.globals.added] == ["new"]
    assert found.settings == (Change("/minimumAgentVersion", ABSENT, "1.2.3"),)
    assert found.labels["a"] == "A"
    assert_turns_into(BEFORE, after)


def test_one_node_put_in_front_is_one_operation() -> None:
    after = content(node("new"), *BEFORE["nodes"])
    (operation,) = make_patch(BEFORE, after).operations
    assert (operation["op"], operation["path"]) == ("add", "/nodes/-")


def test_numbers_and_truth_are_what_json_says() -> None:
    for one, other in ((1, True), (1, 1.0), (0, False), (0.0, -0.0), (10**60, 10**60 + 1), (None, False)):
        before, after = content(node("a", value=one)), content(node("a", value=other))
        (altered,) = compare(before, after).nodes.altered
        assert [(change.before, change.after) for change in altered.changes] == [(one, other)]
        assert_turns_into(before, after)


def test_null_is_something_and_what_is_absent_is_nothing() -> None:
    before, after = content(node("a", one=None)), content(node("a", other=None))
    (altered,) = compare(before, after).nodes.altered
    assert altered.changes == (Change("/config/one", None, ABSENT), Change("/config/other", ABSENT, None))


def test_paths_are_pointers() -> None:
    before, after = content(node("a", **{"x/y~z": 1, "": 2})), content(node("a", **{"x/y~z": 2, "": 3}))
    (altered,) = compare(before, after).nodes.altered
    assert [change.path for change in altered.changes] == ["/config/x~1y~0z", "/config/"]
    assert_turns_into(before, after)


def test_nodes_without_an_id_and_with_the_same_key_are_matched_one_by_one() -> None:
    bare_node = {"type": "DebugNode", "config": {}}
    before = content(bare_node, bare_node, {"type": "DebugNode", "config": {"n": 1}})
    after = content(bare_node, {"type": "DebugNode", "config": {"n": 2}})
    found = compare(before, after)
    assert (len(found.nodes.removed), len(found.nodes.added), found.nodes.altered_count) == (2, 1, 0)
    assert_turns_into(before, after)
    keyless = [{"type": "timer", "config": {"seconds": 1}}, {"type": "timer", "config": {"seconds": 2}}]
    changed = [{"type": "timer", "config": {"seconds": 1}}, {"type": "timer", "config": {"seconds": 3}}]
    found = compare({"triggers": keyless}, {"triggers": changed})
    assert [one.changes for one in found.triggers.altered] == [(Change("/config/seconds", 2, 3),)]


def test_what_another_dialect_may_have_kept_is_compared_as_it_is() -> None:
    before: Json = {"nodes": {"no": "list"}, "triggers": [1, "x", None], "steps": [1], "edges": None}
    after: Json = {"nodes": [], "triggers": ["x", [], {"outputIds": [1]}], "globals": 5}
    assert compare(before, after)
    assert_turns_into(before, after)
    assert_turns_into(after, before)


def test_lists_of_things_with_ids_are_compared_by_those() -> None:
    """Such as what a custom node asks for. In another order they are told place by place: people see that order."""
    one, two, three = ({"id": name, "label": name} for name in ("one", "two", "three"))
    before, after = {"fields": [one, two]}, {"fields": [three, {**two, "label": "2"}]}
    assert compare(before, after).settings == (
        Change("/fields/0", one, ABSENT),
        Change("/fields/0", ABSENT, three),
        Change("/fields/1/label", "two", "2"),
    )
    turned = compare({"fields": [one, two]}, {"fields": [two, one]}).settings
    assert [change.path for change in turned] == ["/fields/0/id", "/fields/0/label", "/fields/1/id", "/fields/1/label"]
    assert compare({"list": [1, 2]}, {"list": [1]}).settings == (Change("/list", [1, 2], [1]),)


def test_schedules_are_matched_by_what_they_say() -> None:
    nightly = {"cron_string": "0 3 * * *", "timezone": "UTC", "paused": False}
    hourly = {"cron_string": "0 * * * *", "timezone": "UTC", "paused": False}
    assert not compare_schedules([nightly, hourly], [hourly, nightly])
    found = compare_schedules([nightly, hourly], [{**nightly, "paused": True}, {**hourly, "timezone": "Asia/Tokyo"}])
    assert [one.changes for one in found.altered] == [(Change("/paused", False, True),)]
    assert [thing.type for thing in found.added] == ["Asia/Tokyo"]
    assert [thing.label for thing in found.removed] == ["0 * * * *"]


def test_what_nobody_reads_is_counted() -> None:
    names = [f"n{number}" for number in range(MOST_ALTERED + 5)]
    many = {f"k{number}": 1 for number in range(MOST_FIELDS + 1)}
    found = compare(content(*map(node, names)), content(*(node(name, **many) for name in names)))
    assert (found.nodes.altered_count, len(found.nodes.altered)) == (len(names), MOST_ALTERED)
    assert (len(found.nodes.altered[0].changes), found.nodes.altered[0].is_whole) == (MOST_FIELDS, False)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.0, -0.0, 1.0, 0.5]) | st.sampled_from("ab~/"),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(["a", "b", "~/", ""]), inner),
    max_leaves=20,
)
ELEMENTS = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from("xy")},
        optional={
            "id": st.sampled_from("abcde"),
            "key": st.sampled_from("abcde"),
            "config": VALUES,
            "meta": st.dictionaries(st.sampled_from(["x", "label", "y"]), VALUES),
            "outputIds": st.lists(st.lists(st.sampled_from("abcde"), max_size=3), max_size=3) | VALUES,
        },
    )
    | VALUES,
    max_size=6,
)
CONTENTS = st.dictionaries(st.sampled_from([*NAMING, "more", "~/"]), ELEMENTS | VALUES)


@settings(max_examples=40)
@given(CONTENTS, CONTENTS)
def test_any_patch_turns_the_one_into_the_other(before: Json, after: Json) -> None:
    assert_turns_into(before, after)


@settings(max_examples=30)
@given(CONTENTS, CONTENTS)
def test_differences_are_there_exactly_if_a_patch_is(before: Json, after: Json) -> None:
    """But for an empty list that appears, which holds nothing that could differ."""
    one, other = ({**{key: [] for key in NAMING}, **value} for value in (before, after))
    assert bool(compare(one, other)) == bool(make_patch(one, other).operations)


def hostile(kind: str, size: int) -> tuple[Json, Json]:
    """Values that cost jsonpatch the square of their length, or more."""
    numbers = list(range(size))
    nested: Json = [0]
    for _ in range(20):
        nested = [nested, *range(size // 20)]
    pairs: dict[str, tuple[Json, Json]] = {
        "spread": (numbers, [one for number in numbers for one in (number, "n")]),
        "thinned": (numbers, numbers[::2]),
        "nested": (nested, [1, nested]),
        "renamed": ({f"a{one}": one for one in numbers}, {f"b{one}": one for one in numbers}),
        "equal": ([0] * size, [1] * size),
    }
    return pairs[kind]


def test_no_pair_of_contents_takes_long() -> None:
    """A minute and more, if jsonpatch had its way; the place that was replaced as a whole is told."""
    for kind in ("spread", "thinned", "nested", "renamed", "equal"):
        one, other = hostile(kind, 40_000)
        before, after = content(node("a", value=one)), content(node("a", value=other))
        began = time.process_time()
        patch = make_patch(before, after)
        assert time.process_time() - began < 5, kind
        assert patch.coarse == ("/nodes/0",), kind
        assert [operation["op"] for operation in patch.operations] == ["replace"], kind


def test_a_patch_has_only_so_many_operations() -> None:
    fields = {f"k{number}": 1 for number in range(MOST_OPERATIONS)}
    patch = make_patch(content(node("a", **fields)), content(node("a", **dict.fromkeys(fields, 2))))
    assert (len(patch.operations), patch.coarse) == (MOST_OPERATIONS, ())
    more = {**fields, "more": 1}
    patch = make_patch(content(node("a", **more)), content(node("a", **dict.fromkeys(more, 2))))
    assert (len(patch.operations), patch.coarse) == (1, ("/nodes/0",))
