"""Losant's advanced query for versions: parsed, bounded, and turned into a small tree.

The language is that of contracts/losant.md 5. `core/store/predicates.py` compiles the tree to SQL. Several keys of one
object must all hold; without members `$and` and `$or` match everything, `$nor` nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from core.domain.documents import Json, member_path
from core.domain.errors import Invalid
from core.domain.identifiers import LARGEST_ID, is_hex_id

MOST_QUERY_DEPTH = 8
"""Groups inside groups, the query itself being the first. People write two or three."""

MOST_CONDITIONS = 200
"""Comparisons in one query; each is one SQL expression per row scanned."""

MOST_MEMBERS = 100
"""Members of one group and entries of one list: Losant's own bound."""

MOST_TEXT = 1024
"""Characters of one compared text; no name is longer than 255."""


class Group(StrEnum):
    AND = "$and"
    OR = "$or"
    NOR = "$nor"


class Operator(StrEnum):
    EQ = "$eq"
    NE = "$ne"
    GT = "$gt"
    LT = "$lt"
    GTE = "$gte"
    LTE = "$lte"
    IN = "$in"
    NIN = "$nin"
    STARTS_WITH = "$startsWith"
    ENDS_WITH = "$endsWith"
    CONTAINS = "$contains"


Scalar: TypeAlias = str | int | float | bool | None
Operand: TypeAlias = Scalar | tuple[Scalar, ...]

_LISTS = (Operator.IN, Operator.NIN)
_TEXTS = (Operator.STARTS_WITH, Operator.ENDS_WITH, Operator.CONTAINS)


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison. For `id` the operands are numbers, and LARGEST_ID + 1 stands for any id beyond."""

    field: str
    operator: Operator
    operand: Operand
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class Combination:
    group: Group
    members: tuple[Node, ...]


Node: TypeAlias = Condition | Combination


def parse_query(value: Json, path: str = "query") -> Combination:
    """The query as a tree. Raises Invalid naming the path of whatever is unknown, mistyped or out of bounds."""
    return _Parser().query(value, path, 1)


class _Parser:
    """Counts the conditions of one query while it reads it."""

    def __init__(self) -> None:
        self._conditions = 0

    def query(self, value: Json, path: str, depth: int) -> Combination:
        if not isinstance(value, dict):
            raise Invalid("must be an object", path)
        if depth > MOST_QUERY_DEPTH:
            raise Invalid(f"is nested more than {MOST_QUERY_DEPTH} deep", path)
        members: list[Node] = []
        for key, entry in value.items():
            at = member_path(path, key)
            if key in _GROUPS:
                members.append(self._group(_GROUPS[key], entry, at, depth))
            elif key in _FIELDS:
                members.extend(self._field(key, entry, at))
            else:
                raise Invalid(f"is not a field or operator here; there are {', '.join([*_FIELDS, *_GROUPS])}", at)
        return Combination(Group.AND, tuple(members))

    def _group(self, group: Group, value: Json, path: str, depth: int) -> Combination:
        entries = _bounded_list(value, path)
        members = tuple(self.query(entry, f"{path}[{index}]", depth + 1) for index, entry in enumerate(entries))
        return Combination(group, members)

    def _field(self, field: str, value: Json, path: str) -> list[Condition]:
        conditions = _FIELDS[field](field, value, path)
        self._conditions += len(conditions)
        if self._conditions > MOST_CONDITIONS:
            raise Invalid(f"the query has more than {MOST_CONDITIONS} conditions", path)
        return conditions


def _text_conditions(field: str, value: Json, path: str) -> list[Condition]:
    """A field that is compared as text: a plain value, or an object of one or more operators and `$ci`."""
    if not isinstance(value, dict):
        return [Condition(field, Operator.EQ, _scalar(value, path))]
    ignore_case = value.get("$ci", False)
    if not isinstance(ignore_case, bool):
        raise Invalid("must be true or false", f"{path}.$ci")
    conditions = [
        Condition(field, operator, _text_operand(operator, entry, at), ignore_case)
        for operator, entry, at in _operators(value, path)
    ]
    if not conditions:
        raise Invalid("must have at least one operator", path)
    return conditions


def _text_operand(operator: Operator, value: Json, path: str) -> Operand:
    if operator in _LISTS:
        return tuple(_member(entry, f"{path}[{index}]") for index, entry in enumerate(_bounded_list(value, path)))
    if operator in _TEXTS:
        if not isinstance(value, str) or not value:
            raise Invalid("must be text of at least one character", path)
        return _scalar(value, path)
    return _scalar(value, path)


def _id_conditions(field: str, value: Json, path: str) -> list[Condition]:
    """The field `id`: 24 hex digits or null, plain or under exactly one operator."""
    if not isinstance(value, dict):
        return [Condition(field, Operator.EQ, _id(value, path, nullable=True))]
    if len(value) != 1:
        raise Invalid("must have exactly one operator", path)
    operator, entry, at = next(iter(_operators(value, path)), (None, None, path))
    if operator is None or operator in _TEXTS:
        raise Invalid("an id has no such operator", member_path(path, next(iter(value))))
    if operator in _LISTS:
        entries = _bounded_list(entry, at)
        ids = tuple(_id(one, f"{at}[{index}]", nullable=False) for index, one in enumerate(entries))
        return [Condition(field, operator, ids)]
    return [Condition(field, operator, _id(entry, at, nullable=True))]


def _operators(value: Mapping[str, Json], path: str) -> list[tuple[Operator, Json, str]]:
    found = []
    for key, entry in value.items():
        if key == "$ci":
            continue
        if key not in _OPERATORS:
            raise Invalid(f"is not an operator; there are {', '.join(_OPERATORS)} and $ci", member_path(path, key))
        found.append((_OPERATORS[key], entry, f"{path}.{key}"))
    return found


def _bounded_list(value: Json, path: str) -> list[Json]:
    if not isinstance(value, list):
        raise Invalid("must be a list", path)
    if len(value) > MOST_MEMBERS:
        raise Invalid(f"must have at most {MOST_MEMBERS} entries", path)
    return value


def _scalar(value: Json, path: str) -> Scalar:
    if isinstance(value, (dict, list)):
        raise Invalid("must be a string, a number, true, false or null", path)
    if isinstance(value, str) and len(value) > MOST_TEXT:
        raise Invalid(f"must have at most {MOST_TEXT} characters", path)
    scalar: Scalar = value
    return scalar


def _member(value: Json, path: str) -> Scalar:
    if value is None:
        raise Invalid("must be a string, a number, true or false", path)
    return _scalar(value, path)


def _id(value: Json, path: str, *, nullable: bool) -> int | None:
    if value is None and nullable:
        return None
    if not isinstance(value, str) or not is_hex_id(value):
        raise Invalid("must be 24 hexadecimal digits" + (" or null" if nullable else ""), path)
    return min(int(value, 16), LARGEST_ID + 1)


_GROUPS = {group.value: group for group in Group}
_OPERATORS = {operator.value: operator for operator in Operator}
_FIELDS: dict[str, Callable[[str, Json, str], list[Condition]]] = {
    "version": _text_conditions,
    "id": _id_conditions,
}
