"""Turns a parsed query into one SQL predicate over `flow_versions v` and its parameters.

Only here is SQL built from parts; every value a caller sent becomes a parameter, never text. Comparisons follow types:
a name is text, so a number or null equals no name and differs from every name.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from core.domain.identifiers import LARGEST_ID
from core.domain.query import Combination, Condition, Group, Node, Operand, Operator
from core.domain.versions import fold

_COMPARISONS = {
    Operator.EQ: "=",
    Operator.NE: "<>",
    Operator.GT: ">",
    Operator.LT: "<",
    Operator.GTE: ">=",
    Operator.LTE: "<=",
}
_NEGATIVE = (Operator.NE, Operator.NIN)
_JOINS = {Group.AND: " AND ", Group.OR: " OR ", Group.NOR: " OR "}


@dataclass(slots=True)
class Predicate:
    """SQL text and the parameters it refers to, numbered from `first`."""

    first: int
    parameters: list[object] = field(default_factory=list)
    sql: str = "TRUE"

    def place(self, value: object) -> str:
        """Adds a parameter and returns its placeholder."""
        self.parameters.append(value)
        return f"${self.first + len(self.parameters) - 1}"


def compile_query(query: Combination, *, first: int) -> Predicate:
    """The predicate of a query; its parameters start at `$first`."""
    predicate = Predicate(first)
    predicate.sql = _node(query, predicate)
    return predicate


def _node(node: Node, predicate: Predicate) -> str:
    if isinstance(node, Condition):
        return _CONDITIONS[node.field](node, predicate)
    if not node.members:
        return "FALSE" if node.group is Group.NOR else "TRUE"
    joined = "(" + _JOINS[node.group].join(_node(member, predicate) for member in node.members) + ")"
    return f"(NOT {joined})" if node.group is Group.NOR else joined


def _version(condition: Condition, predicate: Predicate) -> str:
    """The name of a version. The column is never null here, since the Draft is never matched."""
    column = "v.name_folded" if condition.ignore_case else "v.name"
    operator = condition.operator
    if isinstance(condition.operand, tuple):
        texts = [_text(entry, condition) for entry in condition.operand if isinstance(entry, str)]
        placeholder = predicate.place(texts)
        return f"{column} {'<> ALL' if operator is Operator.NIN else '= ANY'} ({placeholder}::text[])"
    if not isinstance(condition.operand, str):
        return _truth(operator in _NEGATIVE)
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
        return f"v.id {'<> ALL' if operator is Operator.NIN else '= ANY'} ({predicate.place(ids)}::bigint[])"
    if operand is None:
        return _truth(operator in _NEGATIVE)
    if not _exists(operand):
        return _truth(operator in (Operator.NE, Operator.LT, Operator.LTE))
    return f"v.id {_COMPARISONS[operator]} {predicate.place(operand)}::bigint"


def _exists(value: Operand) -> bool:
    return isinstance(value, int) and value <= LARGEST_ID


def _truth(value: bool) -> str:
    return "TRUE" if value else "FALSE"


_CONDITIONS = {"version": _version, "id": _id}
