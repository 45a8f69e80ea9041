"""How the shapes of answers are written down.

They are for the OpenAPI documents and the tests alone: answers are rendered by hand, which is faster and keeps the text
of bodies as it was sent. So that the two cannot part, the tests check every answer they get against these, and
refuse a field that is not written here as well as one that is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import EXCLUDE, INCLUDE, Schema, fields

Fields = Mapping[str, fields.Field[Any]]


class Answer(Schema):
    """Open to fields that later releases add: whoever reads an answer passes over what it does not know."""

    class Meta:
        unknown = EXCLUDE


def answer(name: str, always: Fields, sometimes: Fields | None = None) -> type[Schema]:
    """The shape of one answer under its name in the document; keys are those on the wire."""
    for field in always.values():
        field.required = True
    return Answer.from_dict({**always, **(sometimes or {})}, name=name)


class _Keyed(Schema):
    class Meta:
        unknown = INCLUDE


def keyed(name: str) -> type[Schema]:
    """The shape of an object whose keys are the caller's own."""
    return _Keyed.from_dict({}, name=name)


def dated() -> fields.Field[Any]:
    return fields.AwareDateTime()


def listed(shape: type[Schema]) -> fields.Field[Any]:
    return fields.List(fields.Nested(shape))


def number(*, least: int = 0) -> fields.Field[Any]:
    return fields.Integer(metadata={"minimum": least})


def one_of(*words: str) -> fields.Field[Any]:
    return fields.String(metadata={"enum": [*words]})


def true() -> fields.Field[Any]:
    return fields.Boolean(metadata={"enum": [True]})
