"""What a version may be called, and how names are compared without regard to case."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.errors import Invalid
from core.domain.versions import MOST_NAME, check_name, fold


@pytest.mark.parametrize(
    "name",
    [
        "v1",
        " ",
        ".",
        "..",
        "a/b",
        "a?b#c%2F",
        "delete",
        "errors",
        "Develop",
        "DEFAULT",
        "default ",
        "develop2",
        "x" * MOST_NAME,
        "\U0001f600" * MOST_NAME,
        "\u0661" * 24,
        "g" * 24,
        "a" * 23,
        "a" * 25,
        "1.0.0-rc.1+build",
        "\n",
    ],
)
def test_a_name_is_nearly_any_text(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["develop", "default"])
def test_losants_words_are_reserved(name: str) -> None:
    with pytest.raises(Invalid, match=f'version: "{name}" is reserved'):
        check_name(name)


@pytest.mark.parametrize("name", ["0" * 24, "f" * 24, "ABCDEFabcdef012345678901"])
def test_a_name_that_looks_like_an_id_is_refused(name: str) -> None:
    with pytest.raises(Invalid, match="would be taken for an id"):
        check_name(name)


@pytest.mark.parametrize("name", ["", "x" * (MOST_NAME + 1), "\U0001f600" * (MOST_NAME + 1)])
def test_a_name_has_1_to_255_characters(name: str) -> None:
    with pytest.raises(Invalid, match="must have 1 to 255 characters"):
        check_name(name)


@pytest.mark.parametrize(
    ("one", "other"),
    [("ABC", "abc"), ("Stra\u00dfe", "STRASSE"), ("\u00c4", "\u00e4"), ("\u03a3", "\u03c2"), ("\u212a", "k")],
)
def test_names_that_differ_in_case_only_fold_alike(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@given(st.text(max_size=20))
def test_folding_twice_changes_nothing(name: str) -> None:
    assert fold(fold(name)) == fold(name)
