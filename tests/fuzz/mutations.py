"""Changes that leave an input meaningful. libFuzzer's own, of bytes, seldom do: of a JSON text they leave none."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from typing import Any

from core.domain.query import MOST_TEXT, Group, Operator
from tests.fuzz.seeds import FIELDS, QUERIES, VALUES

PLAIN: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, -0.0, 1e308, 2**53, 2**64, 10**63, [], {}),
    *("", "a", "A", "\u00e9", "\U0001f600", "\ufffe", "x" * (MOST_TEXT + 1), "9999-12-31T23:59:59-14:00", *VALUES),
)
KEYS = (*FIELDS, *VALUES, *Group, *Operator, "$ci", "", "\u0131")

MOST_STEPS = 3

MOST_BRACKETS = 400
"""Deeper than the language ever goes, and not too deep for Python's stack."""


def reshaped(raw: bytes, longest: int, source: random.Random) -> bytes:
    """The query with something replaced, wrapped, added or doubled; where the bytes are no JSON, another query so."""
    query: Any = source.choice(QUERIES)
    if raw.count(b"[") + raw.count(b"{") <= MOST_BRACKETS:
        with suppress(ValueError):
            query = json.loads(raw)
    for _ in range(source.randint(1, MOST_STEPS)):
        query = _changed(query, source)
    return json.dumps(query, ensure_ascii=source.random() < 0.5).encode("utf-8", "surrogatepass")[:longest]


def _changed(value: Any, source: random.Random) -> Any:
    """Goes down at random and changes what it ends at."""
    if isinstance(value, dict) and value and source.random() < 0.8:
        key = source.choice(list(value))
        return {**value, key: _changed(value[key], source)}
    if isinstance(value, list) and value and source.random() < 0.8:
        place = source.randrange(len(value))
        return [*value[:place], _changed(value[place], source), *value[place + 1 :]]
    return source.choice((_replaced, _wrapped, _grouped, _enlarged))(value, source)


def _replaced(_: Any, source: random.Random) -> Any:
    return source.choice(PLAIN)


def _wrapped(value: Any, source: random.Random) -> Any:
    return {source.choice(KEYS): value}


def _grouped(value: Any, source: random.Random) -> Any:
    return {source.choice(list(Group)): [value]}


def _enlarged(value: Any, source: random.Random) -> Any:
    if isinstance(value, dict):
        return {**value, source.choice(KEYS): source.choice(PLAIN)}
    if isinstance(value, list):
        return [*value, *[source.choice(value or PLAIN)] * source.choice((1, 100))]
    return value + value if isinstance(value, str) else [value, value]


def drawn(_: bytes, longest: int, source: random.Random) -> bytes:
    """Other bytes: a few changed choices of Hypothesis seldom make another query."""
    return source.randbytes(longest)
