"""Each kind of field as JSON Schema: what the OpenAPI documents say of it, bounds included.

The kinds that marshmallow brings are known to apispec; these are ours. A test fails on one that is missing here, and
another compares what a field takes with what its description admits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from marshmallow import fields

from core.domain.cron import MOST_CRON_CHARACTERS
from core.domain.dispatch import MOST_METRICS
from schemas.fields import Anything, Count, Flag, HexId, Mapped, QueryFlag, Text, Word
from schemas.filters import BOUND, MOST_TEXT, Bound, Several
from schemas.lists import MOST_FILTER, MOST_TRIGGERS, TriggerFilter
from schemas.marketplace import Flaglike
from schemas.moments import PATTERN, Moment
from schemas.patchworks_lists import Names
from schemas.reports import LINE, LINE_TEXT, METRIC, METRIC_NAME, Line, Metrics
from schemas.schedules import CRON_PATTERN, CronString
from schemas.shapes import JsonText, ListOf, Number, OneOf, Record, Uri
from schemas.tallies import Milliseconds

HEX_ID = {"type": "string", "pattern": "^[0-9A-Fa-f]{24}$"}


def _text(field: Text) -> dict[str, Any]:
    least = {"minLength": field.least} if field.least else {}
    form = {"pattern": f"^(?:{field.form.pattern})$"} if field.form else {}
    return {"type": "string", **least, "maxLength": field.most, **form}


def _list(field: ListOf) -> dict[str, Any]:
    least = {"minItems": field.least} if field.least else {}
    most = {} if field.most is None else {"maxItems": field.most}
    return {"type": "array", "items": json_schema(field.of), **least, **most}


def _record(field: Record) -> dict[str, Any]:
    members = {name: json_schema(member) for name, member in field.members.items()}
    needed = {"required": field.needed} if field.needed else {}
    return {"type": "object", "properties": members, **needed, "additionalProperties": field.open}


def _one_of(field: OneOf) -> dict[str, Any]:
    """Several types can share one record, which is then said once."""
    records = {id(record): record for record in field.kinds.values()}
    return {"oneOf": [json_schema(record) for record in records.values()]}


def _number(field: Number) -> dict[str, Any]:
    bounds = {"minimum": field.least, "maximum": field.most, "enum": [*field.among] or None}
    said = {word: bound for word, bound in bounds.items() if bound is not None}
    return {"type": "integer" if field.whole else "number", **said}


def _names(field: Names) -> dict[str, Any]:
    """Nothing but commas where there is nothing to name."""
    sign = f"[{field.signs}]?" if field.signs else ""
    one = f"(?:{sign}(?:{'|'.join(field.names)}))?" if field.names else ""
    return {"type": "string", "maxLength": MOST_TEXT, "pattern": f"^{one}(?:,{one})*$", "default": ""}


_FILTERED = {"type": "string", "maxLength": MOST_FILTER}
_TRIGGER_FILTER = {
    "type": "object",
    "maxProperties": MOST_TRIGGERS,
    "propertyNames": {"pattern": "^[0-9]{1,9}$"},
    "additionalProperties": {
        "type": "object",
        "properties": {"type": _FILTERED, "key": _FILTERED},
        "additionalProperties": False,
    },
    "default": {},
}


def _metrics(_: Metrics) -> dict[str, Any]:
    names = {"minLength": METRIC_NAME.least, "maxLength": METRIC_NAME.most}
    numbers = json_schema(METRIC)
    return {"type": "object", "maxProperties": MOST_METRICS, "propertyNames": names, "additionalProperties": numbers}


_SHAPES: dict[type[fields.Field[Any]], Callable[[Any], dict[str, Any]]] = {
    Text: _text,
    Flag: lambda _: {"type": "boolean"},
    QueryFlag: lambda _: {"type": "boolean"},
    Count: lambda field: {"type": "integer", "minimum": field.least, "maximum": field.most},
    Milliseconds: lambda field: {"type": "integer", "minimum": field.least, "maximum": field.most},
    Word: lambda field: {"type": "string", "enum": [*field.words]},
    Several: lambda field: {"type": "string", "maxLength": MOST_TEXT, "pattern": field.pattern},
    Names: _names,
    HexId: lambda _: HEX_ID,
    Flaglike: lambda _: {
        "type": ["boolean", "integer", "string"],
        "enum": [True, False, 0, 1, "0", "1", "true", "false"],
    },
    ListOf: _list,
    Record: _record,
    OneOf: _one_of,
    Number: _number,
    JsonText: lambda field: {**_text(field), "contentMediaType": "application/json"},
    Uri: lambda field: {**_text(field), "format": "uri"},
    Bound: lambda _: {"type": "string", "pattern": f"^(?:{BOUND})?$"},
    Mapped: lambda _: {"type": "object"},
    TriggerFilter: lambda _: _TRIGGER_FILTER,
    Moment: lambda _: {"type": "string", "format": "date-time", "pattern": f"^{PATTERN}$"},
    CronString: lambda _: {"type": "string", "maxLength": MOST_CRON_CHARACTERS, "pattern": f"^{CRON_PATTERN}$"},
    Metrics: _metrics,
    Line: lambda _: {"anyOf": [json_schema(LINE_TEXT), json_schema(LINE)]},
    Anything: lambda _: {"type": ["string", "number", "boolean", "object", "array", "null"]},
}


def json_schema(field: fields.Field[Any]) -> dict[str, Any]:
    """What a field of ours takes; empty for a kind that is none of ours."""
    if type(field) not in _SHAPES:
        return {}
    shape = _SHAPES[type(field)](field)
    return _or_null(shape) if field.allow_none else shape


def _or_null(shape: dict[str, Any]) -> dict[str, Any]:
    kinds = [shape["type"]] if isinstance(shape["type"], str) else shape["type"]
    words = {"enum": [*shape["enum"], None]} if "enum" in shape else {}
    return {**shape, "type": [*dict.fromkeys([*kinds, "null"])], **words}
