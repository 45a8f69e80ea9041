"""Instants that callers send: any that can be written in its form is read as it was meant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from schemas.moments import EARLIEST, LATEST, Moment, parse_moment

OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
INSTANTS = st.datetimes(datetime(1971, 1, 1), datetime(2999, 1, 1), timezones=OFFSETS)  # noqa: DTZ001 - zones are drawn


@given(INSTANTS)
def test_an_instant_is_read_as_it_was_written(instant: datetime) -> None:
    text = instant.isoformat()
    Moment().check(text)
    assert parse_moment(text) == instant
    zulu = instant.astimezone(UTC).isoformat().replace("+00:00", "z").lower()
    Moment().check(zulu)
    assert parse_moment(zulu) == instant


@given(st.text(max_size=40) | st.datetimes().map(datetime.isoformat))
def test_any_other_text_is_refused_and_nothing_worse(text: str) -> None:
    try:
        Moment().check(text)
    except ValidationError:
        return
    assert EARLIEST <= parse_moment(text) < LATEST


@pytest.mark.parametrize("text", ["1970-01-01T00:00:00Z", "2999-12-31T23:59:59.999999Z", "1969-12-31T19:00:00-05:00"])
def test_the_first_and_the_last_are_taken(text: str) -> None:
    Moment().check(text)


@pytest.mark.parametrize("text", ["1969-12-31T23:59:59.999999Z", "3000-01-01T00:00:00Z", "1970-01-01T00:00:00+00:01"])
def test_those_beyond_are_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="of the years 1970 to 2999"):
        Moment().check(text)


def test_digits_beyond_the_microsecond_are_cut() -> None:
    assert parse_moment("2026-11-21T10:00:00.999999999Z").microsecond == 999999
