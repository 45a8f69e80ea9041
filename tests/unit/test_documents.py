"""The strict parse: what it keeps to the letter, and what it refuses and where."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.domain import documents
from core.domain.documents import MOST_DEPTH, Document, canonical_digest, member_path, parse_document, parse_json
from core.domain.errors import Invalid
from schemas.losant import content_of

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**63), 10**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)

BODIES = st.dictionaries(TEXTS, VALUES, max_size=5)

BLANKS = st.text(" \t\n\r", max_size=3)


def refusal(raw: bytes) -> Invalid:
    with pytest.raises(Invalid) as caught:
        parse_document(raw)
    return caught.value


# What is kept


@settings(max_examples=50)
@given(BODIES, st.booleans(), st.sampled_from([None, 1]))
def test_what_was_written_is_what_is_read(body: dict[str, Any], ascii_only: bool, indent: int | None) -> None:
    document = parse_document(json.dumps(body, ensure_ascii=ascii_only, indent=indent).encode())
    assert document.value == body
    assert list(document.value) == list(document.texts) == list(body)
    assert {key: json.loads(text) for key, text in document.texts.items()} == body


@settings(max_examples=50)
@given(st.lists(st.tuples(TEXTS, VALUES), max_size=5, unique_by=lambda pair: pair[0]), st.data())
def test_each_text_is_the_very_text_that_was_sent(members: list[tuple[str, Any]], data: st.DataObject) -> None:
    """Whatever blanks stand around it, and none of them with it."""
    sent = {}
    parts = []
    for key, value in members:
        sent[key] = json.dumps(value, separators=data.draw(st.sampled_from([(",", ":"), (" , ", " : ")])))
        blanks = [data.draw(BLANKS) for _ in range(4)]
        parts.append(f"{blanks[0]}{json.dumps(key)}{blanks[1]}:{blanks[2]}{sent[key]}{blanks[3]}")
    before, after = data.draw(BLANKS), data.draw(BLANKS)
    assert parse_document(f"{before}{{{','.join(parts)}}}{after}".encode()).texts == sent


@pytest.mark.parametrize(
    "text",
    [
        "1.50",
        "1e2",
        "1E+2",
        "-0",
        "-0.0",
        "0.1000000000000000055511151231257827",
        "9" * 64,
        "-" + "9" * 64,
        "12345678901234567890",
        '"\\u00e9\\/\\ud83d\\ude00"',
        '{"b":1, "a":2}',
        "[ 1,2 ]",
        "[[],{}]",
        '"\ufeff\u2028\u0661"',
        "1e-400",
    ],
)
def test_a_value_keeps_its_spelling(text: str) -> None:
    assert parse_document(f'{{"a":{text}}}'.encode()).texts == {"a": text}


def test_an_empty_object_is_a_document() -> None:
    assert parse_document(b" {\n} ") == Document({}, {})


# What is refused


@given(st.binary(max_size=200) | TEXTS.map(str.encode))
@example(b"\xed\xa0\x80")
@example(b'{"a":\xff}')
@example(b'{"a":"\x00"}')
@example(b'{"\\u0000":1}')
@example(b"{" * 50_000)
@example(b'{"a":' * 50_000)
@example(b'{"a":1e99999999999}')
@example(b'{"a":-')
@example(b'{"a":"\\')
@example(b'{"a":"\\ud83d"}')
@example(b'{"a":nul}')
def test_any_bytes_are_a_document_or_invalid(raw: bytes) -> None:
    try:
        document = parse_document(raw)
    except Invalid as error:
        document, problem = None, error.message
    if document is not None:
        assert document.value == json.loads(raw)
    else:
        assert problem.encode(), "it must be fit to be sent"


HOSTILE: st.SearchStrategy[str] = st.sampled_from(
    [
        '"\\u0000"',
        '"\\ud800"',
        '"\\udc00\\ud800"',
        "1e999",
        "NaN",
        "-Infinity",
        "1" * 65,
        '{"a":1,"a":2}',
        "[" * 64 + "]" * 64,
    ]
)


@settings(max_examples=50)
@given(BODIES, TEXTS.filter(bool), HOSTILE, st.lists(st.sampled_from(["list", "object"]), max_size=6))
def test_a_refused_value_is_found_wherever_it_stands(
    body: dict[str, Any], key: str, hostile: str, around: list[str]
) -> None:
    """And named by its path, before any other trouble further on."""
    inner, path = hostile, ""
    for kind in around:
        inner = f"[0,{inner}]" if kind == "list" else f'{{"k":{inner}}}'
        path = ("[1]" if kind == "list" else ".k") + path
    before = [f"{json.dumps(name)}:{json.dumps(value)}" for name, value in body.items() if name != key]
    raw = "{" + ",".join([*before, f"{json.dumps(key)}:{inner}", '"longer than any of the others":NaN']) + "}"
    assert refusal(raw.encode()).path.startswith(member_path("", key) + path)


@pytest.mark.parametrize(
    ("raw", "path", "problem"),
    [
        (b'{"a":"x\\u0000"}', "a", "must not contain NUL"),
        (b'{"a":{"b\\u0000c":1}}', "a.b\0c", "must not contain NUL"),
        (b'{"a":"\\udfff"}', "a", "must not contain half of a surrogate pair"),
        (b'{"a":"\\ud83d\\ud83d\\ude00"}', "a", "must not contain half of a surrogate pair"),
        (b'{"a":{"\\ud800":1}}', "a.\\ud800", "must not contain half of a surrogate pair"),
        (b'{"a":[0,{"b":NaN}]}', "a[1].b", "NaN is not a JSON number"),
        (b'{"a":Infinity}', "a", "Infinity is not a JSON number"),
        (b'{"a":1e400}', "a", "is too large a number"),
        (b'{"a":-1.5e309}', "a", "is too large a number"),
        (b'{"a":' + b"1" * 65 + b"}", "a", "has more than 64 digits"),
        (b'{"a":-' + b"1" * 65 + b"}", "a", "has more than 64 digits"),
        (b'{"a":' + b"1" * 5000 + b"}", "a", "has more than 64 digits"),
        (b'{"a":1,"b":2,"a":3}', "a", "is given twice"),
        (b'{"a":1,"\\u0061":3}', "a", "is given twice"),
        (b'{"x":[{"a":1,"a":1}]}', "x[0].a", "is given twice"),
        (b'{"a":1,"a":NaN}', "a", "is given twice"),
        (b'{"a":NaN,"b":1,"b":1}', "b", "is given twice"),
    ],
)
def test_a_refusal_says_what_and_where(raw: bytes, path: str, problem: str) -> None:
    error = refusal(raw)
    assert (error.path, error.problem, error.message) == (path, problem, f"{path}: {problem}")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "the body must be a JSON object"),
        (b" ", "the body must be a JSON object"),
        (b"[]", "the body must be a JSON object"),
        (b"1", "the body must be a JSON object"),
        (b"null", "the body must be a JSON object"),
        (b'"{}"', "the body must be a JSON object"),
        (b"\xef\xbb\xbf{}", "the body must be a JSON object"),
        (b"{", "the body is not JSON: Expecting property name enclosed in double quotes at character 1"),
        (b'{"a"}', "the body is not JSON: Expecting ':' delimiter at character 4"),
        (b'{"a":}', "the body is not JSON: Expecting value at character 5"),
        (b'{"a":1 "b":2}', "the body is not JSON: Expecting ',' delimiter at character 7"),
        (b'{"a":1,}', "the body is not JSON: Expecting property name enclosed in double quotes at character 7"),
        (b"{1:2}", "the body is not JSON: Expecting property name enclosed in double quotes at character 1"),
        (b"{}}", "the body is not JSON: Extra data at character 2"),
        (b'{"a":01}', "the body is not JSON: Expecting ',' delimiter at character 6"),
        (b'{"a":"\t"}', "the body is not JSON: Invalid control character at at character 6"),
        (b'{"a":"\x00"}', "the body is not JSON: Invalid control character at at character 6"),
        (b'{"a":1\x0c}', "the body is not JSON: Expecting ',' delimiter at character 6"),
        ('{"a":1\u00a0}'.encode(), "the body is not JSON: Expecting ',' delimiter at character 6"),
        ('{"a":\u0661}'.encode(), "the body is not JSON: Expecting value at character 5"),
        (b'{"a":"\xff"}', "the body is not UTF-8: byte 6"),
        (b'{"a":"\xed\xa0\x80"}', "the body is not UTF-8: byte 6"),
        (b'{"a":"\xc0\x80"}', "the body is not UTF-8: byte 6"),
    ],
)
def test_what_is_no_object_is_refused_as_a_whole(raw: bytes, message: str) -> None:
    error = refusal(raw)
    assert (error.path, error.message) == ("", message)


# Depth


def nested(depth: int, opening: str, closing: str, core: str = "1") -> bytes:
    """A body of this depth, its own braces counted."""
    return f'{{"a":{opening * (depth - 1)}{core}{closing * (depth - 1)}}}'.encode()


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":[', "]}]")])
def test_the_64th_level_is_the_last(opening: str, closing: str) -> None:
    per = len([character for character in opening if character in "[{"])
    levels = (MOST_DEPTH - 1) // per
    core = "[" * (MOST_DEPTH - 1 - levels * per) + "]" * (MOST_DEPTH - 1 - levels * per) or "1"
    fitting = f'{{"a":{opening * levels}{core}{closing * levels}}}'.encode()
    parse_document(fitting)
    deeper = f'{{"a":[{opening * levels}{core}{closing * levels}]}}'.encode()
    error = refusal(deeper)
    assert error.problem == "is nested more than 64 deep"
    assert error.path.startswith("a[0]")


@pytest.mark.parametrize("depth", [66, 500, 990, 1_010, 5_000, 100_000])
def test_any_depth_beyond_is_refused_alike(depth: int) -> None:
    """Also past the point where a recursive parser gives up."""
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        assert refusal(nested(depth, opening, closing)).problem == "is nested more than 64 deep"


def depth_of(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max((depth_of(entry) for entry in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((depth_of(entry) for entry in value), default=0)
    return 0


@settings(max_examples=25)
@given(st.integers(55, 75), st.data())
def test_depth_is_counted_whatever_stands_beside_and_inside(depth: int, data: st.DataObject) -> None:
    """Brackets and quotes inside of strings are no levels, however they are escaped."""
    decoy = st.sampled_from(["[[[", '{"', '\\"[', "\\\\", '\\\\"', "]]", "\u3010", '"', "\\"])
    value: object = data.draw(decoy)
    for _ in range(depth - 1):
        beside: object = data.draw(st.sampled_from([None, [[]], "[[[", '\\"]']))
        value = [beside, value] if data.draw(st.booleans()) else {data.draw(decoy): value, "beside": beside}
    raw = json.dumps({"a": value}, ensure_ascii=data.draw(st.booleans())).encode()
    if depth_of({"a": value}) <= MOST_DEPTH:
        assert parse_document(raw).value == {"a": value}
    else:
        assert refusal(raw).problem == "is nested more than 64 deep"


def test_brackets_in_texts_cost_no_depth() -> None:
    text = '[{"' * 500 + "\\"
    assert parse_document(json.dumps({text: [text]}).encode()).value == {text: [text]}


# Paths


def test_a_path_is_cut_and_can_always_be_sent() -> None:
    assert member_path("", "a") == "a"
    assert member_path("a[0]", "b.c") == "a[0].b.c"
    assert member_path("", "x" * 5000) == "x" * 64
    assert member_path("", "\ud800") == "\\ud800"


# Content and its digest


def content(body: str) -> str:
    return content_of(parse_document(body.encode())).body


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "query: is not JSON: Expecting value at character 0"),
        ("{", "query: is not JSON: Expecting property name enclosed in double quotes at character 1"),
        ('{"a":1},"b":2', "query: is not JSON: Extra data at character 7"),
        ('{"a":1},"query":{}', "query: is not JSON: Extra data at character 7"),
        ('{"a":1,"a":1},"b":1,"b":2', "query: is not JSON: Extra data at character 13"),
        ("{}}", "query: is not JSON: Extra data at character 2"),
        ('{"a":[{"b":1,"b":2}]}', "query.a[0].b: is given twice"),
        ("[1e999]", "query[0]: is too large a number"),
        ("NaN", "query: NaN is not a JSON number"),
        (r'"\u0000"', "query: must not contain NUL"),
        ('{"a":"\udc80"}', "query: is not UTF-8"),
        ("[" * 65 + "]" * 65, "query" + "[0]" * 64 + ": is nested more than 64 deep"),
        ("[" * 100_000, "query: is nested more than 64 deep"),
    ],
)
def test_a_value_by_itself_is_one_value_under_the_same_rules(text: str, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_json(text, "query")
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ['{"a":[1,"\u00e9",null]}', ' {"$or" : [] }\n', "1", '"x"', "true"])
def test_a_value_by_itself_is_what_it_says(text: str) -> None:
    assert parse_json(text, "query") == json.loads(text)


def test_content_keeps_every_text_and_drops_the_rest() -> None:
    nodes = '[ {"id":"a", "config":{"z":1.50,"a":1e2, "n":' + "9" * 64 + "}} ]"
    globals_ = '[{"key":"k","json":"{ }"}]'
    sent = f'{{"globals":{globals_},"version":"v","nodes":{nodes},"notes":"n","enabled":false,"triggers":[]}}'
    assert content(sent) == f'{{"triggers":[],"nodes":{nodes},"globals":{globals_}}}'


def test_omitted_triggers_and_nodes_are_empty_lists_and_nothing_else_is_made_up() -> None:
    assert content('{"version":"v"}') == '{"triggers":[],"nodes":[]}'
    config = '{"version":"v","customNodeConfig":{"a":1},"minimumAgentVersion":"1.0"}'
    assert content(config) == '{"triggers":[],"nodes":[],"minimumAgentVersion":"1.0","customNodeConfig":{"a":1}}'


def digest(body: str) -> bytes:
    return content_of(parse_document(body.encode())).digest


def test_the_digest_is_of_the_meaning_not_of_the_spelling() -> None:
    assert digest('{"nodes":[{"a":1,"b":"\\u00e9"}]}') == digest('{ "nodes" : [ {"b":"\u00e9","a":1} ] }')
    assert digest('{"nodes":[]}') == digest('{"version":"x","triggers":[]}')


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"nodes":[{"a":1}]}', '{"nodes":[{"a":2}]}'),
        ('{"nodes":[{"a":1}]}', '{"nodes":[{"a":"1"}]}'),
        ('{"nodes":[{"a":true}]}', '{"nodes":[{"a":1}]}'),
        ('{"nodes":[{"a":null}]}', '{"nodes":[{}]}'),
        ('{"nodes":[{},{"a":1}]}', '{"nodes":[{"a":1},{}]}'),
        ('{"nodes":[{"a":9007199254740993}]}', '{"nodes":[{"a":9007199254740992}]}'),
        ('{"nodes":[{"a":' + "9" * 64 + "}]}", '{"nodes":[{"a":' + "9" * 63 + "8}]}"),
        ('{"globals":[]}', "{}"),
    ],
)
def test_the_digest_tells_contents_apart(one: str, other: str) -> None:
    assert digest(one) != digest(other)


def test_the_digest_is_sha256_of_sorted_compact_json() -> None:
    """Stored with every version: a digest of another day must still be comparable."""
    assert canonical_digest({"b": [1, 1.5, "\u00e9"], "a": None}).hex() == (
        "e1122de5d82953258e2f04c747752442218e2f3e4f1148b0aa8422d128411ccd"
    )


_KEYS = st.text('ab\u00e9\u65e5\U0001f600\x7f\x1b"\\/1e.', max_size=3)
_ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**25), 10**25) | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-9, 9) | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner) | st.dictionaries(_KEYS, inner),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["nodes", "globals", "b"]), _ANY), st.booleans(), st.sampled_from([None, 1]))
def test_both_ways_to_a_document_lead_to_the_same(
    body: dict[str, object], ascii_only: bool, indent: int | None
) -> None:
    """As programs write it, and with blanks, escapes and exponents of another kind."""
    spelled = json.dumps(body, ensure_ascii=ascii_only, indent=indent)
    one, other = parse_document(spelled.encode()), parse_document(" ".join(("", spelled)).encode())
    assert one == other
    assert one.value == body
    assert {key: json.loads(text) for key, text in one.texts.items()} == body
    assert canonical_digest(one.value) == canonical_digest(body)


WRITTEN = b'{"b":[1,-2.5,"\xc3\xa9",null,true],"a":{"c":{}}}'
"""As orjson writes it."""


def test_what_is_written_as_usual_takes_the_quick_way() -> None:
    found = documents._as_written(WRITTEN)
    assert found == parse_document(b" " + WRITTEN)
    assert found is not None
    assert found.texts == {"b": '[1,-2.5,"\u00e9",null,true]', "a": '{"c":{}}'}


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1,"a":1}', b'{"a":{"b":1,"b":1}}', b'{"a":[{"b":1},{"b":1,"b":2}]}', b'{"a":1e5}', b'{"a":1.50}',
        b'{"a":-0}', b'{"a":18446744073709551616}', b'{"a": 1}', b'{"a":"\\u00e9"}', b'{"a":"\\/"}', b'{"a":NaN}',
        b"[1]", b"1",
        b'{"a":1}\n', b'{"a":"\\ud800"}', b'{"a":"\xff"}', b'{"a":' + b"[" * 300 + b"]" * 300 + b"}", b"",
    ],
)  # fmt: skip
def test_what_could_be_read_in_two_ways_does_not(raw: bytes) -> None:
    assert documents._as_written(raw) is None
