"""What differs between two contents, for people to read: nodes, triggers, globals, edges, settings and schedules.

Elements are matched as in matching.py. Where a node leads to is told by edges alone, not once more as a change of the
node. Settings are every other member of a content.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, NamedTuple

from core.domain.documents import Json
from core.domain.matching import DRAWN, NAMING, bare, match, same, type_of
from core.domain.patches import escaped
from core.domain.wiring import elements, id_of

MOST_ALTERED = 200
"""Elements of a kind whose changes are told. Those of more are counted: two contents of thousands of changed nodes are
not read, they are rewritten."""

MOST_FIELDS = 50
"""Changes told of one element."""

MOST_SETTINGS = 200
"""Changes told of settings. A custom node, which has the most of them, has a hundred fields."""

ABSENT: Any = object()
"""What a place holds that is not there; null is something."""


@dataclass(frozen=True, slots=True)
class Change:
    """One place inside of an element, as a pointer (RFC 6901), and what stands there; ABSENT if nothing does."""

    path: str
    before: Json
    after: Json


@dataclass(frozen=True, slots=True)
class Thing:
    """A node, a trigger, a global or a schedule; what it does not have is None."""

    id: str | None
    type: str | None
    label: str | None


@dataclass(frozen=True, slots=True)
class Altered:
    """What is in both, as it is now, with its first changes; `is_whole` says whether those are all."""

    thing: Thing
    changes: tuple[Change, ...]
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Group:
    """The differences of one kind of thing; `altered_count` counts those that `altered` has no room for, too."""

    added: tuple[Thing, ...] = ()
    removed: tuple[Thing, ...] = ()
    altered: tuple[Altered, ...] = ()
    altered_count: int = 0

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.altered_count)


class Edge(NamedTuple):
    """From a trigger or node, by which of its outputs, to the node with this id."""

    origin: str
    source: str | None
    output: int
    target: str


@dataclass(frozen=True, slots=True)
class Differences:
    """All that two versions differ in. `labels` has what nodes and triggers are called, by their ids, for those who
    print edges."""

    nodes: Group = Group()
    triggers: Group = Group()
    globals: Group = Group()
    edges_added: tuple[Edge, ...] = ()
    edges_removed: tuple[Edge, ...] = ()
    settings: tuple[Change, ...] = ()
    schedules: Group = Group()
    labels: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        groups = self.nodes, self.triggers, self.globals, self.schedules
        return any(groups) or bool(self.edges_added or self.edges_removed or self.settings)


def compare(
    before: Mapping[str, Json],
    after: Mapping[str, Json],
    schedules: Group = Group(),
) -> Differences:
    """The differences of two contents, beside those of their schedules. Linear; some 0.3 s for contents of 5 MB each,
    so for a thread."""
    edges, other_edges = _edges(before), _edges(after)
    old, new = bare(before), bare(after)
    groups = {name: _group(name, _list_of(old, name), _list_of(new, name)) for name in NAMING}
    return Differences(
        **groups,
        edges_added=tuple(edge for edge in other_edges if edge not in edges),
        edges_removed=tuple(edge for edge in edges if edge not in other_edges),
        settings=tuple(islice(_changes("", _settings(old), _settings(new)), MOST_SETTINGS)),
        schedules=schedules,
        labels={**_labels(before), **_labels(after)},
    )


def compare_schedules(before: Sequence[Mapping[str, Json]], after: Sequence[Mapping[str, Json]]) -> Group:
    """The differences of schedules, each as its rules by name. A copy has another id, so the same rules are matched
    first, then the same expression in the same zone; what is left was removed, and added."""
    old, new = list(before), list(after)
    for schedule in before:
        if schedule in new:
            new.remove(schedule)
            old.remove(schedule)
    altered = []
    for schedule in list(old):
        other = next((one for one in new if _when(one) == _when(schedule)), None)
        if other is not None:
            old.remove(schedule)
            new.remove(other)
            altered.append(_altered(_schedule(other), schedule, other))
    return Group(tuple(map(_schedule, new)), tuple(map(_schedule, old)), tuple(altered), len(altered))


def _when(schedule: Mapping[str, Json]) -> tuple[Json, Json]:
    return schedule["cron_string"], schedule["timezone"]


def _schedule(rules: Mapping[str, Json]) -> Thing:
    return Thing(None, rules["timezone"], rules["cron_string"])


def _group(name: str, before: Sequence[Json], after: Sequence[Json]) -> Group:
    found = match(name, before, after)
    pairs = [(before[place], after[other]) for place, other in found.both]
    changed = [(old, new) for old, new in ((_alone(old), _alone(new)) for old, new in pairs) if not same(old, new)]
    return Group(
        tuple(_thing(after[place]) for place in found.added),
        tuple(_thing(before[place]) for place in found.removed),
        tuple(_altered(_thing(new), old, new) for old, new in changed[:MOST_ALTERED]),
        len(changed),
    )


def _altered(thing: Thing, before: Json, after: Json) -> Altered:
    found = tuple(islice(_changes("", before, after), MOST_FIELDS + 1))
    return Altered(thing, found[:MOST_FIELDS], len(found) <= MOST_FIELDS)


def _changes(path: str, before: Json, after: Json) -> Iterator[Change]:
    """Member by member. Lists of different things that have ids by those, at the place they have now or had; other
    lists item by item, or as a whole if they are of different lengths: nothing says what has gone where."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in [*before, *(name for name in after if name not in before)]:
            yield from _changes(f"{path}/{escaped(name)}", before.get(name, ABSENT), after.get(name, ABSENT))
    elif isinstance(before, list) and isinstance(after, list) and (pairs := _paired(before, after)) is not None:
        for place, old, new in pairs:
            yield from _changes(f"{path}/{place}", old, new)
    elif before is ABSENT or after is ABSENT or not same(before, after):
        yield Change(path, before, after)


def _paired(before: list[Json], after: list[Json]) -> Iterator[tuple[int, Json, Json]] | None:
    """Items of two lists beside each other, each pair with its place; None if nothing says which belong together."""
    places, other_places = _by_id(before), _by_id(after)
    if places and other_places and places.keys() != other_places.keys():
        gone = ((place, before[place], ABSENT) for name, place in places.items() if name not in other_places)
        there = (
            (place, before[places[name]] if name in places else ABSENT, after[place])
            for name, place in other_places.items()
        )
        return chain(gone, there)
    if len(before) != len(after):
        return None
    return ((place, old, new) for place, (old, new) in enumerate(zip(before, after, strict=True)))


def _by_id(items: list[Json]) -> dict[str, int] | None:
    """Where each id stands; None unless every item has one of its own."""
    places = {id_of(item): place for place, item in enumerate(items) if isinstance(item, dict)}
    found = {name: place for name, place in places.items() if name is not None}
    return found if len(found) == len(items) else None


def _thing(element: Json) -> Thing:
    if not isinstance(element, dict):
        return Thing(None, None, None)
    meta = element.get("meta")
    label = meta.get("label") if isinstance(meta, dict) else None
    return Thing(_name(element), type_of(element), label if isinstance(label, str) and label else None)


def _name(element: Mapping[str, Json]) -> str | None:
    found = element.get("id", element.get("key"))
    return found if isinstance(found, str) and found else None


def _list_of(content: Mapping[str, Json], name: str) -> list[Json]:
    found = content.get(name)
    return found if isinstance(found, list) else []


def _settings(content: Mapping[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in content.items() if not (name in NAMING and isinstance(value, list))}


def _alone(element: Json) -> Json:
    """An element without where it leads to."""
    if not isinstance(element, dict) or _outputs(element) is None:
        return element
    return {name: value for name, value in element.items() if name != "outputIds"}


def _outputs(element: Mapping[str, Json]) -> list[list[str]] | None:
    """Where each output leads to; None for what another dialect may have put there."""
    found = element.get("outputIds")
    if not isinstance(found, list):
        return None
    if not all(isinstance(ids, list) and all(isinstance(target, str) for target in ids) for ids in found):
        return None
    return found


def _edges(content: Mapping[str, Json]) -> dict[Edge, None]:
    """Each edge once, in the order of the content."""
    edges: dict[Edge, None] = {}
    for name in DRAWN:
        for _, element in elements(content, name):
            for output, targets in enumerate(_outputs(element) or ()):
                for target in targets:
                    edges[Edge(name[:-1], _name(element) or type_of(element), output, target)] = None
    return edges


def _labels(content: Mapping[str, Json]) -> dict[str, str]:
    things = (_thing(element) for name in DRAWN for _, element in elements(content, name))
    return {thing.id: thing.label for thing in things if thing.id and thing.label}
