"""Which elements of two contents are the same thing, and what of them only says how they are drawn.

Nodes are matched by id, triggers and globals by key: where they stand in their lists means nothing, and a list that was
put in another order has not changed. What nothing names is matched by its type among those without a name, in their
order, or if it is a node, which nothing leads to then, by what it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.domain.documents import Json, canonical_text
from core.domain.wiring import id_of

LAYOUT = frozenset({"x", "y", "width", "height", "icon", "color", "uiId"})
"""What of an element's `meta` an editor draws it by: it can change without anything running otherwise."""

DRAWN = ("nodes", "triggers")
"""The lists whose elements have a `meta`."""


@dataclass(frozen=True, slots=True)
class Matched:
    """Places of elements: (before, after) of those in both lists, by the first; and of those in one of them only."""

    both: tuple[tuple[int, int], ...]
    removed: tuple[int, ...]
    added: tuple[int, ...]


def bare(content: Mapping[str, Json]) -> dict[str, Json]:
    """The content without layout. A `meta` that held nothing else is left out, as if it had never been sent."""
    return {name: _undrawn(value) if name in DRAWN else value for name, value in content.items()}


def _undrawn(value: Json) -> Json:
    return [_plain(element) for element in value] if isinstance(value, list) else value


def _plain(element: Json) -> Json:
    meta = element.get("meta") if isinstance(element, dict) else None
    if not isinstance(meta, dict) or LAYOUT.isdisjoint(meta):
        return element
    kept = {name: value for name, value in meta.items() if name not in LAYOUT}
    if kept:
        return {**element, "meta": kept}
    return {name: value for name, value in element.items() if name != "meta"}


def _node_name(node: Json) -> Hashable:
    return (id_of(node) if isinstance(node, dict) else None) or canonical_text(node)


def _key_name(element: Json) -> Hashable:
    key = element.get("key") if isinstance(element, dict) else None
    return key if isinstance(key, str) and key else (type_of(element),)


def type_of(element: Json) -> str | None:
    found = element.get("type") if isinstance(element, dict) else None
    return found if isinstance(found, str) else None


NAMING: Mapping[str, Callable[[Any], Hashable]] = {"nodes": _node_name, "triggers": _key_name, "globals": _key_name}
"""The lists whose order means nothing, and what tells their elements apart."""


def match(list_name: str, before: Sequence[Json], after: Sequence[Json]) -> Matched:
    """The elements of a list in two contents, by name; of the same name, the first with the first. Linear."""
    places = dict(zip(_names(list_name, after), range(len(after)), strict=True))
    both: list[tuple[int, int]] = []
    removed: list[int] = []
    for place, name in enumerate(_names(list_name, before)):
        found = places.pop(name, None)
        if found is None:
            removed.append(place)
        else:
            both.append((place, found))
    return Matched(tuple(both), tuple(removed), tuple(sorted(places.values())))


def _names(list_name: str, elements: Sequence[Json]) -> list[Hashable]:
    """No two alike: a name that others had before is told from theirs by how many did."""
    seen: Counter[Hashable] = Counter()
    names: list[Hashable] = []
    for element in elements:
        name = NAMING[list_name](element)
        names.append((name, seen[name]))
        seen[name] += 1
    return names


def same(one: Json, other: Json) -> bool:
    """Whether both are the same JSON: 1 is neither 1.0 nor true."""
    return canonical_text(one) == canonical_text(other)
