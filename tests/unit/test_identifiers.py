"""The three faces of an id, and that no other text is taken for one."""

from __future__ import annotations

import os
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.identifiers import (
    LARGEST_ID,
    PUBLIC_ID_ALPHABET,
    hex_id,
    is_hex_id,
    is_public_id,
    new_public_id,
    parse_hex_id,
    parse_integer_id,
)

IDS = st.integers(1, LARGEST_ID)


@given(IDS)
def test_an_id_comes_back_from_each_of_its_faces(number: int) -> None:
    assert parse_hex_id(hex_id(number)) == parse_hex_id(hex_id(number).upper()) == number
    assert parse_integer_id(str(number)) == number
    assert len(hex_id(number)) == 24


@given(st.text(max_size=30) | st.from_regex(r"[0-9a-fA-F]{20,26}") | st.from_regex(r"\d{1,25}"))
def test_any_text_is_an_id_or_none(text: str) -> None:
    for parsed in (parse_hex_id(text), parse_integer_id(text)):
        assert parsed is None or 0 < parsed <= LARGEST_ID
    number = parse_integer_id(text)
    assert number is None or str(number) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0" * 24,
        "f" * 24,
        f"{2**63:024x}",
        "1" * 23,
        "1" * 25,
        "g" * 24,
        "0x" + "1" * 22,
        "+" + "1" * 23,
        "-" + "1" * 23,
        " " + "1" * 23,
        "1" * 24 + "\n",
        "1" * 11 + "_" + "1" * 12,
        "\u0661" * 24,
        "\uff11" * 24,
        "\U0001d7cf" * 24,
    ],
)
def test_other_text_is_no_hex_id(text: str) -> None:
    assert parse_hex_id(text) is None


def test_the_form_of_a_hex_id_does_not_ask_whether_it_can_exist() -> None:
    """Names of this form are refused, also where no id could have it."""
    assert is_hex_id("0" * 24)
    assert is_hex_id("f" * 24)
    assert is_hex_id("ABCDEFabcdef012345678901")
    for text in ("1" * 23, "1" * 24 + "\n", "\u0661" * 24, "g" * 24):
        assert not is_hex_id(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "00",
        "01",
        "-1",
        "+1",
        " 1",
        "1 ",
        "1\n",
        "1_0",
        "1.0",
        "1e3",
        "0x1",
        "\u0661",
        "\uff11",
        "\u00b2",
        "9" * 19,
        "1" * 20,
        "1" * 5000,
    ],
)
def test_other_text_is_no_integer_id(text: str) -> None:
    assert parse_integer_id(text) is None


def test_the_largest_id_is_the_last() -> None:
    assert parse_integer_id(str(LARGEST_ID)) == parse_hex_id(hex_id(LARGEST_ID)) == LARGEST_ID
    assert parse_integer_id(str(LARGEST_ID + 1)) is None
    assert parse_hex_id(hex_id(LARGEST_ID + 1)) is None


def test_a_public_id_is_21_letters_that_need_no_encoding() -> None:
    made = {new_public_id(os.urandom) for _ in range(1_000)}
    assert len(made) == 1_000
    assert all(is_public_id(name) for name in made)
    assert set("".join(made)) == set(PUBLIC_ID_ALPHABET), "every letter occurs"


def test_a_public_id_is_made_of_the_bytes_it_is_given_without_favour() -> None:
    assert new_public_id(lambda count: bytes(count)) == PUBLIC_ID_ALPHABET[0] * 21
    letters = Counter(new_public_id(bytes([byte]).__mul__)[1] for byte in range(256))
    assert letters == dict.fromkeys(PUBLIC_ID_ALPHABET, 4)


def test_no_public_id_looks_like_an_option() -> None:
    assert all(new_public_id(bytes([byte]).__mul__)[0].isalpha() for byte in range(256))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a" * 20,
        "a" * 22,
        "a" * 20 + "\n",
        "a" * 21 + "\n",
        "a" * 20 + "=",
        "a" * 20 + "\u0661",
        "a" * 20 + "\u00e4",
    ],
)
def test_other_text_is_no_public_id(text: str) -> None:
    assert not is_public_id(text)


@given(st.text(max_size=30))
def test_no_text_is_two_kinds_of_id_at_once(text: str) -> None:
    """A job is found under either form, so they must not meet."""
    assert not (is_public_id(text) and is_hex_id(text))
