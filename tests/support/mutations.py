"""A value as a JSON Schema wants it, and the same value with one thing wrong in it: for every place there is.

For the schemas of our own OpenAPI documents, so for the words that those use and no others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]
Wrong = tuple[str, Any]
"""The path of what is wrong, as refusals name it, and the whole value."""

SAMPLES: list[Any] = [None, True, "x", "1", "true", 1, 1.5, [], {}]
"""One value or two of each kind."""

FORMS = ["2026-01-01T00:00:00Z", "0" * 24, "1.2.3", "a", "data:image/png;base64,", "* * * * *"]
"""A text for every pattern there is."""

KNOWN = {
    "$ref", "type", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "items", "minItems", "maxItems",
    "properties", "required", "additionalProperties", "oneOf", "anyOf", "default", "description", "format",
    "contentMediaType", "propertyNames", "maxProperties",
}  # fmt: skip


class Shapes:
    """The schemas of one document, which may refer to one another."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._components = document["components"]["schemas"]

    def right(self, schema: Schema) -> Any:
        """The smallest value that fits, as far as a schema can say what fits."""
        schema = self._resolved(schema)
        for choice in ("oneOf", "anyOf"):
            if choice in schema:
                return self.right(schema[choice][0])
        if "enum" in schema:
            return schema["enum"][0]
        return self._smallest(schema, _kinds(schema)[0])

    def _smallest(self, schema: Schema, kind: str) -> Any:
        if kind == "object":
            return {name: self.right(schema["properties"][name]) for name in schema.get("required", [])}
        if kind == "array":
            return [self.right(schema["items"])] * schema.get("minItems", 0)
        if kind == "string":
            return _matching(schema) if "pattern" in schema else "1" * schema.get("minLength", 0)
        return {"boolean": True, "null": None}.get(kind, schema.get("minimum", 0))

    def wrong(self, schema: Schema, path: str = "") -> Iterator[Wrong]:
        """Every way to be wrong in one place: of another kind, out of bounds, without what is required, with too much;
        and the same of everything inside."""
        schema = self._resolved(schema)
        unknown = set(schema) - KNOWN
        assert not unknown, f"{path}: nothing is known about {unknown}"
        if "oneOf" in schema:
            for alternative in schema["oneOf"]:
                yield from self.wrong(alternative, path)
            return
        kinds = _kinds(schema)
        yield from ((path, value) for value in SAMPLES if kinds and not any(_is(value, kind) for kind in kinds))
        yield from ((path, value) for value in self._out_of_bounds(schema))
        if "object" in kinds:
            yield from self._wrong_inside(schema, path)
        if "items" in schema:
            yield from ((inner, [value]) for inner, value in self.wrong(schema["items"], f"{path}[0]"))

    def _wrong_inside(self, schema: Schema, path: str) -> Iterator[Wrong]:
        whole = self.right(schema)
        for name in schema.get("required", []):
            yield _member(path, name), {key: value for key, value in whole.items() if key != name}
        if schema.get("additionalProperties") is False:
            yield _member(path, "surprise"), {**whole, "surprise": 1}
        if isinstance(schema.get("additionalProperties"), dict):
            for inner, value in self.wrong(schema["additionalProperties"], _member(path, "any")):
                yield inner, {**whole, "any": value}
        for name, inside in schema.get("properties", {}).items():
            for inner, value in self.wrong(inside, _member(path, name)):
                yield inner, {**whole, name: value}

    def _out_of_bounds(self, schema: Schema) -> Iterator[Any]:
        if "enum" in schema:
            yield "nonsense"
        if "pattern" in schema:
            yield "\u0661" * 24
        if schema.get("minLength", 0) > 0:
            yield "1" * (schema["minLength"] - 1)
        if "maxLength" in schema:
            yield "1" * (schema["maxLength"] + 1)
        if "minimum" in schema:
            yield schema["minimum"] - 1
        if "maximum" in schema:
            yield schema["maximum"] + 1
        if "maxProperties" in schema:
            entry = self.right(schema["additionalProperties"])
            yield {str(place): entry for place in range(schema["maxProperties"] + 1)}
        if schema.get("minItems", 0) > 0:
            yield [self.right(schema["items"])] * (schema["minItems"] - 1)
        if "maxItems" in schema:
            yield [self.right(schema["items"])] * (schema["maxItems"] + 1)

    def _resolved(self, schema: Schema) -> Schema:
        while "$ref" in schema:
            schema = self._components[schema["$ref"].rpartition("/")[2]]
        return schema


def _kinds(schema: Schema) -> list[str]:
    """The kinds of value a schema names; none if it takes anything."""
    kinds = schema.get("type", [])
    return [kinds] if isinstance(kinds, str) else [*kinds]


def _is(value: Any, kind: str) -> bool:
    if kind == "null" or value is None:
        return kind == "null" and value is None
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _TYPES.get(kind, ()))


_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "array": (list,),
    "object": (dict,),
}


def _member(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _matching(schema: Schema) -> str:
    """One of the few forms that texts have here."""
    found = [form for form in FORMS if re.fullmatch(schema["pattern"], form)]
    assert found, f"say in FORMS what fits {schema['pattern']}"
    return found[0]
