"""What an If-Match header accepts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.errors import PreconditionFailed
from core.domain.etags import ANY, Etag, parse_if_match, render_etag


def accepts(header: str | None, revision: int | None) -> bool:
    try:
        parse_if_match(header).require(revision)
    except PreconditionFailed:
        return False
    return True


@given(st.integers(1, 999_999_999))
def test_an_etag_is_accepted_for_its_revision_alone(revision: int) -> None:
    etag = render_etag(revision)
    assert etag == f'"r{revision}"'
    assert parse_if_match(etag) == Etag(frozenset({revision}))
    assert accepts(etag, revision)
    assert not accepts(etag, revision + 1)
    assert not accepts(etag, None), "nothing is there"


@pytest.mark.parametrize("header", [None, "*", " * "])
def test_without_a_header_and_with_a_star_whatever_is_there_is_accepted(header: str | None) -> None:
    assert parse_if_match(header) == ANY
    assert accepts(header, 1)


def test_one_of_a_list_suffices() -> None:
    for header in ('"r1","r2"', '"r1" , "r2"', '"x", "r2"', '"r2", W/"r1"', ',"r2",,', '"r2", "r2"'):
        assert accepts(header, 2), header
        assert not accepts(header, 3), header


@pytest.mark.parametrize(
    "header",
    [
        "", " ", ",", "r2", "2", '"2"', '"r2', 'r2"', '"R2"', '"r02"', '"r+2"', '"r 2"', '"r2 "', '"r\u0662"',
        '"r\u00b2"', '"r"', '"rr2"', '""r2""', "'r2'", 'W/"r2"', 'w/"r2"', 'W/ "r2"', '"r2.0"', '"r-2"',
        '"' + "r2" * 5_000 + '"', '"r' + "2" * 5_000 + '"', "2*", "**",
    ],
)  # fmt: skip
def test_what_we_never_gave_out_accepts_nothing(header: str) -> None:
    """Weak tags are among it: RFC 9110 compares strongly here."""
    assert parse_if_match(header) == Etag(frozenset())
    assert not accepts(header, 2)
    assert not accepts(header, None)


def test_a_star_in_a_list_is_no_star() -> None:
    assert not accepts('"r1", *', 2)


@given(st.text())
def test_any_text_is_a_header(header: str) -> None:
    assert parse_if_match(header) == ANY or not accepts(header, None)
