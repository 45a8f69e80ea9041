"""Turns a dialect's template into one SQL expression that yields its text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.domain.templates import Form, Given, Hole, Template

_FORMS = {
    Form.HEX_ID: "lpad(to_hex({column}), 24, '0')",
    Form.INSTANT: """to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')""",
    Form.JSON: "to_json({column})",
    Form.MEMBERS: "substr({column}::text, 2)",
}


def compile_template(template: Template, columns: Mapping[str, str]) -> str:
    """An expression over the tables that `columns` name: what a template calls a column, and its SQL.

    Raises KeyError for a column that is not offered. Nothing of a template comes from a caller.
    """
    return _concat(template.parts, columns)


def _concat(parts: Sequence[str | Hole | Given], columns: Mapping[str, str]) -> str:
    return f"concat({', '.join(_part(part, columns) for part in parts)})"


def _part(part: str | Hole | Given, columns: Mapping[str, str]) -> str:
    if isinstance(part, str):
        return _quoted(part)
    if isinstance(part, Hole):
        return _FORMS[part.form].format(column=columns[part.column])
    column = columns[part.column]
    condition = f"{column} IS NOT NULL" if part.being is None else f"{column} = {_quoted(part.being)}"
    return f"CASE WHEN {condition} THEN {_concat(part.parts, columns)} END"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
