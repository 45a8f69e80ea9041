"""Turns a dialect's template into one SQL expression that yields its text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby

from core.domain.templates import Form, Given, Hole, Part, Template

SHOWN = "/* shown */ ''::bytea"
"""Stands in a query where what a template shows goes."""

_FORMS = {
    Form.HEX_ID: "lpad(to_hex({column}), 24, '0')",
    Form.INSTANT: """to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')""",
    Form.JSON: "to_json({column})",
    Form.VALUE: "coalesce(to_json({column})::text, 'null')",
    Form.MICROSECONDS: r"""
        coalesce(to_char({column} AT TIME ZONE 'UTC', '\"YYYY-MM-DD"T"HH24:MI:SS.US"Z"\"'), 'null')""".strip(),
}


def showing(columns: Mapping[str, str]) -> Callable[[str, Template], str]:
    """What puts templates over these columns into statements; each pair of the two is put together once."""

    @cache
    def show(statement: str, template: Template) -> str:
        return statement.replace(SHOWN, compile_template(template, columns))

    return show


def compile_template(template: Template, columns: Mapping[str, str]) -> str:
    """An expression over the tables that `columns` name: what a template calls a column, and its SQL.

    It yields the JSON as bytes in UTF-8: cutting the brace off a text would count its characters one by one, which took
    ten times as long as all the rest. Raises KeyError for a column that is not offered. Nothing of a template comes
    from a caller.
    """
    return " || ".join(_bytes(run, columns) for run in _runs(template.parts))


def _runs(parts: Sequence[Part]) -> Iterator[Sequence[Part]]:
    """The parts in order, those that are text together, each object's members alone."""
    for are_members, group in groupby(parts, _are_members):
        run = list(group)
        yield from ([part] for part in run) if are_members else [run]


def _are_members(part: Part) -> bool:
    return isinstance(part, Hole) and part.form is Form.MEMBERS


def _bytes(run: Sequence[Part], columns: Mapping[str, str]) -> str:
    first = run[0]
    if isinstance(first, Hole) and first.form is Form.MEMBERS:
        return f"substr(convert_to({_value(first, columns)}::text, 'UTF8'), 2)"
    return f"convert_to({_concat(run, columns)}, 'UTF8')"


def _concat(parts: Sequence[Part], columns: Mapping[str, str]) -> str:
    return f"concat({', '.join(_text(part, columns) for part in parts)})"


def _text(part: Part, columns: Mapping[str, str]) -> str:
    if isinstance(part, str):
        return _quoted(part)
    if isinstance(part, Hole):
        return _FORMS[part.form].format(column=_value(part, columns))
    return f"CASE WHEN {_condition(part, columns[part.column])} THEN {_concat(part.parts, columns)} END"


def _value(hole: Hole, columns: Mapping[str, str]) -> str:
    column = columns[hole.column]
    return column if hole.absent is None else f"coalesce({column}, {_quoted(hole.absent)})"


def _condition(given: Given, column: str) -> str:
    if given.being is not None:
        return f"{column} = {_quoted(given.being)}"
    return f"{column} IS NOT NULL" if given.unlike is None else f"{column} <> {_quoted(given.unlike)}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
