"""Every field of every body, however deep inside: generated from the OpenAPI documents.

So what the documents say and what is checked are compared in what is sent. What only the checks know, such as the kind
of every top-level value there is, is in test_every_route_input.py.
"""

from __future__ import annotations

import pytest
from jsonschema_rs import Draft202012Validator

from core.domain.errors import Invalid
from schemas.fields import load
from service.routes import Route
from tests.api.cases import arrange, assert_invalid, assert_open, every_route_with_a_body
from tests.api.conftest import Ground
from tests.support.conformance import document_of
from tests.support.contents import unchanged
from tests.support.mutations import Shapes, Wrong


def wrong_bodies(route: Route) -> list[Wrong]:
    document = document_of(route.dialect.told_with)
    operation = document["paths"][route.path][route.method.lower()]
    return list(Shapes(document).wrong(operation["requestBody"]["content"]["application/json"]["schema"]))


@every_route_with_a_body
async def test_whatever_is_wrong_in_a_body_is_named(ground: Ground, route: Route) -> None:
    """One thing at a time, in a body that is the least there can be; one way to be wrong for each place there is."""
    arranged = await arrange(route, ground.owner)
    wrong = {path: body for path, body in wrong_bodies(route) if path}
    assert wrong
    async with unchanged(ground.database):
        for path, body in wrong.items():
            answer = await ground.opening(route).send(route.method, arranged.path(route), body)
            assert_invalid(route, answer, path)
            assert answer.json["message"].startswith(f"{path}: "), (body, answer.raw)
    await assert_open(ground, route, arranged)


@every_route_with_a_body
def test_every_way_to_be_wrong_is_refused_and_named(route: Route) -> None:
    """The same by the thousand, where bodies are checked."""
    assert route.body is not None
    schema = route.body()
    for path, body in wrong_bodies(route):
        if path:
            with pytest.raises(Invalid) as refused:
                load(schema, body)
            assert refused.value.path == path, body


SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 3},
        "count": {"type": "integer", "minimum": 0, "maximum": 9},
        "id": {"type": ["string", "null"], "pattern": "^[0-9A-Fa-f]{24}$"},
        "list": {"type": "array", "maxItems": 2, "items": {"oneOf": [{"$ref": "#/components/schemas/part"}]}},
    },
}
PART = {"type": "object", "required": ["type"], "properties": {"type": {"type": "string", "enum": ["a", "b"]}}}


def test_every_place_is_wrong_in_every_way() -> None:
    """The control: what is generated is wrong, what it begins with is right, and nothing is left out."""
    document = {"components": {"schemas": {"part": PART}}}
    shapes = Shapes(document)
    validator = Draft202012Validator({**SCHEMA, **document})
    assert validator.is_valid(shapes.right(SCHEMA))
    wrong = list(shapes.wrong(SCHEMA))
    assert not [value for _, value in wrong if validator.is_valid(value)]
    assert {path for path, _ in wrong} == {"", "name", "count", "id", "list", "list[0]", "list[0].type", "surprise"}
    for expected in (
        ("name", {}),
        ("name", {"name": ""}),
        ("name", {"name": "1111"}),
        ("name", {"name": 1}),
        ("count", {"name": "1", "count": -1}),
        ("count", {"name": "1", "count": 10}),
        ("list", {"name": "1", "list": [{"type": "a"}] * 3}),
        ("list[0].type", {"name": "1", "list": [{}]}),
        ("list[0].type", {"name": "1", "list": [{"type": "nonsense"}]}),
        ("surprise", {"name": "1", "surprise": 1}),
    ):
        assert expected in wrong, expected


@pytest.mark.parametrize("word", ["not", "allOf", "if"])
def test_a_word_that_is_not_understood_is_noticed(word: str) -> None:
    with pytest.raises(AssertionError, match="nothing is known"):
        list(Shapes({"components": {"schemas": {}}}).wrong({word: {}}))
