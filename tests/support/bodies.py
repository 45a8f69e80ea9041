"""Random bodies of the Losant dialect: right by construction from our own fields, or wrong in one place or two."""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st
from marshmallow import Schema, fields

from schemas.contents import DEVICE, KEY, TRIGGER, VERSION
from schemas.fields import Flag, Form, HexId, Judged, Mapped, Text, Word
from schemas.losant import ICON
from schemas.moments import Moment
from schemas.reports import LINE, LINE_TEXT, METRIC, METRIC_NAME, Line, Metrics
from schemas.shapes import JsonText, ListOf, Number, OneOf, Record, Uri

LONGEST = 40
"""Characters of most texts; bounds are met by tests of their own."""

FORMS: dict[Form, st.SearchStrategy[str]] = {
    KEY: st.from_regex(KEY.pattern, fullmatch=True).map(lambda text: text[:LONGEST]),
    VERSION: st.lists(st.integers(0, 10**6).map(str), min_size=3, max_size=3).map(".".join),
    ICON: st.sampled_from(["data:image/png;base64,", "data:image/svg+xml;base64,PHN2Zz4=", "data:image/jpg;base64,/+"]),
    DEVICE: st.sampled_from(["", "0123456789abcdefABCDEF00"]),
}

URIS = [
    "opc.tcp://10.0.0.1:4840", "opc.tcp://[::1]:4840/a?b#c", "urn:a:b", "mailto:a@b.example", "x:", "a+b-c.d://h",
    "http://user:secret@h.example:/p%20q", "file:///a/b", "http://[v1.a:b]/", "http://", "a:/b//c",
]  # fmt: skip

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=LONGEST)

SCALARS: st.SearchStrategy[Any] = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | TEXTS
SCALARS |= st.floats(allow_nan=False, allow_infinity=False)

ANYTHING: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=6
)
OBJECTS = st.dictionaries(TEXTS, ANYTHING, max_size=3)

TEMPTING: list[Any] = [
    None, True, False, 0, 1, -1, 1.0, 1.5, 10, 3_600_001, "", " ", "timer", "webhook", "1.2.3", "\u0661.\u0661.\u0661",
    "1.2.3\n", "01.2.3", "10.20.30", "1." * 2 + "2" * 61, "a\n", "trigger", "x" * 49, "x" * 1025, "0" * 24, "{", "NaN",
    "[]", "http://[", "http://\u00e4", "{{a}}", [], [1], [[]], [["a"]], [["a"] * 101], [[]] * 101, {},
    {"type": "timer"}, {"a": 1}, {"type": 1},
]  # fmt: skip
"""Values that a careless check lets through, or a too careful one does not."""


def values_of(field: fields.Field[Any]) -> st.SearchStrategy[Any]:
    """What a field takes, bounds mostly left alone."""
    plain = _values_of(field)
    return st.none() | plain if field.allow_none else plain


def _values_of(field: fields.Field[Any]) -> st.SearchStrategy[Any]:
    if isinstance(field, ListOf):
        return st.lists(values_of(field.of), min_size=field.least, max_size=min(3, field.most or 3))
    if isinstance(field, OneOf):
        return st.sampled_from(sorted(field.kinds)).flatmap(
            lambda name: _record(field.kinds[name], {"type": st.just(name)})
        )
    if isinstance(field, Line):
        return _texts(LINE_TEXT) | _record(LINE, {})
    if isinstance(field, Metrics):
        return st.dictionaries(_texts(METRIC_NAME), _numbers(METRIC), max_size=3)
    if isinstance(field, Moment):
        return st.sampled_from(["2026-11-22T03:00:00Z", "2026-11-22T03:00:00.123456789+05:30"])
    if isinstance(field, Record):
        return _record(field, {})
    if isinstance(field, Number):
        return _numbers(field)
    if isinstance(field, Text):
        return _texts(field)
    if isinstance(field, Word):
        return st.sampled_from(field.words)
    simple = {Flag: st.booleans(), Mapped: OBJECTS, HexId: st.sampled_from(["0" * 24, "abcdefABCDEF012345678901"])}
    return simple[type(field)]


def _record(record: Record, given: Mapping[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    members = {name: given[name] if name in given else values_of(member) for name, member in record.members.items()}
    needed = {name: members.pop(name) for name in record.needed}
    return st.fixed_dictionaries(needed, optional=members)


def _numbers(field: Number) -> st.SearchStrategy[Any]:
    if field.among:
        return st.sampled_from([*field.among, *map(float, field.among)])
    whole = st.integers(field.least if field.least is not None else -9, field.most if field.most is not None else 9)
    return whole | whole.map(float) if field.whole else whole | st.floats(allow_nan=False, allow_infinity=False)


def _texts(field: Text) -> st.SearchStrategy[str]:
    if isinstance(field, Uri):
        return st.sampled_from(URIS)
    if isinstance(field, JsonText):
        return st.sampled_from(["1", " null ", '"a"', "[]", '{"a": [1, 2.5e3]}', "1" * 5000])
    if field.form:
        return FORMS[field.form]
    return st.text(
        st.characters(codec="utf-8", exclude_characters="\0"),
        min_size=field.least,
        max_size=min(LONGEST, field.most),
    )


def judged(field: fields.Field[Any]) -> Judged[Any]:
    """A field of a body, all of which judge by themselves."""
    assert isinstance(field, Judged), field
    return field


def bodies_of(schema: type[Schema]) -> st.SearchStrategy[dict[str, Any]]:
    """Bodies that the schema takes."""
    known = {str(field.data_key or name): judged(field) for name, field in schema().fields.items()}
    return _record(Record(known), {})


def broken(body: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """The body with something put in, taken out or exchanged in a place or two; it may still be right."""
    body = copy.deepcopy(body)
    for _ in range(chance.randint(1, 2)):
        _break_one(body, chance)
    return body


def _break_one(body: dict[str, Any], chance: random.Random) -> None:
    holders: list[Any] = [body]
    for holder in holders:
        entries = holder.values() if isinstance(holder, dict) else holder
        holders += [entry for entry in entries if isinstance(entry, (dict, list))]
    holder = chance.choice(holders)
    value = copy.deepcopy(chance.choice(TEMPTING))
    if isinstance(holder, list):
        holder.insert(chance.randint(0, len(holder)), value)
        return
    names = [*holder, "surprise", "type", "config", "meta", "outputIds", "groupId", "id", "json"]
    name = chance.choice(names)
    if name in holder and chance.random() < 0.3:
        del holder[name]
    else:
        holder[name] = value


def bodies_or_not(schema: type[Schema]) -> st.SearchStrategy[dict[str, Any]]:
    """Half of them as the schema has them, half of them not quite."""
    return bodies_of(schema) | st.builds(broken, bodies_of(schema), st.randoms(use_true_random=False))


def trigger_or_not(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    """The same for one trigger of a type."""
    right = _record(TRIGGER.kinds[kind], {"type": st.just(kind)})
    return right | st.builds(broken, right, st.randoms(use_true_random=False))
