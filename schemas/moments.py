"""Instants that callers send: RFC 3339 and nothing looser, so that a date without a zone is never guessed at."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from marshmallow import ValidationError

from schemas.fields import Judged

PATTERN = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-5][0-9])"

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(3000, 1, 1, tzinfo=UTC)
"""Where the arithmetic of schedules ends. Whoever sends 9999 means "never", for which there is null."""

_FORM = re.compile(PATTERN, re.ASCII)
_FRACTION = re.compile(r"(\.[0-9]{6})[0-9]+")


class Moment(Judged[str]):
    """A date and time with its zone, of the years 1970 to 2999. `parse_moment` makes a value of it."""

    def check(self, value: Any) -> None:
        if not isinstance(value, str):
            raise ValidationError("must be a string")
        if not _FORM.fullmatch(value):
            raise ValidationError("must be a date and time with its zone, such as 2026-11-21T10:00:00Z")
        try:
            instant = parse_moment(value)
        except ValueError:
            raise ValidationError("is no date and time that there is") from None
        if not EARLIEST <= instant < LATEST:
            raise ValidationError("must be of the years 1970 to 2999")


def parse_moment(text: str) -> datetime:
    """The aware datetime of a text that has the form; digits beyond the microsecond are cut. Raises ValueError."""
    return datetime.fromisoformat(_FRACTION.sub(r"\1", text).upper())
