"""Where the links of a flow may lead, what a strict check asks besides, and what a flow's class allows."""

from __future__ import annotations

from typing import Any

import pytest

from core.domain.errors import Invalid
from core.domain.flow_classes import FLOW_CLASSES, check_agent_version, check_class, outline_of
from core.domain.strictness import check_strictly
from core.domain.wiring import check_wiring

Content = dict[str, Any]


def node(identifier: str | None, *outputs: list[str], kind: str = "DebugNode", group: object = None) -> dict[str, Any]:
    made: dict[str, Any] = {"type": kind, "outputIds": list(outputs), "meta": {}}
    if identifier is not None:
        made["id"] = identifier
    if group is not None:
        made["meta"]["groupId"] = group
    return made


def trigger(*outputs: list[str], group: str | None = None, kind: str = "virtualButton") -> dict[str, Any]:
    return {"type": kind, "outputIds": list(outputs), "meta": {} if group is None else {"groupId": group}}


LOOP = node("loop", ["after"], ["first"], kind="LoopNode")
INSIDE = [
    node("first", ["inner"], group="loop"),
    node("inner", ["last"], ["deep"], kind="LoopNode", group="loop"),
    node("deep", group="inner"),
    node("last", group="loop"),
]
LOOPS: Content = {"triggers": [trigger(["loop"])], "nodes": [LOOP, *INSIDE, node("after")]}

RIGHT: dict[str, Content] = {
    "nothing": {},
    "empty": {"triggers": [], "nodes": []},
    "a chain": {"triggers": [trigger(["a"])], "nodes": [node("a", ["b"]), node("b", [])]},
    "a circle": {"nodes": [node("a", ["b"]), node("b", ["a"])]},
    "two ways to one": {"nodes": [node("a", ["b"], ["b", "b"]), node("b")]},
    "a node nobody leads to": {"nodes": [node(None), node(None), node("", [])]},
    "a node without outputs": {"nodes": [{"type": "x"}, {"type": "x", "id": "a"}]},
    "backwards": {"nodes": [node("b"), node("a", ["b"])]},
    "loops in loops": LOOPS,
    "a button inside of a loop": {**LOOPS, "triggers": [trigger(["deep"], group="inner")]},
    "a group that is no text": {"nodes": [node("a", ["b"]), node("b", group=7)]},
    "another dialect's": {"triggers": 7, "nodes": [1, "a", {"id": 5, "outputIds": 7}, {"outputIds": [1, [2]]}]},
}

WRONG: dict[str, tuple[Content, str]] = {
    "a node that is not there": (
        {"nodes": [node("a", [], ["b", "c"]), node("b")]},
        "nodes[0].outputIds[1][1]: there is no node with this id",
    ),
    "a trigger to nowhere": (
        {"triggers": [trigger(), trigger(["a"])], "nodes": []},
        "triggers[1].outputIds[0][0]: there is no node with this id",
    ),
    "nothing but a trigger": (
        {"triggers": [trigger(["a"])]},
        "triggers[0].outputIds[0][0]: there is no node with this id",
    ),
    "an id that differs in case": (
        {"nodes": [node("a", ["B"]), node("b")]},
        "nodes[0].outputIds[0][0]: there is no node with this id",
    ),
    "itself": ({"nodes": [node("b"), node("a", ["b", "a"])]}, "nodes[1].outputIds[0][1]: a node cannot lead to itself"),
    "one id twice": ({"nodes": [node("a"), node("b"), node("a")]}, "nodes[2].id: is the id of another node, too"),
    "into a loop": ({**LOOPS, "triggers": [trigger(["first"])]}, "triggers[0].outputIds[0][0]: leads into a loop"),
    "past the outer loop": (
        {**LOOPS, "triggers": [trigger(["deep"])]},
        "triggers[0].outputIds[0][0]: leads into a loop",
    ),
    "out of a loop": (
        {"nodes": [LOOP, node("first", ["after"], group="loop"), node("after")]},
        "nodes[1].outputIds[0][0]: leads into a loop, or out of one",
    ),
    "a body that is not inside": (
        {"nodes": [LOOP, node("first"), node("after")]},
        "nodes[0].outputIds[1][0]: leads into a loop",
    ),
    "a loop that goes on inside": (
        {"nodes": [LOOP, node("first", group="loop"), node("after", group="loop")]},
        "nodes[0].outputIds[0][0]: leads into a loop",
    ),
    "into another kind's second output": (
        {"nodes": [node("c", [], ["b"], kind="ConditionalNode"), node("b", group="c")]},
        "nodes[0].outputIds[1][0]: leads into a loop",
    ),
}


@pytest.mark.parametrize("title", RIGHT)
def test_links_that_lead_somewhere(title: str) -> None:
    check_wiring(RIGHT[title])


@pytest.mark.parametrize("title", WRONG)
def test_a_link_that_leads_nowhere_is_named(title: str) -> None:
    content, message = WRONG[title]
    with pytest.raises(Invalid) as refusal:
        check_wiring(content)
    assert refusal.value.message.startswith(message)


# Strict

META = {"category": "any", "name": "any", "label": "Any", "x": 0, "y": 0}


def whole(element: dict[str, Any], **config: Any) -> dict[str, Any]:
    return {**element, "config": config, "meta": {**META, **element["meta"]}}


def without(element: dict[str, Any], *path: str) -> dict[str, Any]:
    name, *rest = path
    if rest:
        return {**element, name: without(element[name], *rest)}
    return {key: value for key, value in element.items() if key != name}


TRIGGER, NODE = whole(trigger(["a"])), whole(node("a"))
BODY = whole(node("loop", [], ["end"], kind="LoopNode"))
END = whole(node("end", kind="LoopCapNode", group="loop"), loopNodeId="loop")

COMPLETE: dict[str, Content] = {
    "nothing": {},
    "one of each": {"triggers": [TRIGGER], "nodes": [NODE], "globals": [{"key": "a"}, {"key": "A"}]},
    "a timer by seconds": {"triggers": [whole(trigger(["a"], kind="timer"), seconds=0.5)]},
    "a timer by cron": {"triggers": [whole(trigger(["a"], kind="timer"), cron="* * * * *", tz="UTC")]},
    "a loop": {"nodes": [BODY, END]},
    "a custom node": {"nodes": [whole(node("a", kind="CustomNodeCapNode"))]},
}

INCOMPLETE: dict[str, tuple[Content, str]] = {
    **{
        f"a trigger without {'.'.join(path)}": (
            {"triggers": [TRIGGER, without(TRIGGER, *path)]},
            f"triggers[1].{'.'.join(path)}: is required by a strict check",
        )
        for path in (("config",), ("meta",), ("meta", "name"), ("meta", "x"))
    },
    **{
        f"a node without {'.'.join(path)}": (
            {"nodes": [NODE, without(whole(node("b")), *path)]},
            f"nodes[1].{'.'.join(path)}: is required by a strict check",
        )
        for path in (("id",), ("config",), ("meta",), ("meta", "category"), ("meta", "y"))
    },
    "an empty id": ({"nodes": [{**NODE, "id": ""}]}, "nodes[0].id: is required by a strict check"),
    "a trigger that starts nothing": (
        {"triggers": [whole(trigger([], []))]},
        "triggers[0].outputIds: must lead to a node, or it starts nothing",
    ),
    "a timer that never comes": (
        {"triggers": [whole(trigger(["a"], kind="timer"), tz="UTC")]},
        "triggers[0].config: must have either seconds or cron",
    ),
    "a timer of two minds": (
        {"triggers": [whole(trigger(["a"], kind="timer"), seconds=1, cron="* * * * *")]},
        "triggers[0].config: must have either seconds or cron",
    ),
    "a timer without a pause": (
        {"triggers": [whole(trigger(["a"], kind="timer"), seconds=0)]},
        "triggers[0].config.seconds: must be more than 0",
    ),
    "a blank cron": (
        {"triggers": [whole(trigger(["a"], kind="timer"), cron=" ")]},
        "triggers[0].config.cron: must not be blank",
    ),
    "a group of no loop": (
        {"nodes": [NODE, whole(node("b", group="a"))]},
        "nodes[1].meta.groupId: there is no LoopNode with this id",
    ),
    "an end of no loop": (
        {"nodes": [whole(node("end", kind="LoopCapNode"), loopNodeId="loop")]},
        "nodes[0].config.loopNodeId: must be the loop",
    ),
    "an end of another loop": (
        {"nodes": [BODY, {**END, "config": {"loopNodeId": "other"}}]},
        "nodes[1].config.loopNodeId: must be the loop",
    ),
    "a return out of a loop": (
        {"nodes": [BODY, whole(node("end", kind="CustomNodeCapNode", group="loop"))]},
        "nodes[1].type: a custom node cannot end inside of a loop",
    ),
    "a global twice": (
        {"globals": [{"key": "a"}, {"key": "b"}, {"key": "a"}]},
        "globals[2].key: is the key of another global, too",
    ),
    "another dialect's": ({"nodes": [{"id": "a", "config": 7}]}, "nodes[0].config: is required by a strict check"),
}


@pytest.mark.parametrize("title", COMPLETE)
def test_what_is_complete_passes_a_strict_check(title: str) -> None:
    check_strictly(COMPLETE[title])


@pytest.mark.parametrize("title", INCOMPLETE)
def test_what_is_missing_is_named_by_a_strict_check(title: str) -> None:
    content, message = INCOMPLETE[title]
    check_wiring({"nodes": content.get("nodes", [])})
    with pytest.raises(Invalid) as refusal:
        check_strictly(content)
    assert refusal.value.message.startswith(message)


# Classes

START, RETURN = trigger(kind="customNodeStart"), node("a", kind="CustomNodeCapNode")
ANY: Content = {"triggers": [trigger(), trigger(kind="flowError")], "nodes": [node("a")]}


def problem(content: Content, flow_class: str, *, strict: bool = False) -> str | None:
    try:
        check_class(outline_of(content, strict=strict), flow_class)
    except Invalid as refusal:
        return refusal.message
    return None


@pytest.mark.parametrize("flow_class", FLOW_CLASSES)
def test_every_class_has_buttons(flow_class: str) -> None:
    assert problem(ANY, flow_class) is None
    assert problem({}, flow_class) is None


@pytest.mark.parametrize("kind", ["timer", "webhook", "deviceId"])
def test_an_experience_flow_has_three_types_of_trigger(kind: str) -> None:
    content = {"triggers": [trigger(kind="endpoint"), trigger(kind=kind)]}
    message = "triggers[1].type: an experience flow has only these: endpoint, flowError, virtualButton"
    assert problem(content, "experience") == message
    assert problem(content, "cloud") is None, "endpoints of old are there, too"


@pytest.mark.parametrize("flow_class", FLOW_CLASSES)
def test_only_a_custom_node_begins_and_ends_as_one(flow_class: str) -> None:
    begins, ends = {"triggers": [trigger(), START]}, {"nodes": [node("b"), RETURN]}
    if flow_class == "customNode":
        assert problem({**begins, **ends}, flow_class) is None
        return
    refused = problem(begins, flow_class) or ""
    assert refused.startswith("triggers[1].type: ")
    assert problem(ends, flow_class) == "nodes[1].type: only a custom node ends with CustomNodeCapNode"


def test_a_custom_node_begins_once() -> None:
    message = "triggers[2].type: a custom node begins with one customNodeStart only"
    assert problem({"triggers": [START, trigger(), START]}, "customNode") == message


def test_a_strict_check_wants_a_whole_custom_node() -> None:
    assert problem({"nodes": [RETURN]}, "customNode", strict=True) == (
        "triggers: a custom node needs a trigger of the type customNodeStart"
    )
    assert problem({"triggers": [START]}, "customNode", strict=True) == (
        "nodes: a custom node needs a node of the type CustomNodeCapNode"
    )
    assert problem({"triggers": [START], "nodes": [RETURN]}, "customNode", strict=True) is None
    assert problem({}, "customNode") is None, "one that is begun can be kept"


@pytest.mark.parametrize(
    ("before", "after", "falls"),
    [
        ("1.2.3", "1.2.2", True),
        ("1.10.0", "1.9.9", True),
        ("2.0.0", "1.99.99", True),
        ("1.2.3", "1.2.3", False),
        ("1.9.0", "1.10.0", False),
        ("9" * 40 + ".0.0", "1" + "0" * 40 + ".0.0", False),
        (None, "0.0.1", False),
        ("1.2.3", None, False),
    ],
)
def test_the_least_agent_of_an_edge_flow_only_rises(before: str | None, after: str | None, falls: bool) -> None:
    check_agent_version("cloud", before, after)
    if not falls:
        check_agent_version("edge", before, after)
        return
    with pytest.raises(Invalid, match=f"minimumAgentVersion: may only rise; it is {before}"):
        check_agent_version("edge", before, after)
