"""Every answer a test gets, held against the OpenAPI documents that the API serves.

So the documents are checked with the answers of all states the tests bring about, and neither they nor the rendering
can move alone: an answer with a status, a field or a content type that is not written down fails its test, and so does
one without a field that is said to be always there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import orjson
from jsonschema_rs import Draft202012Validator

from service.openapi import describe
from service.routes import ROUTES, Dialect, Route

FREE = {"text/event-stream", "application/x-ndjson"}
"""Streams, of which the document says no more than their content type."""


def check(method: str, path: str, status: int, headers: Mapping[str, str], raw: bytes) -> None:
    """Fails unless the answer is one the document has for this operation; other addresses are nobody's promise."""
    route = route_of(method, path)
    if route is None:
        return
    where = f"{method} {route.path} answered {status}"
    responses = _operation(route.dialect.told_with, route.method, route.path)["responses"]
    assert str(status) in responses, f"{where}, which its document does not know: {raw[:300]!r}"
    response = responses[str(status)]
    promised = {name for name, header in response.get("headers", {}).items() if header["required"]}
    missing = {name for name in promised if name not in headers}
    assert not missing, f"{where} without {missing}"
    kinds = response.get("content")
    if kinds is None:
        assert not raw, f"{where} with a body"
        return
    kind = headers.get("Content-Type", "").partition(";")[0]
    assert kind in kinds, f"{where} as {kind!r}"
    if kind not in FREE:
        validator = _validator(route.dialect.told_with, route.method, route.path, str(status))
        fault = next(validator.iter_errors(orjson.loads(raw)), None)
        assert fault is None, f"{where} with {fault.instance_path}: {fault.message}"


def route_of(method: str, path: str) -> Route | None:
    """The route that a raw path leads to, as the router would have it: fixed parts before names."""
    plain = "/" + path.partition("?")[0].lstrip("/")
    found = [route for route in ROUTES if route.method == method and _pattern(route.path).fullmatch(plain)]
    return min(found, key=lambda route: route.path.count("{"), default=None)


def document_of(dialect: Dialect) -> dict[str, Any]:
    """The document of a dialect that has one of its own."""
    document: dict[str, Any] = orjson.loads(describe(dialect, "http://penstock.example").text)
    return document


@cache
def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)))


@cache
def _closed(dialect: Dialect) -> dict[str, Any]:
    """The document with no room for fields that it does not name."""
    document = document_of(dialect)
    for shape in document["components"]["schemas"].values():
        shape.setdefault("additionalProperties", False)
    return document


def _operation(dialect: Dialect, method: str, path: str) -> dict[str, Any]:
    operation: dict[str, Any] = _closed(dialect)["paths"][path][method.lower()]
    return operation


@cache
def _validator(dialect: Dialect, method: str, path: str, status: str) -> Draft202012Validator:
    schema = _operation(dialect, method, path)["responses"][status]["content"]["application/json"]["schema"]
    whole = {**schema, "components": _closed(dialect)["components"]}
    return Draft202012Validator(whole, validate_formats=True)
