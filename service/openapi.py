"""What the API says of itself: an OpenAPI 3.1 document a dialect, made from the route table and its schemas.

Nothing here is about a single route; what there is to say about one stands in its row and in service/told.py.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

import orjson
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema, fields

from core.domain import errors
from schemas import login_answers, losant_answers, native_answers
from schemas.fields import Anything
from schemas.forms import FORM
from schemas.json_schema import json_schema
from service.parameters import IN_HEADERS, IN_PATH, IN_QUERY, OF_ANSWERS, TEXT, Json
from service.routes import ROUTES, Dialect, Route
from service.told import TOLD, Shape

_TITLES = {
    Dialect.LOSANT: ("Penstock: flows and versions", "The part of Losant's API that Penstock serves."),
    Dialect.PATCHWORKS: (
        "Penstock: flows and their versions",
        "The part of the Patchworks Core API that Penstock serves, and how to log in.",
    ),
    Dialect.NATIVE: ("Penstock: jobs, trash, the company and its audit trail", "What neither vendor's API has."),
}

_TOKEN = {"token": {"type": "http", "scheme": "bearer", "description": "An application's token."}}
_LOGIN = {
    "login": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "What POST /fabric/api/login or POST /oauth/token gave. Its list names the least role.",
    }
}
_KEY = {
    "key": {"type": "apiKey", "in": "header", "name": "Authorization", "description": "A company's API key as it is."}
}
_SECURITY: dict[Dialect, dict[str, Json]] = {
    Dialect.LOSANT: _TOKEN,
    Dialect.PATCHWORKS: _TOKEN | _LOGIN | _KEY,
    Dialect.NATIVE: _TOKEN | _LOGIN | _KEY,
}

_REFUSALS: dict[Dialect, Shape] = {
    Dialect.LOSANT: losant_answers.Refusal,
    Dialect.NATIVE: native_answers.Refusal,
    Dialect.PATCHWORKS: native_answers.Refusal,
    Dialect.OAUTH: login_answers.TokenRefusal,
}

_MEANINGS = {
    200: "Done.",
    201: "Created.",
    202: "Accepted: a job does it.",
    204: "There is nothing more to come.",
    304: "Not changed since.",
}
_FILE: Json = {"type": "object", "required": ["artifact", "signature", "statement"]}
"""What is verified before it is read has no further shape here."""

_INTERNAL = "Our mistake; nothing was written."

_UNKNOWN_CALLER = 401
"""The one answer to a request that was counted for nobody."""

Cause = type[errors.PenstockError]


@dataclass(frozen=True, slots=True)
class Document:
    """The text of one document, and the ETag made from it."""

    text: bytes
    etag: str


@cache
def describe(dialect: Dialect, public_url: str) -> Document:
    """The document of a dialect. Made once a process: it takes some 10 ms."""
    title, description = _TITLES[dialect]
    plugin = MarshmallowPlugin(schema_name_resolver=_component_name)
    spec = APISpec(
        title=title,
        version=version("penstock"),
        openapi_version="3.1.0",
        plugins=[plugin],
        info={"description": description, "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        servers=[{"url": public_url}],
    )
    assert plugin.converter is not None, "made together with the spec"
    plugin.converter.add_attribute_function(_field_of_ours)  # type: ignore[no-untyped-call]
    for name, scheme in _SECURITY[dialect].items():
        spec.components.security_scheme(name, scheme)
    for route in ROUTES:
        if route.dialect.told_with is dialect:
            spec.path(route.path, operations={route.method.lower(): _operation(route, plugin)})
    text = orjson.dumps(spec.to_dict())
    return Document(text, f'"{hashlib.sha256(text).hexdigest()[:32]}"')


def refusals_of(route: Route) -> dict[int, list[Cause]]:
    """Status -> what it can mean, for every refusal of a route: those of its own and those of any route like it."""
    conditions: dict[Cause, bool] = {
        errors.NotFound: "{" in route.path,
        # Losant declares it for every operation.
        errors.Invalid: route.dialect is Dialect.LOSANT or bool(route.query().fields) or _has_body(route),
        errors.TooLarge: _has_body(route),
        errors.Unauthenticated: not route.is_open,
        errors.Forbidden: not route.is_open,
        errors.TooManyRequests: route.is_counted,
        errors.PreconditionFailed: "If-Match" in TOLD[route.handler].reads,
        errors.IdempotencyMismatch: "Idempotency-Key" in TOLD[route.handler].reads,
    }
    usual: list[Cause] = [errors.Unavailable, errors.TooSlow]
    meant = [cause for cause, holds in conditions.items() if holds]
    found: dict[int, list[Cause]] = {}
    for cause in (*usual, *meant, *TOLD[route.handler].refuses):
        found.setdefault(route.dialect.render(cause()).status, []).append(cause)
    return found


def _operation(route: Route, plugin: MarshmallowPlugin) -> Json:
    resource, name = _names(route)
    operation: Json = {
        "operationId": name,
        "summary": TOLD[route.handler].summary,
        "tags": [resource],
        "security": _security(route),
        "parameters": [*_in_path(route), *_in_query(route, plugin), *_in_headers(route)],
        "responses": _responses(route),
    }
    if route.body:
        kind = FORM if route.is_form else "application/json"
        operation["requestBody"] = {"required": not route.is_optional, "content": {kind: {"schema": route.body}}}
    if route.is_file:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": _FILE}}}
    if route.is_raw:
        content = {"application/json": {"schema": json_schema(Anything())}, "text/plain": {"schema": TEXT}}
        operation["requestBody"] = {"required": False, "content": content}
    return operation


def _has_body(route: Route) -> bool:
    return route.body is not None or route.is_file or route.is_raw


def _security(route: Route) -> list[Json]:
    """What opens a route, each by itself, with the scope or the role it takes."""
    if route.is_open:
        return []
    taken = {"token": [route.need.scope] if route.need else [], "login": [str(route.role)] if route.role else []}
    refused = {"token": route.for_people, "key": not route.takes_keys}
    schemes = [scheme for scheme in _SECURITY[route.dialect] if not refused.get(scheme)]
    return [{scheme: taken.get(scheme, [])} for scheme in schemes]


def _names(route: Route) -> tuple[str, str]:
    """What an operation belongs to and what it is called: Losant's words where it is Losant's."""
    if route.dialect is Dialect.LOSANT and route.need:
        return route.need.scope.partition(".")[0], route.need.scope
    resource = route.handler.__module__.rpartition(".")[2]
    return resource, f"{resource}.{route.handler.__name__}"


def _in_path(route: Route) -> list[Json]:
    names = [part[1:-1] for part in route.path.split("/") if part.startswith("{")]
    return [_parameter("path", name, *IN_PATH[name]) for name in names]


def _in_query(route: Route, plugin: MarshmallowPlugin) -> list[Json]:
    assert plugin.converter is not None, "made together with the spec"
    found: list[Json] = plugin.converter.schema2parameters(route.query, location="query")
    return [{**parameter, **_written(parameter), "description": IN_QUERY[parameter["name"]]} for parameter in found]


def _written(parameter: Json) -> Json:
    """An object is written with its keys in brackets: `name[key]=value`."""
    return {"style": "deepObject", "explode": True} if parameter["schema"].get("type") == "object" else {}


def _in_headers(route: Route) -> list[Json]:
    return [_parameter("header", name, *IN_HEADERS[name]) for name in TOLD[route.handler].reads]


def _parameter(place: str, name: str, schema: Json, description: str) -> Json:
    return {"in": place, "name": name, "required": place == "path", "schema": schema, "description": description}


def _responses(route: Route) -> dict[str, Json]:
    told = TOLD[route.handler]
    shapes = {route.success: (told.shape,) if told.shape else (), **told.also}
    found = {status: _answer(status, among) for status, among in shapes.items()}
    if told.many:
        found[route.success]["content"] = {"application/json": {"schema": {"type": "array", "items": told.shape}}}
    if told.stream:
        found[route.success].setdefault("content", {})[told.stream] = {"schema": TEXT}
    if told.gives:
        found[route.success]["headers"] = {name: _header(name, required=True) for name in told.gives}
    found |= {status: _refusal(route.dialect, causes) for status, causes in refusals_of(route).items()}
    found[route.dialect.internal.status] = _refused(route.dialect, _INTERNAL)
    if route.is_counted:
        for status in found.keys() - {_UNKNOWN_CALLER}:
            found[status].setdefault("headers", {}).update(_standing())
    return {str(status): found[status] for status in sorted(found)}


def _answer(status: int, shapes: tuple[Shape, ...]) -> Json:
    if not shapes:
        return {"description": _MEANINGS[status]}
    schema = shapes[0] if len(shapes) == 1 else {"anyOf": [*shapes]}
    return {"description": _MEANINGS[status], "content": {"application/json": {"schema": schema}}}


def _refusal(dialect: Dialect, causes: list[Cause]) -> Json:
    sentences = dict.fromkeys((cause.__doc__ or "").partition("\n")[0].rstrip(".") + "." for cause in causes)
    refused = _refused(dialect, " ".join(sentences))
    if headers := _headers_of(dialect, causes):
        refused["headers"] = headers
    return refused


def _headers_of(dialect: Dialect, causes: list[Cause]) -> Json:
    """The headers of a refusal; those that only some of its causes give are not promised."""
    given = [dialect.render(cause()).headers for cause in causes]
    names = [name for name in OF_ANSWERS if any(name in headers for headers in given)]
    return {name: _header(name, required=all(name in headers for headers in given)) for name in names}


def _standing() -> Json:
    """There is none without a limit, or while nobody can count."""
    return {name: _header(name, required=False) for name in ("X-RateLimit-Limit", "X-RateLimit-Remaining")}


def _refused(dialect: Dialect, description: str) -> Json:
    return {"description": description, "content": {"application/json": {"schema": _REFUSALS[dialect]}}}


def _header(name: str, *, required: bool) -> Json:
    schema, description = OF_ANSWERS[name]
    return {"schema": schema, "description": description, "required": required}


def _field_of_ours(_: Any, field: fields.Field[Any], ret: Json) -> Json:
    """What apispec asks for each field; `ret` is what it has found out by itself."""
    return json_schema(field)


def _component_name(schema: Schema | Shape | str) -> str:
    """Bodies and answers go by the names of Losant's own schemas: FlowPost is flowPost."""
    kind = schema if isinstance(schema, str | type) else type(schema)
    name = kind if isinstance(kind, str) else kind.__name__
    return name[0].lower() + name[1:]
