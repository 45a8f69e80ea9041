"""The way of a query from bytes to a tree, and what must be true of it whatever the bytes are."""

from __future__ import annotations

import json

import orjson

from core.domain.documents import Json, parse_json
from core.domain.errors import Invalid
from core.domain.query import (
    MOST_CONDITIONS,
    MOST_MEMBERS,
    MOST_QUERY_DEPTH,
    MOST_TEXT,
    Combination,
    Condition,
    Match,
    Node,
    parse_query,
)
from core.store.predicates import compile_query
from core.store.subjects import FLOWS, JOB_LOGS, NAMESAKES, VERSIONS, Subject

CONSTANTS: dict[str, str | None] = {"name": "Pump control", "flowClass": "cloud", "customNodeSupports": None}
"""What every version of one flow shares."""

SUBJECTS = (VERSIONS, FLOWS, NAMESAKES, JOB_LOGS)


def taken(raw: bytes) -> bool:
    """Whether these bytes are a query of some list; raises AssertionError unless they are one within the bounds, or
    Invalid, of each."""
    text = raw.decode("utf-8", "surrogateescape")
    try:
        value = parse_json(text, "query")
    except Invalid as error:
        _check_refusal(error)
        return False
    taking = [subject for subject in SUBJECTS if _taken(value, subject)]
    assert not taking or isinstance(json.loads(text), dict), "what was taken is one JSON object and nothing else"
    return bool(taking)


def _taken(value: Json, subject: Subject) -> bool:
    try:
        query = parse_query(value, language=subject.language)
    except Invalid as error:
        _check_refusal(error)
        return False
    assert _conditions(query, 1) <= MOST_CONDITIONS
    predicate = compile_query(query, first=1, constants=CONSTANTS if subject is VERSIONS else None, subject=subject)
    assert f"${len(predicate.parameters) + 1}" not in predicate.sql
    orjson.dumps(predicate.parameters)  # the database can be asked
    return True


def _check_refusal(error: Invalid) -> None:
    assert error.path.startswith("query"), "it names what it is about"
    orjson.dumps(error.message)  # the caller can be told


def _conditions(node: Node, depth: int) -> int:
    """How many conditions there are, each within its bounds; a query and a group are two nodes and one level."""
    if isinstance(node, Match):
        return 1 + len(node.config)
    if isinstance(node, Condition):
        operands = node.operand if isinstance(node.operand, tuple) else (node.operand,)
        assert len(operands) <= MOST_MEMBERS
        assert all(len(one) <= MOST_TEXT for one in operands if isinstance(one, str))
        return 1
    assert isinstance(node, Combination), "nothing else can be written as JSON"
    assert depth <= 2 * MOST_QUERY_DEPTH
    return sum(_conditions(member, depth + 1) for member in node.members)
