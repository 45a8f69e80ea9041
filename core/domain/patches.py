"""What turns one content into another, as a JSON Patch (RFC 6902).

Made from contents without layout, so it puts nothing in another place on a canvas: applied to the first content as it
is, it gives the second one's triggers, nodes, globals and settings, drawn as they were. Elements are matched as in
matching.py; what is new comes to the end of its list, since the order means nothing. What is inside of an element, and
any other member, is jsonpatch's work.

That takes more than linear time: some lists cost it the square of their length, nested ones their depth. So what it
would take is estimated first, and a value that costs more than is left is replaced as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jsonpatch

from core.domain.documents import Json
from core.domain.matching import NAMING, bare, match, same

Operation = dict[str, Any]
"""`op`, `path`, and `value` or `from`."""

MOST_STEPS = 6_000_000
"""What one patch may take, in comparisons of two list items by jsonpatch: some half a second. A workflow of five
thousand nodes, of which a tenth were changed, takes a quarter of it."""

STEPS_PER_VALUE = 100
"""What a value that may be another one takes wherever it stands, and for each list around it once more: there it is
written out to be compared."""

MOST_OPERATIONS = 10_000
"""Operations inside of elements. A patch of more is read by nobody, and each takes some 60 bytes beside its value."""


@dataclass(frozen=True, slots=True)
class Patch:
    """The operations, in their order; `coarse` are the places that were replaced as a whole to save time."""

    operations: tuple[Operation, ...]
    coarse: tuple[str, ...]


class _Making:
    """A patch on its way, with what is left of its bounds."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.coarse: list[str] = []
        self._steps = MOST_STEPS
        self._inside = MOST_OPERATIONS

    def change(self, path: str, before: Json, after: Json) -> None:
        """What is inside of one value, or the whole of it."""
        if same(before, after):
            return
        inside = self._differences(before, after)
        if inside is None:
            self.operations.append({"op": "replace", "path": path, "value": after})
            self.coarse.append(path)
            return
        self._inside -= len(inside)
        self.operations.extend(_below(path, operation) for operation in inside)

    def _differences(self, before: Json, after: Json) -> list[Operation] | None:
        steps = _steps(before, after)
        if steps > self._steps or not self._inside:
            return None
        self._steps -= steps
        made: list[Operation] = jsonpatch.make_patch(before, after).patch
        return made if len(made) <= self._inside else None


def make_patch(before: Mapping[str, Json], after: Mapping[str, Json]) -> Patch:
    """See above. Takes at most about a second for contents of 5 MB each, and holds up whoever shares the interpreter:
    for a thread."""
    old, new, making = bare(before), bare(after), _Making()
    for name, value in old.items():
        path = "/" + escaped(name)
        if name not in new:
            making.operations.append({"op": "remove", "path": path})
        elif name in NAMING and isinstance(value, list) and isinstance(new[name], list):
            _change_list(making, name, value, new[name])
        else:
            making.change(path, value, new[name])
    making.operations.extend(
        {"op": "add", "path": "/" + escaped(name), "value": value} for name, value in new.items() if name not in old
    )
    return Patch(tuple(making.operations), tuple(making.coarse))


def _change_list(making: _Making, name: str, before: list[Json], after: list[Json]) -> None:
    """Elements in both by what changed inside of them, at the places they have; then those gone, the last one first,
    so that each still stands where it did; then those that are new."""
    found = match(name, before, after)
    if not found.both and before and after:
        making.operations.append({"op": "replace", "path": f"/{name}", "value": after})
        return
    for place, other in found.both:
        making.change(f"/{name}/{place}", before[place], after[other])
    making.operations.extend({"op": "remove", "path": f"/{name}/{place}"} for place in reversed(found.removed))
    making.operations.extend({"op": "add", "path": f"/{name}/-", "value": after[place]} for place in found.added)


def _below(path: str, operation: Operation) -> Operation:
    return {name: path + value if name in ("path", "from") else value for name, value in operation.items()}


def escaped(name: str) -> str:
    """A member's name as a pointer (RFC 6901) has it."""
    return name.replace("~", "~0").replace("/", "~1")


def _steps(before: Json, after: Json) -> int:
    """What jsonpatch takes at most, whichever lists it compares with each other: any with any other, so the longest of
    one value with all of the other."""
    weighed = [list(_weights(value, 1)) for value in (before, after)]
    values = sum(weight for weights in weighed for weight, _ in weights)
    (longest, items), (other_longest, other_items) = (
        (max((length for _, length in weights), default=0), sum(length for _, length in weights)) for weights in weighed
    )
    return STEPS_PER_VALUE * values + min(longest * other_items, other_longest * items)


def _weights(value: Json, lists: int) -> Iterator[tuple[int, int]]:
    """Of each value inside, how many times it is written out, and how long it is if it is a list."""
    if isinstance(value, dict):
        yield lists, 0
        for inner in value.values():
            yield from _weights(inner, lists)
    elif isinstance(value, list):
        yield lists, len(value)
        for inner in value:
            yield from _weights(inner, lists + 1)
    else:
        yield lists, 0
