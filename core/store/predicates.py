"""Turns a parsed query into one SQL predicate over `flow_versions v` and its parameters.

Only here is SQL built from parts; every value a caller sent becomes a parameter, never text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from core.domain.identifiers import LARGEST_ID
from core.domain.query import (
    Combination,
    Condition,
    Group,
    Match,
    Node,
    Operand,
    Operator,
    Selection,
    holds,
)
from core.domain.versions import fold

_COMPARISONS = {
    Operator.EQ: "=",
    Operator.NE: "<>",
    Operator.GT: ">",
    Operator.LT: "<",
    Operator.GTE: ">=",
    Operator.LTE: "<=",
}
_JOINS = {Group.AND: " AND ", Group.OR: " OR ", Group.NOR: " OR "}


@dataclass(slots=True)
class Predicate:
    """SQL text and the parameters it refers to, numbered from `first`.

    `constants` are fields with one value for every row, such as the flow's name: conditions on them are decided here.
    """

    first: int
    constants: Mapping[str, str | None]
    parameters: list[object] = field(default_factory=list)
    sql: str = "TRUE"

    def place(self, value: object) -> str:
        """Adds a parameter and returns its placeholder."""
        self.parameters.append(value)
        return f"${self.first + len(self.parameters) - 1}"


def compile_query(query: Combination, *, first: int, constants: Mapping[str, str | None]) -> Predicate:
    """The predicate of a query; its parameters start at `$first`."""
    predicate = Predicate(first, constants)
    predicate.sql = _node(query, predicate)
    return predicate


def compile_selection(selection: Selection, *, first: int, constants: Mapping[str, str | None]) -> Predicate:
    """The same for whatever a list is narrowed by."""
    if isinstance(selection, Combination):
        return compile_query(selection, first=first, constants=constants)
    predicate = Predicate(first, constants)
    parts = [_LIKE_SPECIAL.sub(r"\\\g<0>", part) for part in re.split(r"\*+", selection.text)]
    predicate.sql = f"v.name LIKE {predicate.place('%'.join(parts))}::text"
    return predicate


def _node(node: Node, predicate: Predicate) -> str:
    if isinstance(node, Match):
        return _match(node, predicate)
    if isinstance(node, Condition):
        if node.field in predicate.constants:
            return _truth(holds(node, predicate.constants[node.field]))
        return _CONDITIONS[node.field](node, predicate)
    if not node.members:
        return _truth(node.group is not Group.NOR)
    joined = "(" + _JOINS[node.group].join(_node(member, predicate) for member in node.members) + ")"
    return f"(NOT {joined})" if node.group is Group.NOR else joined


def _version(condition: Condition, predicate: Predicate) -> str:
    """The name of a version. The column is never null here, since the Draft is never matched."""
    column = "v.name_folded" if condition.ignore_case else "v.name"
    operator = condition.operator
    if isinstance(condition.operand, tuple):
        texts = [_text(entry, condition) for entry in condition.operand if isinstance(entry, str)]
        return _membership(column, operator, predicate.place(texts), "text")
    if not isinstance(condition.operand, str):
        return _truth(operator is Operator.NE)
    placeholder = predicate.place(_text(condition.operand, condition))
    if operator in _COMPARISONS:
        return f'{column} {_COMPARISONS[operator]} {placeholder}::text COLLATE "C"'
    if operator is Operator.STARTS_WITH:
        return f"starts_with({column}, {placeholder}::text)"
    if operator is Operator.ENDS_WITH:
        return f"right({column}, char_length({placeholder}::text)) = {placeholder}::text"
    return f"position({placeholder}::text IN {column}) > 0"


def _text(value: str, condition: Condition) -> str:
    return fold(value) if condition.ignore_case else value


def _id(condition: Condition, predicate: Predicate) -> str:
    """An id; one beyond the largest is greater than every id there is, and equals none."""
    operator, operand = condition.operator, condition.operand
    if isinstance(operand, tuple):
        ids = [entry for entry in operand if _exists(entry)]
        return _membership("v.id", operator, predicate.place(ids), "bigint")
    if operand is None:
        return _truth(operator is Operator.NE)
    if not _exists(operand):
        return _truth(operator in (Operator.NE, Operator.LT, Operator.LTE))
    return f"v.id {_COMPARISONS[operator]} {predicate.place(operand)}::bigint"


def _exists(value: Operand) -> bool:
    return isinstance(value, int) and value <= LARGEST_ID


def _date(condition: Condition, predicate: Predicate) -> str:
    """A date to the millisecond, as callers are shown it."""
    column = f"floor(extract(epoch FROM {_DATES[condition.field]}) * 1000)::bigint"
    operator, operand = condition.operator, condition.operand
    if isinstance(operand, tuple):
        moments = [entry for entry in operand if entry is not None]
        return _membership(column, operator, predicate.place(moments), "bigint")
    if operand is None:
        return _truth(operator is Operator.NE)
    return f"{column} {_COMPARISONS[operator]} {predicate.place(operand)}::bigint"


def _enabled(condition: Condition, predicate: Predicate) -> str:
    """A boolean; false comes before true."""
    operator, operand = condition.operator, condition.operand
    if isinstance(operand, tuple):
        flags = [entry for entry in operand if isinstance(entry, bool)]
        return _membership("v.enabled", operator, predicate.place(flags), "boolean")
    if not isinstance(operand, bool) or operator not in _COMPARISONS:
        return _truth(operator is Operator.NE)
    return f"v.enabled {_COMPARISONS[operator]} {predicate.place(operand)}::boolean"


def _match(match: Match, predicate: Predicate) -> str:
    """Whether some element of the body's list fits; config values are compared as JSON, so 1 equals 1.0."""
    tests = [f"e ->> 'type' = {predicate.place(match.type)}::text", "json_typeof(e -> 'type') = 'string'"]
    if match.key is not None:
        tests.append(f"e ->> 'key' = {predicate.place(match.key)}::text AND json_typeof(e -> 'key') = 'string'")
    for name, value in match.config:
        wanted = predicate.place(json.dumps(value))
        tests.append(f"(e -> 'config' -> {predicate.place(name)}::text)::jsonb = {wanted}::jsonb")
    found = f"EXISTS (SELECT FROM json_array_elements(v.body -> '{match.field}') AS e WHERE {' AND '.join(tests)})"
    return f"(NOT {found})" if match.negated else found


def _membership(column: str, operator: Operator, placeholder: str, kind: str) -> str:
    return f"{column} {'<> ALL' if operator is Operator.NIN else '= ANY'} ({placeholder}::{kind}[])"


def _truth(value: bool) -> str:
    return "TRUE" if value else "FALSE"


_LIKE_SPECIAL = re.compile(r"[\\%_]")
_DATES = {"creationDate": "v.created_at", "lastUpdated": "v.updated_at"}
_CONDITIONS: dict[str, Callable[[Condition, Predicate], str]] = {
    "version": _version,
    "id": _id,
    "creationDate": _date,
    "lastUpdated": _date,
    "enabled": _enabled,
}
