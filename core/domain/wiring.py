"""How the triggers and nodes of a flow lead to each other: judged when content arrives, before anything is kept.

Every id in an `outputIds` is a node's, no node leads to itself, no two nodes share an id, and a link stays in its
group: what is inside a loop leads to what is inside the same loop, and only the loop's second output leads in. A node
without an id can stand anywhere but nothing leads to it.

Content that another dialect wrote may have other shapes in these places; what is no list of objects is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from core.domain.documents import Json
from core.domain.errors import Invalid

LOOP = "LoopNode"
LOOP_END = "LoopCapNode"

_LOOP_BODY = 1
"""Which output of a loop leads into its body; the other goes on after the last round."""

Element = dict[str, Any]
"""A trigger, a node or a global, as JSON."""


def elements(value: Mapping[str, Json], name: str) -> Iterator[tuple[int, Element]]:
    """The triggers, nodes or globals of a content, each with its place."""
    found = value.get(name)
    for place, element in enumerate(found if isinstance(found, list) else ()):
        if isinstance(element, dict):
            yield place, element


def group_of(element: Element) -> str | None:
    """The id of the loop that a trigger or node is inside of; None outside of loops."""
    meta = element.get("meta")
    group = meta.get("groupId") if isinstance(meta, dict) else None
    return group if isinstance(group, str) and group else None


def id_of(node: Element) -> str | None:
    """The id that others can lead to, if it has one."""
    identifier = node.get("id")
    return identifier if isinstance(identifier, str) and identifier else None


def check_wiring(value: Mapping[str, Json]) -> None:
    """Judges the links of a whole content. Raises Invalid naming the first that leads nowhere it may."""
    groups: dict[str, str | None] = {}
    for place, node in elements(value, "nodes"):
        identifier = id_of(node)
        if identifier is None:
            continue
        if identifier in groups:
            raise Invalid("is the id of another node, too", f"nodes[{place}].id")
        groups[identifier] = group_of(node)
    for name in ("triggers", "nodes"):
        for place, element in elements(value, name):
            problem = _problem(element, groups)
            if problem is not None:
                output, entry, words = problem
                raise Invalid(words, f"{name}[{place}].outputIds[{output}][{entry}]")


def links(element: Element) -> Iterator[tuple[int, int, str]]:
    """Where a trigger or node leads to: which output, which of its entries, and the id."""
    outputs = element.get("outputIds")
    for output, entries in enumerate(outputs if isinstance(outputs, list) else ()):
        for entry, target in enumerate(entries if isinstance(entries, list) else ()):
            if isinstance(target, str):
                yield output, entry, target


def _problem(element: Element, groups: Mapping[str, str | None]) -> tuple[int, int, str] | None:
    """The first link that leads nowhere it may: which output, which of its entries, and what is wrong with it."""
    group, own = group_of(element), id_of(element)
    is_loop = element.get("type") == LOOP
    for output, entry, target in links(element):
        if target == own:
            return output, entry, "a node cannot lead to itself"
        if target not in groups:
            return output, entry, "there is no node with this id"
        inside = own if is_loop and output == _LOOP_BODY else group
        if groups[target] != inside:
            return output, entry, "leads into a loop, or out of one: both ends must have the same meta.groupId"
    return None
