"""Request bodies: what we take is what the contract's JSON Schemas take, shape for shape and body for body.

Patterns are read as the contract's own language, ECMAScript, reads them: digits are ASCII, and `$` is the very end.
Where we differ on purpose, always by refusing more:

- `json` of a global must be JSON, of which the schema says nothing.
- `minimumAgentVersion` has at most 64 characters.
- Texts without NUL, numbers that are finite, no key twice: refused before a schema is asked
  (tests/unit/test_documents.py).
- Where links lead, and what a flow's class allows (tests/unit/test_wiring.py).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator, FormatChecker, ValidationError
from jsonschema.validators import extend
from marshmallow import Schema, fields

from core.domain.documents import parse_document
from core.domain.errors import Invalid
from core.domain.flow_classes import check_class
from schemas.contents import TRIGGER
from schemas.fields import Flag, HexId, Mapped, Text, Word, load
from schemas.losant import FlowPatch, FlowPost, FlowVersionPatch, FlowVersionPost, content_of
from schemas.shapes import ListOf, Number, OneOf, Record, Uri
from tests.support.bodies import TEMPTING, bodies_or_not, judged, trigger_or_not

FOLDER = Path(os.environ["PENSTOCK_CONTRACTS"])

BODIES: dict[str, type[Schema]] = {
    "flowPost": FlowPost,
    "flowPatch": FlowPatch,
    "flowVersionPost": FlowVersionPost,
    "flowVersionPatch": FlowVersionPatch,
}

every_body = pytest.mark.parametrize("name", BODIES)


def read(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_bytes())


# Shape for shape


@every_body
def test_our_table_says_what_the_schema_says(name: str) -> None:
    contract = read(name)
    known = {str(field.data_key or key): judged(field) for key, field in BODIES[name]().fields.items()}
    compare_members(Record(known), contract, name)


def compare(field: fields.Field[Any], contract: dict[str, Any], path: str) -> None:
    if isinstance(field, OneOf):
        compare_kinds(field, contract["oneOf"], path)
        return
    alternatives = contract.get("oneOf", [contract])
    assert ({"type": "null"} in alternatives) == field.allow_none, path
    plain, *others = [one for one in alternatives if one != {"type": "null"}]
    assert others in ([], [{"type": "string", "enum": [""]}]), path
    if isinstance(field, Record):
        compare_members(field, plain, path)
    elif isinstance(field, ListOf):
        assert (plain["type"], plain.get("minItems", 0), plain.get("maxItems")) == ("array", field.least, field.most)
        compare(field.of, plain["items"], f"{path}[]")
    else:
        assert plain == said(field, plain, empty=bool(others)), path


def compare_members(record: Record, contract: dict[str, Any], path: str) -> None:
    assert contract["type"] == "object"
    assert set(contract.get("properties", {})) == set(record.members), path
    assert set(contract.get("required", [])) == set(record.needed), path
    assert contract.get("additionalProperties", True) == record.open, path
    for name, member in record.members.items():
        compare(member, contract["properties"][name], f"{path}.{name}")


def compare_kinds(field: OneOf, contracts: list[dict[str, Any]], path: str) -> None:
    kinds = [(kind, contract) for contract in contracts for kind in contract["properties"]["type"]["enum"]]
    assert sorted(kind for kind, _ in kinds) == sorted(field.kinds), path
    for kind, contract in kinds:
        compare(field.kinds[kind], contract, f"{path}<{kind}>")


def said(field: fields.Field[Any], contract: dict[str, Any], *, empty: bool) -> dict[str, Any]:
    """What a field that holds no others says, in the words of JSON Schema."""
    if isinstance(field, Mapped):
        return {"type": "object"}
    if isinstance(field, Flag):
        return {"type": "boolean"}
    if isinstance(field, HexId):
        return {"type": "string", "pattern": r"^[A-Fa-f\d]{24}$"}
    if isinstance(field, Word):
        assert sorted(contract["enum"]) == sorted(field.words)
        return {"type": "string", "enum": contract["enum"]}
    if isinstance(field, Number):
        bounds = {"minimum": field.least, "maximum": field.most, "enum": list(field.among) or None}
        found = {"type": "integer" if field.whole else "number", **bounds}
        return {name: value for name, value in found.items() if value is not None}
    assert isinstance(field, Text)
    return {"type": "string", **said_of_text(field, contract, empty=empty)}


def said_of_text(field: Text, contract: dict[str, Any], *, empty: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"format": "uri"} if isinstance(field, Uri) else {}
    if "pattern" in contract:
        assert field.form is not None
        assert field.form.matches("") == empty
        found["pattern"] = contract["pattern"]  # how it matches is for the bodies below
        if "maxLength" not in contract:
            return found
    assert (field.form is None) == ("pattern" not in contract)
    if field.least:
        found["minLength"] = field.least
    return {**found, "maxLength": field.most}


# Body for body


def ecma_pattern(_: Any, pattern: str, instance: Any, __: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not re.search(pattern.replace("$", r"\Z"), instance, re.ASCII):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


Contract = extend(Draft7Validator, {"pattern": ecma_pattern})
VALIDATORS = {name: Contract(read(name), format_checker=FormatChecker()) for name in BODIES}
SCHEMAS = {name: schema() for name, schema in BODIES.items()}


def ours(name: str, body: dict[str, Any]) -> str | None:
    """Why we refuse a body; None if we take it."""
    try:
        load(SCHEMAS[name], parse_document(json.dumps(body).encode()).value)
    except Invalid as refusal:
        return refusal.message
    return None


def theirs(name: str, body: dict[str, Any]) -> str | None:
    error = next(VALIDATORS[name].iter_errors(body), None)
    return None if error is None else f"{list(error.absolute_path)}: {error.message}"


STRICTER = ("].json: must be JSON text", "minimumAgentVersion: Length must be between 0 and 64.")
"""The refusals that the head of this file lists."""


def assert_agreed(name: str, body: dict[str, Any]) -> None:
    mine, contract = ours(name, body), theirs(name, body)
    if mine is not None and contract is None:
        assert mine.endswith(STRICTER), mine
    else:
        assert (mine is None) == (contract is None), f"ours: {mine}; the contract's: {contract}"


@every_body
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_our_verdict_is_the_contracts(name: str, data: st.DataObject) -> None:
    assert_agreed(name, data.draw(bodies_or_not(BODIES[name])))


@pytest.mark.parametrize("kind", sorted(TRIGGER.kinds))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_our_verdict_on_each_kind_of_trigger_is_the_contracts(kind: str, data: st.DataObject) -> None:
    """Each type gets its share, which it would not among all bodies there are."""
    trigger = data.draw(trigger_or_not(kind))
    assert_agreed("flowPatch", {"triggers": [trigger]})


def places(contract: dict[str, Any]) -> list[tuple[list[Any], dict[str, Any]]]:
    """Every place the contract has a schema for, each as its path in a body that reaches it, and that schema."""
    found: list[tuple[list[Any], dict[str, Any]]] = [([], contract)]
    for alternative in contract.get("oneOf", []):
        kinds = alternative.get("properties", {}).get("type", {}).get("enum", [None])
        found += [([("type", kind), *path], schema) for kind in kinds for path, schema in places(alternative)]
    for name, member in contract.get("properties", {}).items():
        found += [([name, *path], schema) for path, schema in places(member)]
    if "items" in contract:
        found += [([0, *path], schema) for path, schema in places(contract["items"])]
    return found


def build(path: list[Any], value: Any) -> Any:
    """The smallest body in which `value` stands at `path`."""
    if not path:
        return value
    step, *rest = path
    if isinstance(step, tuple):
        inner = build(rest, value)
        return {"type": step[1], **inner} if isinstance(inner, dict) and step[1] else inner
    return [build(rest, value)] if step == 0 else {step: build(rest, value)}


NEEDED = {
    "flowPost": {"name": "x"},
    "flowPatch": {},
    "flowVersionPost": {"version": "x"},
    "flowVersionPatch": {},
}


ENTRIES: list[Any] = ["device", "cloud", 1, {}, []]


def candidates(schema: dict[str, Any]) -> list[Any]:
    """Values around every bound of a schema, and everything else that tempts."""
    found = [*TEMPTING, *schema.get("enum", [])]
    for bound in ("minLength", "maxLength"):
        if bound in schema:
            found += ["x" * (schema[bound] + step) for step in (-1, 0, 1) if schema[bound] + step >= 0]
    for bound in ("minimum", "maximum"):
        if bound in schema:
            found += [schema[bound] + step for step in (-1, 0, 0.0, 0.5, 1)]
    for bound in ("minItems", "maxItems"):
        if bound in schema:
            sizes = [schema[bound] + step for step in (-1, 0, 1) if schema[bound] + step >= 0]
            found += [[entry] * size for size in sizes for entry in ENTRIES]
    return found


@every_body
def test_every_place_of_the_contract_draws_the_same_line(name: str) -> None:
    """A bound of the contract that no test meets would be one we could miss. What is said alike is tried once: that
    it is said in the right places is for the comparison above."""
    tried = set()
    for path, schema in places(read(name)):
        if not path or (told := json.dumps(schema)) in tried:
            continue
        tried.add(told)
        for value in candidates(schema):
            body = build(path, value)
            assert_agreed(name, {**NEEDED[name], **(body if isinstance(body, dict) else {})})
    assert len(tried) >= (2 if name == "flowVersionPatch" else 100)


def test_the_contracts_examples_pass() -> None:
    examples = read("apiExamples")
    for name in BODIES:
        assert ours(name, examples[name]) is None
        content = content_of(parse_document(json.dumps(examples[name]).encode()))
        assert content.outline is not None
        check_class(content.outline, "cloud")
