"""What a flow's class allows. The class is chosen when the flow is made and never changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.domain.documents import Json
from core.domain.errors import Invalid
from core.domain.wiring import elements

FLOW_CLASSES = ("cloud", "edge", "embedded", "experience", "customNode")
CUSTOM_NODE, EXPERIENCE, EDGE = "customNode", "experience", "edge"

START, RETURN = "customNodeStart", "CustomNodeCapNode"
"""Where a custom node begins, a trigger, and where it ends, a node."""

_EXPERIENCE_TRIGGERS = frozenset({"endpoint", "flowError", "virtualButton"})

_EXPERIENCE_ONLY = f"an experience flow has only these: {', '.join(sorted(_EXPERIENCE_TRIGGERS))}"


@dataclass(frozen=True, slots=True)
class Outline:
    """What a class asks of a content: each type of trigger and of node in it with the place of the first.

    `strict` asks besides that a custom node can be entered and left.
    """

    triggers: Mapping[str, int]
    nodes: Mapping[str, int]
    strict: bool


def outline_of(value: Mapping[str, Json], *, strict: bool) -> Outline:
    """Raises Invalid for a second start, which no class allows."""
    triggers: dict[str, int] = {}
    for place, trigger in elements(value, "triggers"):
        kind = str(trigger.get("type"))
        if kind == START and kind in triggers:
            raise Invalid(f"a custom node begins with one {START} only", f"triggers[{place}].type")
        triggers.setdefault(kind, place)
    nodes: dict[str, int] = {}
    for place, node in elements(value, "nodes"):
        nodes.setdefault(str(node.get("type")), place)
    return Outline(triggers, nodes, strict)


def check_class(outline: Outline, flow_class: str) -> None:
    """Raises Invalid naming the first trigger, then the first node, that a flow of this class cannot have."""
    found = _misfit(outline, flow_class)
    if found is not None:
        raise Invalid(*found)


def fitting_classes(outline: Outline) -> list[str]:
    """The classes whose flows can have this content."""
    return [flow_class for flow_class in FLOW_CLASSES if _misfit(outline, flow_class) is None]


def _misfit(outline: Outline, flow_class: str) -> tuple[str, str] | None:
    """What a flow of this class cannot have: a sentence, and the place."""
    if flow_class == CUSTOM_NODE:
        return _missing(outline) if outline.strict else None
    if flow_class == EXPERIENCE:
        for kind, place in outline.triggers.items():
            if kind not in _EXPERIENCE_TRIGGERS:
                return _EXPERIENCE_ONLY, f"triggers[{place}].type"
    if START in outline.triggers:
        return f"only a custom node begins with {START}", f"triggers[{outline.triggers[START]}].type"
    if RETURN in outline.nodes:
        return f"only a custom node ends with {RETURN}", f"nodes[{outline.nodes[RETURN]}].type"
    return None


def _missing(outline: Outline) -> tuple[str, str] | None:
    if START not in outline.triggers:
        return f"a custom node needs a trigger of the type {START}", "triggers"
    if RETURN not in outline.nodes:
        return f"a custom node needs a node of the type {RETURN}", "nodes"
    return None


def check_agent_version(flow_class: str, before: object, after: object) -> None:
    """An edge flow's least agent may only rise: a device below it could not load what it already runs."""
    if flow_class == EDGE and isinstance(before, str) and isinstance(after, str) and _parts(after) < _parts(before):
        raise Invalid(f"may only rise; it is {before}", "minimumAgentVersion")


def _parts(version: str) -> list[tuple[int, str]]:
    """Numbers of any length compare as texts do, once the longer one is the greater: none begins with a zero."""
    return [(len(part), part) for part in version.split(".")]
