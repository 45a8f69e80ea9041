"""Turns a parsed query into one SQL predicate and its parameters.

Only here is SQL built from parts; every value a caller sent becomes a parameter, never text. A predicate is never null,
so that it can stand under NOT.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from core.domain.identifiers import LARGEST_ID
from core.domain.languages import Kind
from core.domain.query import (
    Combination,
    Condition,
    Glob,
    Group,
    Match,
    Node,
    Operand,
    Operator,
    TriggerFilter,
    holds,
)
from core.domain.versions import fold
from core.store.subjects import VERSIONS, Place, Subject

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
    """SQL text about the rows of a subject, and the parameters it refers to, numbered from `first`.

    `constants` are fields with one value for every row, such as the flow's name: conditions on them are decided here.
    `joined` tells whether it refers to rows that a query about the subject may do without.
    """

    first: int
    constants: Mapping[str, str | None]
    subject: Subject
    parameters: list[object] = field(default_factory=list)
    sql: str = "TRUE"
    joined: bool = False

    def place(self, value: object) -> str:
        """Adds a parameter and returns its placeholder."""
        self.parameters.append(value)
        return f"${self.first + len(self.parameters) - 1}"

    def find(self, name: str) -> Place:
        """Where a field stands."""
        return self.refer(self.subject.places[name])

    def refer(self, place: Place) -> Place:
        """Remembers what this place takes."""
        self.joined = self.joined or place.joined
        return place


def compile_query(
    query: Node, *, first: int, constants: Mapping[str, str | None] | None = None, subject: Subject = VERSIONS
) -> Predicate:
    """The predicate of whatever a list is narrowed by; its parameters start at `$first`."""
    predicate = Predicate(first, {**subject.constants, **(constants or {})}, subject)
    predicate.sql = _node(query, predicate)
    return predicate


def widen_to_versions(predicate: Predicate) -> None:
    """Makes a predicate about flows hold for those, too, of which it would hold if the content of one of their
    versions were the develop content. The inner `v` hides the outer one, which is the Draft."""
    predicate.sql = (
        f"({predicate.sql} OR EXISTS (SELECT FROM flow_versions v WHERE v.flow_id = f.id"
        f" AND v.company_id = f.company_id AND v.status <> 'Draft' AND {predicate.sql}))"
    )


def _node(node: Node, predicate: Predicate) -> str:
    if isinstance(node, Combination):
        return _combination(node, predicate)
    if isinstance(node, Match):
        return _match(node, predicate)
    if isinstance(node, Glob):
        return _glob(node, predicate)
    if isinstance(node, TriggerFilter):
        return _trigger_filter(node, predicate)
    if node.field in predicate.constants:
        return _truth(holds(node, predicate.constants[node.field]))
    return _CONDITIONS[predicate.subject.language[node.field]](node, predicate)


def _combination(node: Combination, predicate: Predicate) -> str:
    if not node.members:
        return _truth(node.group is not Group.NOR)
    joined = "(" + _JOINS[node.group].join(_node(member, predicate) for member in node.members) + ")"
    return f"(NOT {joined})" if node.group is Group.NOR else joined


def _text(condition: Condition, predicate: Predicate) -> str:
    """A text; one that is shown as another word than is stored is decided word by word, here."""
    place = predicate.find(condition.field)
    if place.words is not None:
        fitting = [stored for stored, shown in place.words.items() if holds(condition, shown)]
        return f"{place.sql} = ANY ({predicate.place(fitting)}::text[])"
    column = place.folded if condition.ignore_case else place.sql
    operator, operand = condition.operator, condition.operand
    if isinstance(operand, tuple):
        texts = [_folded(entry, condition) for entry in operand if isinstance(entry, str)]
        return _settled(place, operator, _membership(column, operator, predicate.place(texts), "text"))
    if operand is None:
        return _absence(place, operator)
    if not isinstance(operand, str):
        return _truth(operator is Operator.NE)
    placeholder = predicate.place(_folded(operand, condition))
    return _settled(place, operator, _text_test(column, operator, placeholder))


def _text_test(column: str, operator: Operator, placeholder: str) -> str:
    if operator in _COMPARISONS:
        return f'{column} {_COMPARISONS[operator]} {placeholder}::text COLLATE "C"'
    if operator is Operator.STARTS_WITH:
        return f"starts_with({column}, {placeholder}::text)"
    if operator is Operator.ENDS_WITH:
        return f"right({column}, char_length({placeholder}::text)) = {placeholder}::text"
    return f"position({placeholder}::text IN {column}) > 0"


def _folded(value: str, condition: Condition) -> str:
    return fold(value) if condition.ignore_case else value


def _id(condition: Condition, predicate: Predicate) -> str:
    """An id; one beyond the largest is greater than every id there is, and equals none."""
    place = predicate.find(condition.field)
    operator, operand = condition.operator, condition.operand
    if isinstance(operand, tuple):
        ids = [entry for entry in operand if _exists(entry)]
        return _settled(place, operator, _membership(place.sql, operator, predicate.place(ids), "bigint"))
    if operand is None:
        return _absence(place, operator)
    if not _exists(operand):
        return _settled(place, operator, _beyond(place, operator))
    return _settled(place, operator, f"{place.sql} {_COMPARISONS[operator]} {predicate.place(operand)}::bigint")


def _exists(value: Operand) -> bool:
    return isinstance(value, int) and value <= LARGEST_ID


def _beyond(place: Place, operator: Operator) -> str:
    """The comparison with an id that is greater than all."""
    if operator in (Operator.LT, Operator.LTE):
        return f"{place.sql} IS NOT NULL" if place.nullable else "TRUE"
    return _truth(operator is Operator.NE)


def _date(condition: Condition, predicate: Predicate) -> str:
    """A date to the millisecond, as callers are shown it."""
    place = predicate.find(condition.field)
    column = f"floor(extract(epoch FROM {place.sql}) * 1000)::bigint"
    operator, operand = condition.operator, condition.operand
    if isinstance(operand, tuple):
        moments = [entry for entry in operand if entry is not None]
        return _settled(place, operator, _membership(column, operator, predicate.place(moments), "bigint"))
    if operand is None:
        return _absence(place, operator)
    return _settled(place, operator, f"{column} {_COMPARISONS[operator]} {predicate.place(operand)}::bigint")


def _absence(place: Place, operator: Operator) -> str:
    """The comparison with null: what is not there equals it, and is neither greater nor less."""
    if operator not in (Operator.EQ, Operator.NE):
        return "FALSE"
    if not place.nullable:
        return _truth(operator is Operator.NE)
    return f"{place.sql} IS {'NOT ' if operator is Operator.NE else ''}NULL"


def _settled(place: Place, operator: Operator, sql: str) -> str:
    """What SQL would leave open of a null column: it differs from every value, and nothing else holds of it."""
    if not place.nullable:
        return sql
    return f"coalesce({sql}, {_truth(operator in (Operator.NE, Operator.NIN))})"


def _flag(condition: Condition, predicate: Predicate) -> str:
    """A boolean; false comes before true."""
    place = predicate.find(condition.field)
    operator, operand = condition.operator, condition.operand
    if isinstance(operand, tuple):
        flags = [entry for entry in operand if isinstance(entry, bool)]
        return _membership(place.sql, operator, predicate.place(flags), "boolean")
    if not isinstance(operand, bool) or operator not in _COMPARISONS:
        return _truth(operator is Operator.NE)
    return f"{place.sql} {_COMPARISONS[operator]} {predicate.place(operand)}::boolean"


def _match(match: Match, predicate: Predicate) -> str:
    """Whether some element of the body's list fits; config values are compared as JSON, so 1 equals 1.0."""
    tests = _named("type", match.type, predicate) + _named("key", match.key, predicate)
    for name, value in match.config:
        wanted = predicate.place(json.dumps(value))
        tests.append(f"(e -> 'config' -> {predicate.place(name)}::text)::jsonb = {wanted}::jsonb")
    elements = predicate.find(match.field).sql
    found = f"EXISTS (SELECT FROM json_array_elements({elements}) AS e WHERE {' AND '.join(tests)})"
    return f"(NOT {found})" if match.negated else found


def _trigger_filter(wanted: TriggerFilter, predicate: Predicate) -> str:
    fitting = [
        " AND ".join(_named("type", kind, predicate) + _named("key", key, predicate)) or "TRUE"
        for kind, key in wanted.wanted
    ]
    assert predicate.subject.default_triggers is not None, "only lists of flows and of namesakes are filtered so"
    elements = predicate.refer(predicate.subject.default_triggers).sql
    return f"EXISTS (SELECT FROM json_array_elements({elements}) AS e WHERE ({') OR ('.join(fitting)}))"


def _named(name: str, wanted: str | None, predicate: Predicate) -> list[str]:
    """The tests that member `name` of an element is this very text; none if nothing is wanted of it."""
    if wanted is None:
        return []
    return [f"e ->> '{name}' = {predicate.place(wanted)}::text", f"json_typeof(e -> '{name}') = 'string'"]


def _glob(glob: Glob, predicate: Predicate) -> str:
    parts = [_LIKE_SPECIAL.sub(r"\\\g<0>", part) for part in re.split(r"\*+", glob.text)]
    return f"{predicate.find(glob.field).sql} LIKE {predicate.place('%'.join(parts))}::text"


def _membership(column: str, operator: Operator, placeholder: str, kind: str) -> str:
    return f"{column} {'<> ALL' if operator is Operator.NIN else '= ANY'} ({placeholder}::{kind}[])"


def _truth(value: bool) -> str:
    return "TRUE" if value else "FALSE"


_LIKE_SPECIAL = re.compile(r"[\\%_]")
_CONDITIONS: dict[Kind, Callable[[Condition, Predicate], str]] = {
    Kind.TEXT: _text,
    Kind.FLAG: _flag,
    Kind.ID: _id,
    Kind.DATE: _date,
}
