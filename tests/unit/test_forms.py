"""Forms: what a field is, and what is refused."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.errors import Invalid
from schemas.forms import MOST_FIELDS, parse_form

TEXTS = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=12)


@given(st.dictionaries(TEXTS, TEXTS.filter(bool), max_size=5))
def test_a_form_is_read_back(fields: dict[str, str]) -> None:
    assert parse_form(urlencode(fields).encode()) == fields


def test_a_field_without_a_value_counts_as_left_out() -> None:
    assert parse_form(b"a=&b=1&c") == {"b": "1"}


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"a=1&a=1", "a"),
        (b"a=1&%61=2", "a"),
        (b"a=&a=1", "a"),
        (b"a=%00", "a"),
        (b"a%00b=1", "ab"),
        (b"a=%FF", ""),
        (b"a=%ED%A0%80", ""),
        (b"\xff=1", ""),
        (b"&".join(b"a%d=1" % number for number in range(MOST_FIELDS + 1)), ""),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(raw: bytes, path: str) -> None:
    with pytest.raises(Invalid) as refusal:
        parse_form(raw)
    assert refusal.value.path == path


@given(st.binary(max_size=80))
def test_any_bytes_are_a_form_or_refused(raw: bytes) -> None:
    try:
        fields = parse_form(raw)
    except Invalid:
        return
    assert all(value and "\0" not in name + value for name, value in fields.items())
