"""The signed file: what it is made of, and every way in which one that was tampered with is found out."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.artifacts import MOST_FILE, read_artifact, seal, split, verify, write_artifact
from core.domain.canonical import LARGEST_INTEGER, canonical, doubles, require_expressible
from core.domain.documents import Json
from core.domain.errors import Invalid
from core.domain.marketplace import Deed, Entry, Happening, Head, next_entry, verify_log
from core.domain.signing import Keys, PublicKey, SecretKey, decoded, encoded, new_key, read_keys, render_key

MADE = new_key(lambda size: bytes(range(size)))
KEY = SecretKey(MADE.key_id, MADE.seed)
KEYS: Keys = {MADE.key_id: PublicKey(MADE.key_id, MADE.public)}

FLOW = {"name": "Orders", "description": None, "flow_class": "cloud", "flow_priority": 3, "run_timeout_seconds": 60}
CONTENT = {"triggers": [], "nodes": [{"id": "a", "signature": {"statement": ',"statement":{"x":'}}]}
"""With the words that part a file inside of it."""


def make(content: Json = CONTENT) -> bytes:
    artifact = write_artifact(content, flow=FLOW, schedules=[], version="1.0", notes=None)
    return seal(artifact, {"company": {"id": 1, "name": 'A "quoted" name,"statement":'}}, KEY).file


def refusal(file: bytes, keys: Keys = KEYS) -> Invalid:
    with pytest.raises(Invalid) as refused:
        verify(file, keys)
    return refused.value


# Canonical JSON


VECTORS = {
    b'{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001]}': (
        b'{"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27]}'
    ),
    b'{"string":"\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/"}': (
        '{"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'.encode()
    ),
    b'{"literals":[null,true,false]}': b'{"literals":[null,true,false]}',
    '{"\u20ac":1,"\\r":2,"\ufb33":3,"1":4,"\U0001f600":5,"\u0080":6,"\u00f6":7}'.encode(): (
        '{"\\r":2,"1":4,"\u0080":6,"\u00f6":7,"\u20ac":1,"\U0001f600":5,"\ufb33":3}'.encode()
    ),
    b"[1.0,-0.0,1e20,1e21,9007199254740991,1e-6,1e-7]": (
        b"[1,0,100000000000000000000,1e+21,9007199254740991,0.000001,1e-7]"
    ),
}
"""From RFC 8785: numbers as ECMAScript writes them, text with the fewest escapes, keys by UTF-16."""


@pytest.mark.parametrize("text", VECTORS)
def test_json_is_written_as_the_rfc_says(text: bytes) -> None:
    assert canonical(orjson.loads(text)) == VECTORS[text]


_TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-LARGEST_INTEGER, LARGEST_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(_VALUES)
def test_what_is_canonical_stays_so(value: Json) -> None:
    """Read and written again it is the same text, and it means the same."""
    text = canonical(value)
    meant = doubles(orjson.loads(text), text)
    assert canonical(meant) == text
    assert meant == value


@given(st.dictionaries(st.text("ab", max_size=3), st.integers(-(2**60), 2**60), max_size=4))
def test_what_cannot_be_expressed_is_found_in_the_text(value: dict[str, int]) -> None:
    body = orjson.dumps(value).decode()
    if all(abs(number) <= LARGEST_INTEGER for number in value.values()):
        require_expressible(body, "content")
        canonical(value)
        return
    first = next(name for name, number in value.items() if abs(number) > LARGEST_INTEGER)
    for ask in (lambda: require_expressible(body, "content"), lambda: canonical({"content": value})):
        with pytest.raises(Invalid, match=r"is an integer beyond 2\^53 - 1") as refused:
            ask()
        assert refused.value.path == f"content.{first}"


@pytest.mark.parametrize(
    "text",
    ["[9007199254740992]", "[ -9007199254740992 ]", '{"a" :\t9007199254740992\n}', '{"a":[1,12345678901234567890]}'],
)
def test_a_large_integer_is_found_however_it_is_written(text: str) -> None:
    with pytest.raises(Invalid):
        require_expressible(f'{{"x":{text}}}', "content")


@pytest.mark.parametrize(
    "text",
    [
        "[9007199254740991]", "[0.12345678901234567890]", "[12345678901234567890.5]", "[12345678901234567890e3]",
        '["12345678901234567890"]', '["id: 12345678901234567890, and more"]', '{"12345678901234567890":1}',
        '["507612345678901234567890"]', '["a12345678901234567890"]',
    ],
)  # fmt: skip
def test_digits_that_are_no_large_integer_are_let_through(text: str) -> None:
    require_expressible(f'{{"x":{text}}}', "content")


def test_large_bodies_are_judged_in_a_moment() -> None:
    """Without being parsed: a broken one would be refused."""
    nodes = ",".join(f'{{"id":"{n:024x}","n":{n},"x":{n / 7},"y":0.{n:020}}}' for n in range(100_000))
    require_expressible(f'{{"nodes":[{nodes}', "content")


# The file


def test_a_file_is_what_was_put_into_it() -> None:
    verified = verify(make(), KEYS)
    artifact = read_artifact(verified.artifact)
    assert artifact.content.value == CONTENT
    assert (artifact.flow, artifact.version, artifact.notes, artifact.schedules) == (FLOW, "1.0", None, [])
    assert verified.statement.digest == hashlib.sha256(verified.artifact).digest()
    assert verified.statement.size == len(verified.artifact)
    assert orjson.loads(make())["artifact"]["content"] == CONTENT, "it is JSON like any other"


def test_the_same_version_makes_the_same_artifact_whatever_was_written() -> None:
    other = {name: CONTENT[name] for name in reversed(CONTENT)}
    assert split(make()).artifact == split(make(other)).artifact


@pytest.mark.parametrize("bit", range(8))
def test_any_changed_bit_is_found(bit: int) -> None:
    """Of every byte of the file."""
    file = make()
    for place in range(len(file)):
        changed = bytearray(file)
        changed[place] ^= 1 << bit
        assert refusal(bytes(changed)).path in ("artifact", "signature", "statement")


def test_a_file_that_was_cut_off_is_found() -> None:
    file = make()
    for size in range(len(file)):
        refusal(file[:size])
    refusal(file + b" ")
    refusal(b" " + file)
    refusal(file + file)


def test_a_signature_by_another_key_is_refused() -> None:
    other = new_key(lambda size: b"\7" * size)
    assert refusal(make(), {}).path == "signature"
    pretender = {KEY.key_id: PublicKey(KEY.key_id, other.public)}
    assert (refusal(make(), pretender).path, refusal(make(), pretender).problem) == (
        "signature",
        "is not of this statement",
    )


def test_a_revoked_key_vouches_for_nothing() -> None:
    revoked = {KEY.key_id: replace(KEYS[KEY.key_id], revoked=True)}
    assert refusal(make(), revoked).problem == f"is by the key {KEY.key_id}, which was revoked"


def test_a_statement_of_another_artifact_is_found() -> None:
    one, other = split(make()), split(make({"triggers": [], "nodes": []}))
    file = make().replace(one.artifact, other.artifact)
    assert (refusal(file).path, refusal(file).problem) == (
        "artifact",
        "is not the one that was signed: its digest is another one",
    )


@pytest.mark.parametrize(
    "file",
    [b"", b"{}", b"null", b"[" * 100_000, b'{"artifact":' + b"[" * 1_000_000, b"\xff" * 100, b'{"a":' * 50_000],
    ids=["empty", "object", "null", "deep", "deeper", "no text", "open"],
)
def test_what_is_no_file_of_ours_is_not_even_parsed(file: bytes) -> None:
    assert refusal(file).path == "artifact"


def test_a_file_that_is_too_large_is_not_looked_at() -> None:
    assert refusal(make() + b" " * MOST_FILE).problem == f"has more than {MOST_FILE} bytes"


def test_a_signed_artifact_is_judged_all_the_same() -> None:
    """A key can be lent to a program that writes nonsense."""

    def signed(artifact: bytes) -> Invalid:
        verified = verify(seal(artifact, {}, KEY).file, KEYS)
        with pytest.raises(Invalid) as refused:
            read_artifact(verified.artifact)
        return refused.value

    assert signed(b'{"format":"other/1"}').path == "artifact.format"
    assert signed(b'{"format":"penstock.flow-version/1"}').path == "artifact.content"
    assert signed(b"[" * 100_000).path == "artifact"
    for depth in (64, 300, 1_000):
        nested = b'{"content":{"n":12345678901234567890,"a":' + b"[" * depth + b"]" * depth
        refused = signed(nested + b'},"flow":{},"format":"penstock.flow-version/1","schedules":[]}')
        assert refused.problem.startswith(("is nested more than 64 deep", "is not JSON, or nested too deep"))


# Keys


def test_keys_are_read_as_they_are_shown() -> None:
    shown = {"keys": [render_key(key) for key in KEYS.values()]}
    assert read_keys(shown) == KEYS
    assert read_keys(shown["keys"][0]) == KEYS
    revoked = render_key(replace(KEYS[KEY.key_id], revoked=True))
    assert read_keys(revoked)[KEY.key_id].revoked


@pytest.mark.parametrize(
    "value", [None, [], {}, {"keys": 1}, {"keys": [1, {"kty": "RSA"}]}, {"kty": "OKP", "crv": "Ed25519", "x": "AA"}]
)
def test_what_holds_no_key_is_refused(value: object) -> None:
    with pytest.raises(Invalid):
        read_keys(value)


@given(st.binary(max_size=80))
def test_base64url_is_read_the_one_way_it_is_written(raw: bytes) -> None:
    text = encoded(raw)
    assert decoded(text, len(raw)) == raw
    assert decoded(text + "=", len(raw)) is None
    assert decoded(text, len(raw) + 1) is None


# The log


def chain(count: int) -> list[Entry]:
    entries: list[Entry] = []
    for number in range(1, count + 1):
        head = Head(number - 1, entries[-1].hash if entries else None, datetime(2026, 11, 21, tzinfo=UTC))
        entries.append(next_entry(head, Deed(Happening.UPLOAD, 1, number, b"\1" * 32), KEY))
    return entries


def test_a_log_is_a_chain() -> None:
    assert verify_log(chain(5), KEYS) == 5
    assert verify_log([], KEYS) == 0


def test_a_log_that_was_touched_is_found() -> None:
    entries = chain(5)
    lost = entries[:2] + entries[3:]
    swapped = [entries[1], entries[0], *entries[2:]]
    rewritten = next_entry(Head(1, b"\2" * 32, datetime(2026, 1, 1, tzinfo=UTC)), Deed(Happening.YANK, 1, 9, b""), KEY)
    changed = replace(entries[2], text=entries[2].text.replace(b'"item_id":3', b'"item_id":4'))
    for tampered in (lost, swapped, [entries[0], rewritten], [*entries[:2], changed], entries[1:]):
        with pytest.raises(Invalid, match=r"log\["):
            verify_log(tampered, KEYS)
