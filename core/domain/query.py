"""Losant's advanced query: parsed, bounded, and turned into a small tree.

One language for all lists; which fields there are is a table in `languages.py`. `core/store/predicates.py` compiles the
tree to SQL. Several keys of one object must all hold; without members `$and` and `$or` match everything, `$nor`
nothing. Comparisons follow types, and null equals what is not there: a number equals no name, and differs from every
name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

from core.domain.documents import Json, member_path
from core.domain.errors import Invalid
from core.domain.identifiers import LARGEST_ID, is_hex_id
from core.domain.languages import VERSIONS, Kind, Language

MOST_QUERY_DEPTH = 8
"""Groups inside groups, the query itself being the first. People write two or three."""

MOST_CONDITIONS = 200
"""Comparisons in one query; each is one SQL expression per row scanned."""

MOST_MEMBERS = 100
"""Members of one group and entries of one list: Losant's own bound."""

MOST_TEXT = 1024
"""Characters of one compared text; no name is longer than 255."""

MOST_TYPE = 255
"""Characters of a trigger's or node's type, and of a key."""

MOST_DATE = 40
"""Characters of a date; ISO 8601 with a zone and nanoseconds has 35."""

FAR_MILLISECONDS = 2**62
"""Beyond every date there is, and still a bigint."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEY = re.compile(r"[0-9a-zA-Z_-]{1,255}", re.ASCII)
_KEY_RULE = "must be 1 to 255 letters, digits, underscores or hyphens"


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
    """One comparison. For ids the operands are numbers, and LARGEST_ID + 1 stands for any id beyond; for dates they
    are whole milliseconds since 1970."""

    field: str
    operator: Operator
    operand: Operand
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """Whether some trigger or node has this type and, where given, this key and these values in its config."""

    field: str
    type: str
    key: str | None
    config: tuple[tuple[str, Scalar], ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class Combination:
    group: Group
    members: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Glob:
    """Losant's `filter`: the whole name, where `*` is any text and everything else is itself, in this very case."""

    text: str
    field: str = "version"


@dataclass(frozen=True, slots=True)
class TriggerFilter:
    """Losant's `triggerFilter`: whether what a flow runs by default, else its develop content, has a trigger that fits
    one of these pairs of a type and a key. None fits any."""

    wanted: tuple[tuple[str | None, str | None], ...]


Node: TypeAlias = Condition | Match | Combination | Glob | TriggerFilter

Selection: TypeAlias = Combination | Glob
"""What a list is narrowed by: a query, or the parameters that stand in for one."""

EVERYTHING = Combination(Group.AND, ())


def parts_of(node: Node) -> Iterator[Condition | Match | Glob | TriggerFilter]:
    """Everything a tree asks, without the groups it stands in."""
    if not isinstance(node, Combination):
        yield node
        return
    for member in node.members:
        yield from parts_of(member)


def parse_query(value: Json, path: str = "query", *, language: Language = VERSIONS) -> Combination:
    """The query as a tree. Raises Invalid naming the path of whatever is unknown, mistyped or out of bounds."""
    return _Parser(language).query(value, path, 1)


class _Parser:
    """Counts the conditions of one query while it reads it."""

    def __init__(self, language: Language) -> None:
        self._language = language
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
            elif key in self._language:
                members.extend(self._field(key, entry, at))
            else:
                known = ", ".join([*self._language, *_GROUPS])
                raise Invalid(f"is not a field or operator here; there are {known}", at)
        return Combination(Group.AND, tuple(members))

    def _group(self, group: Group, value: Json, path: str, depth: int) -> Combination:
        entries = _bounded_list(value, path)
        members = tuple(self.query(entry, f"{path}[{index}]", depth + 1) for index, entry in enumerate(entries))
        return Combination(group, members)

    def _field(self, field: str, value: Json, path: str) -> Sequence[Condition | Match]:
        conditions = _READERS[self._language[field]](field, value, path)
        self._conditions += sum(1 + len(one.config) if isinstance(one, Match) else 1 for one in conditions)
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
    """An id: 24 hex digits or null, plain or under exactly one operator."""
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


def _date_conditions(field: str, value: Json, path: str) -> list[Condition]:
    """A date: ISO 8601 text, taken for UTC without a zone, or milliseconds since 1970; plain or under operators."""
    if not isinstance(value, dict):
        return [Condition(field, Operator.EQ, _date(value, path))]
    conditions = []
    for operator, entry, at in _operators(value, path):
        if operator in _TEXTS:
            raise Invalid("a date has no such operator", at)
        if operator in _LISTS:
            entries = _bounded_list(entry, at)
            dates = tuple(_date(one, f"{at}[{index}]") for index, one in enumerate(entries))
            conditions.append(Condition(field, operator, dates))
        else:
            conditions.append(Condition(field, operator, _date(entry, at)))
    if not conditions:
        raise Invalid("must have at least one operator", path)
    return conditions


def _date(value: Json, path: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return max(-FAR_MILLISECONDS, min(math.floor(value), FAR_MILLISECONDS))
    if isinstance(value, str) and len(value) <= MOST_DATE and value.isascii():
        with suppress(ValueError):
            moment = datetime.fromisoformat(value)
            aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return (aware - _EPOCH) // timedelta(milliseconds=1)
    raise Invalid("must be a date in ISO 8601 or in milliseconds since 1970", path)


def _match_conditions(field: str, value: Json, path: str) -> list[Match]:
    """`{type, key?, config?}`, plain or under exactly one of `$eq` and `$ne`."""
    if not isinstance(value, dict):
        raise Invalid("must be an object with a type", path)
    operators = [key for key in value if key.startswith("$")]
    if not operators:
        return [_match(field, value, path, negated=False)]
    if len(value) != 1 or operators[0] not in (Operator.EQ, Operator.NE):
        raise Invalid("must have exactly one operator, $eq or $ne", path)
    inner, at = value[operators[0]], f"{path}.{operators[0]}"
    if not isinstance(inner, dict):
        raise Invalid("must be an object with a type", at)
    return [_match(field, inner, at, negated=operators[0] == Operator.NE)]


def _match(field: str, value: Mapping[str, Json], path: str, *, negated: bool) -> Match:
    allowed = ("type", "key", "config") if field == "triggers" else ("type", "config")
    for name in value:
        if name not in allowed:
            raise Invalid(f"is not known here; there are {', '.join(allowed)}", member_path(path, name))
    kind, key, config = value.get("type"), value.get("key"), value.get("config", {})
    if not isinstance(kind, str) or len(kind) > MOST_TYPE:
        raise Invalid(f"must be text of at most {MOST_TYPE} characters", f"{path}.type")
    if "key" in value and not (isinstance(key, str) and _KEY.fullmatch(key)):
        raise Invalid(_KEY_RULE, f"{path}.key")
    if not isinstance(config, dict):
        raise Invalid("must be an object", f"{path}.config")
    for name, entry in config.items():
        if not _KEY.fullmatch(name):
            raise Invalid(_KEY_RULE, member_path(f"{path}.config", name))
        _scalar(entry, member_path(f"{path}.config", name))
    return Match(field, kind, key, tuple(config.items()), negated)


def holds(condition: Condition, value: str | None) -> bool:
    """Whether a text that is the same for every row meets the condition; such conditions never reach the database."""
    operator, operand = condition.operator, condition.operand
    fold = str.casefold if condition.ignore_case else str
    if isinstance(operand, tuple):
        texts = [fold(one) for one in operand if isinstance(one, str)]
        return (value is not None and fold(value) in texts) == (operator is Operator.IN)
    if operand is None:
        return (value is None) == (operator is Operator.EQ) and operator in (Operator.EQ, Operator.NE)
    if not isinstance(operand, str) or value is None:
        return operator is Operator.NE
    return _COMPARE[operator](fold(value), fold(operand))


_COMPARE: dict[Operator, Callable[[str, str], bool]] = {
    Operator.EQ: lambda left, right: left == right,
    Operator.NE: lambda left, right: left != right,
    # As PostgreSQL compares under the collation "C": by the bytes of UTF-8.
    Operator.GT: lambda left, right: left.encode() > right.encode(),
    Operator.LT: lambda left, right: left.encode() < right.encode(),
    Operator.GTE: lambda left, right: left.encode() >= right.encode(),
    Operator.LTE: lambda left, right: left.encode() <= right.encode(),
    Operator.STARTS_WITH: str.startswith,
    Operator.ENDS_WITH: str.endswith,
    Operator.CONTAINS: lambda left, right: right in left,
}

_GROUPS = {group.value: group for group in Group}
_OPERATORS = {operator.value: operator for operator in Operator}
_READERS: dict[Kind, Callable[[str, Json, str], Sequence[Condition | Match]]] = {
    Kind.TEXT: _text_conditions,
    Kind.FLAG: _text_conditions,
    Kind.ID: _id_conditions,
    Kind.DATE: _date_conditions,
    Kind.TRIGGERS: _match_conditions,
    Kind.NODES: _match_conditions,
}
