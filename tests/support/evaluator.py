"""The query language read plainly, one row at a time: what the compiled SQL must agree with."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": operator.gt,
    "$lt": operator.lt,
    "$gte": operator.ge,
    "$lte": operator.le,
}
TEXT: dict[str, Callable[[str, str], bool]] = {
    "$startsWith": str.startswith,
    "$endsWith": str.endswith,
    "$contains": lambda name, part: part in name,
}


@dataclass(frozen=True)
class Row:
    """A thing as its language sees it. Each field stands in the one mapping that says how it is compared; None is a
    field that has no value. `contents` are what a flow has beside its develop content, which is `lists`."""

    ids: Mapping[str, int | None]
    fields: Mapping[str, str | bool | None]
    dates: Mapping[str, datetime | None]
    lists: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    contents: tuple[Mapping[str, list[dict[str, Any]]], ...] = ()

    @property
    def id(self) -> int:
        number = self.ids["id"]
        assert number is not None
        return number


def holds(query: Mapping[str, Any], row: Row) -> bool:
    return all(_part_holds(key, value, row) for key, value in query.items())


def holds_somewhere(query: Mapping[str, Any], row: Row) -> bool:
    """Whether a flow meets the query as it is, or would with another one of its contents."""
    return any(holds(query, replace(row, lists=lists)) for lists in (row.lists, *row.contents))


def _part_holds(key: str, value: Any, row: Row) -> bool:
    if key == "$and":
        return all(holds(one, row) for one in value)
    if key == "$or":
        return not value or any(holds(one, row) for one in value)
    if key == "$nor":
        return bool(value) and not any(holds(one, row) for one in value)
    if key in row.lists:
        wanted = value.get("$eq", value.get("$ne", value))
        return any(_fits(element, wanted) for element in row.lists[key]) != ("$ne" in value)
    rules = value if isinstance(value, dict) else {"$eq": value}
    if key in row.ids:
        return all(
            _number_holds(rule, operand, row.ids[key], lambda text: int(text, 16)) for rule, operand in rules.items()
        )
    if key in row.dates:
        moment = _shown(row.dates[key])
        return all(_number_holds(rule, operand, moment, _milliseconds) for rule, operand in rules.items())
    fold = str.casefold if rules.get("$ci") else str
    asked = [(rule, operand) for rule, operand in rules.items() if rule != "$ci"]
    return all(_scalar_holds(rule, operand, row.fields[key], fold) for rule, operand in asked)


def _shown(moment: datetime | None) -> int | None:
    return None if moment is None else math.floor(moment.timestamp() * 1000 + 1e-6)


def _number_holds(rule: str, operand: Any, number: int | None, read: Callable[[Any], int]) -> bool:
    """What has no number equals null alone, and is neither greater nor less than anything."""
    if rule in ("$in", "$nin"):
        return (number in [read(one) for one in operand if one is not None]) == (rule == "$in")
    other = None if operand is None else read(operand)
    if rule in COMPARE:
        return number is not None and other is not None and COMPARE[rule](number, other)
    return (number == other) == (rule == "$eq")


def _milliseconds(operand: Any) -> int:
    if isinstance(operand, (int, float)):
        return math.floor(operand)
    moment = datetime.fromisoformat(operand)
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round((aware - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1e6) // 1000


def _scalar_holds(rule: str, operand: Any, value: str | bool | None, fold: Callable[[str], str]) -> bool:
    """Types are kept apart: true is not 1, and nothing but a text begins with a text."""
    if rule in ("$in", "$nin"):
        return any(_equal(value, one, fold) for one in operand) == (rule == "$in")
    if rule in ("$eq", "$ne"):
        return _equal(value, operand, fold) == (rule == "$eq")
    if isinstance(value, bool) and isinstance(operand, bool):
        return rule in COMPARE and COMPARE[rule](value, operand)
    if not isinstance(value, str) or not isinstance(operand, str):
        return False
    if rule in TEXT:
        return TEXT[rule](fold(value), fold(operand))
    return COMPARE[rule](fold(value).encode(), fold(operand).encode())


def _equal(value: Any, other: Any, fold: Callable[[str], str]) -> bool:
    if isinstance(value, str) and isinstance(other, str):
        return fold(value) == fold(other)
    return type(value) is type(other) and value == other


def _fits(element: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    named = all(name in element and _same(element[name], wanted[name]) for name in ("type", "key") if name in wanted)
    asked = wanted.get("config", {})
    config = element.get("config")
    if not asked or not isinstance(config, dict):
        return named and not asked
    return named and all(name in config and _same(config[name], value) for name, value in asked.items())


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: 1 is 1.0, but true is not 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)
