"""Content put together from the members of a request, each with the text it was sent with."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.contents import MEMBERS, DevelopChange, changed_content, new_content, pick
from core.domain.documents import canonical_digest, parse_document
from tests.support.bodies import ANYTHING

BODIES = st.dictionaries(
    st.sampled_from([*MEMBERS, "name", "version", "steps"]), st.lists(ANYTHING, max_size=3), max_size=5
)
"""Members of any shape: shapes are judged elsewhere, and another dialect's content has its own."""

SPELLINGS = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t: ")])


def spelled(body: dict[str, Any], separators: tuple[str, str]) -> bytes:
    return json.dumps(body, separators=separators).encode()


@settings(max_examples=100)
@given(BODIES, SPELLINGS)
def test_a_version_has_what_was_said_and_empty_lists(body: dict[str, Any], separators: tuple[str, str]) -> None:
    document = parse_document(spelled(body, separators))
    content = new_content(document, strict=False)
    expected = {"triggers": [], "nodes": []} | {name: body[name] for name in MEMBERS if name in body}
    assert json.loads(content.body) == expected
    assert list(json.loads(content.body)) == [name for name in MEMBERS if name in expected]
    assert content.digest == canonical_digest(expected)
    assert all(document.texts[name] in content.body for name in MEMBERS if name in body)


@settings(max_examples=100)
@given(st.lists(st.tuples(BODIES, SPELLINGS), min_size=1, max_size=4))
def test_each_change_replaces_what_it_names(changes: list[tuple[dict[str, Any], tuple[str, str]]]) -> None:
    body = None
    expected: dict[str, Any] = {"triggers": [], "nodes": [], "globals": []}
    texts: dict[str, str] = {}
    for given_members, separators in changes:
        document = pick(parse_document(spelled(given_members, separators)))
        change = DevelopChange(document, 0, strict=False, keep=timedelta(0))
        content = changed_content(body, change, "cloud")
        expected |= document.value
        texts |= document.texts
        assert json.loads(content.body) == expected
        assert content.digest == canonical_digest(expected)
        assert all(text in content.body for text in texts.values())
        body = content.body


def test_members_of_another_dialect_stay_behind_ours() -> None:
    kept = '{"steps":[1.50],"a\\"b":{},"nodes":[]}'
    change = DevelopChange(pick(parse_document(b'{"globals":[ ]}')), 0, strict=False, keep=timedelta(0))
    assert changed_content(kept, change, "cloud").body == (
        '{"triggers":[],"nodes":[],"globals":[ ],"steps":[1.50],"a\\"b":{}}'
    )
