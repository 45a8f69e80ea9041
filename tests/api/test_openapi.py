"""The OpenAPI documents: complete, valid, and of one mind with the schemas that requests are checked by.

That answers are as the documents say is checked on every answer of every test; see tests/support/conformance.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from jsonschema_rs import Draft202012Validator
from marshmallow import EXCLUDE, ValidationError, fields
from openapi_spec_validator import validate

from core.domain.access import Role
from schemas.forms import FORM
from service.dialects.patchworks.login import log_in_user
from service.documents import DOCUMENTED
from service.routes import ROUTES, Dialect, Route
from service.told import TOLD
from tests.api.cases import every, every_route, names_of
from tests.support.api import Api
from tests.support.conformance import check, document_of, route_of

Json = dict[str, Any]

every_dialect = pytest.mark.parametrize("dialect", DOCUMENTED, ids=lambda dialect: dialect.value)

SAMPLES: list[object] = [
    None, True, False, 0, 1, -1, 1.5, 10**20, "", "a", "asc", "cloud", "0" * 24, "F" * 24, "0" * 23, "0" * 25, "g" * 24,
    "x" * 64, "x" * 65, "x" * 255, "x" * 256, "x" * 1024, "x" * 1025, "x" * 32_767, "x" * 32_768, "\u00e4" * 255,
    [], [{}], [1], [[]], [None], [{}] * 100, [{}] * 101, {}, {"a": 1}, {"type": "x"}, [{"id": "a"}],
]  # fmt: skip
"""Values of every kind, and texts and lists at every bound there is."""


def operation_of(route: Route) -> Json:
    operation: Json = document_of(route.dialect.told_with)["paths"][route.path][route.method.lower()]
    return operation


@every_dialect
def test_a_document_is_valid(dialect: Dialect) -> None:
    document: Any = document_of(dialect)
    validate(document)


@every_dialect
def test_a_document_holds_the_routes_and_nothing_else(dialect: Dialect) -> None:
    document = document_of(dialect)
    told = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert told == {(route.method, route.path) for route in ROUTES if route.dialect.told_with is dialect}
    names = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    assert len(names) == len(set(names))


def test_every_entry_belongs_to_a_route() -> None:
    assert set(TOLD) == {route.handler for route in ROUTES}


@every_dialect
async def test_a_document_is_served_to_anybody_and_known_by_its_tag(anonymous: Api, dialect: Dialect) -> None:
    path = f"/openapi/{dialect.value}.json"
    first = await anonymous.get(path)
    assert (first.status, first.headers["Content-Type"]) == (200, "application/json")
    assert first.json == document_of(dialect)
    known = {"If-None-Match": first.headers["ETag"]}
    again = await anonymous.get(path, headers=known)
    assert (again.status, again.raw, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert (await anonymous.get(path, headers={"If-None-Match": '"another"'})).status == 200
    assert (await anonymous.send("HEAD", path)).status == 200
    assert (await anonymous.post(path)).status == 405


@every_route
def test_a_route_is_told_of_as_it_is(route: Route) -> None:
    operation = operation_of(route)
    assert operation["summary"]
    in_path = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"}
    assert in_path == set(names_of(route))
    in_query = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "query"}
    assert in_query == {field.data_key or name for name, field in route.query().fields.items()}
    assert ("requestBody" in operation) == (route.body is not None or route.is_file or route.is_raw)
    assert {"401", "500", "503", str(route.success)} <= set(operation["responses"])
    assert ("403" in operation["responses"]) == (not route.is_open)
    if route.body:
        (kind,) = operation["requestBody"]["content"]
        assert kind == (FORM if route.is_form else "application/json")


@every_route
def test_what_opens_a_route_is_told(route: Route) -> None:
    opens = operation_of(route)["security"]
    schemes = {scheme for entry in opens for scheme in entry}
    if route.is_open:
        assert opens == []
    else:
        refused = {"token"} if route.for_people else set()
        refused |= {"key"} if route.role is Role.ADMINISTRATOR else set()
        assert schemes == ({"token", "login", "key"} if route.dialect.takes_people else {"token"}) - refused
    assert schemes <= set(document_of(route.dialect.told_with)["components"]["securitySchemes"])
    if route.need and not route.for_people:
        assert {"token": [route.need.scope]} in opens
    if route.role:
        assert {"login": [route.role]} in opens


@every_route
def test_a_route_says_whether_it_counts_requests(route: Route) -> None:
    """Its headers are on every answer but to somebody unknown, who is counted for nobody; and promised on none."""
    responses = operation_of(route)["responses"]
    standing = {"X-RateLimit-Limit", "X-RateLimit-Remaining"}
    for status, response in responses.items():
        headers = response.get("headers", {})
        assert headers.keys() & standing == (standing if route.is_counted and status != "401" else set())
        assert not any(headers[name]["required"] for name in headers.keys() & standing)
    if "429" in responses:
        assert responses["429"]["headers"]["Retry-After"]["required"]
    assert ("429" in responses) == (route.is_counted or route.handler is log_in_user)


def schemas_in(value: object) -> Iterator[Json]:
    """Every schema that a parameter, a field or the entries of a list have."""
    if isinstance(value, list):
        for entry in value:
            yield from schemas_in(entry)
    if isinstance(value, dict):
        if isinstance(value.get("schema"), dict):
            yield value["schema"]
        yield from (shape for shape in value.get("properties", {}).values() if isinstance(shape, dict))
        for entry in value.values():
            yield from schemas_in(entry)


@every_dialect
def test_every_route_fields_says_what_kind_it_is(dialect: Dialect) -> None:
    """A kind of field that schemas/json_schema.py does not know would pass for one that takes anything."""
    found = list(schemas_in(document_of(dialect)))
    assert len(found) > 50
    for shape in found:
        assert shape.keys() & {"type", "$ref", "anyOf", "oneOf"}, shape


@every_dialect
def test_every_parameter_says_what_it_is_about(dialect: Dialect) -> None:
    operations = [operation for methods in document_of(dialect)["paths"].values() for operation in methods.values()]
    for operation in operations:
        for parameter in operation["parameters"]:
            assert parameter["description"].endswith("."), parameter


@every(lambda route: route.body)
def test_a_field_takes_what_its_description_admits_and_nothing_else(route: Route) -> None:
    """Value by value, for each field of each body."""
    assert route.body is not None
    document = document_of(route.dialect.told_with)
    (content,) = operation_of(route)["requestBody"]["content"].values()
    described = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
    schema = route.body()
    assert described.get("additionalProperties", True) == (schema.unknown == EXCLUDE), "an unknown key is refused"
    required = sorted(str(field.data_key or name) for name, field in schema.fields.items() if field.required)
    assert described.get("required", []) == required
    for name, field in schema.fields.items():
        shape = described["properties"][field.data_key or name]
        validator = Draft202012Validator({**shape, "components": document["components"]})
        for value in SAMPLES:
            assert validator.is_valid(value) == takes(field, value), (name, shape, value)


def takes(field: fields.Field[Any], value: object) -> bool:
    try:
        field.deserialize(value)
    except ValidationError:
        return False
    return True


def test_an_address_leads_to_the_route_the_router_would_find() -> None:
    """What decides which part of a document an answer is held against."""
    application, flow = "0" * 24, "1" * 24
    versions = f"/applications/{application}/flows/{flow}/versions"
    for method, path, ending in (
        ("POST", f"{versions}/delete", "/versions/delete"),
        ("POST", f"/{versions}/delete?dryRun=true", "/versions/delete"),
        ("GET", f"{versions}/delete", "/versions/{flowVersionId}"),
        ("GET", f"{versions}/a%2Fb", "/versions/{flowVersionId}"),
        ("GET", f"{versions}?page=0", "/versions"),
    ):
        route = route_of(method, path)
        assert route is not None
        assert route.path.endswith(ending)
    assert route_of("GET", "/healthz") is None
    assert route_of("PUT", versions) is None


GOOD: Json = {"removed": 1, "failed": 0}
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("status", "headers", "body", "fault"),
    [
        pytest.param(418, JSON, GOOD, "does not know", id="status"),
        pytest.param(200, {"Content-Type": "text/plain"}, GOOD, "as 'text/plain'", id="content type"),
        pytest.param(200, JSON, {"removed": 1}, "anyOf", id="field missing"),
        pytest.param(200, JSON, {**GOOD, "skipped": 0}, "anyOf", id="field unheard of"),
        pytest.param(200, JSON, {**GOOD, "failed": None}, "anyOf", id="null"),
        pytest.param(200, JSON, {**GOOD, "failed": -1}, "anyOf", id="out of bounds"),
        pytest.param(202, JSON, GOOD, "without", id="header missing"),
        pytest.param(404, JSON, {"message": "no"}, "is a required property", id="refusal without its type"),
    ],
)
def test_an_answer_that_is_not_as_told_is_noticed(status: int, headers: dict[str, str], body: Json, fault: str) -> None:
    """The control of the check that every answer goes through."""
    path = f"/applications/{'0' * 24}/flows/{'1' * 24}/versions/delete"
    check("POST", path, 200, JSON, orjson.dumps(GOOD))
    with pytest.raises(AssertionError, match=fault):
        check("POST", path, status, headers, orjson.dumps(body))
