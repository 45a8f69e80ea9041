"""What a list under /api/v1 can be narrowed by: of `filter[name]=a,b` either will do, and every filter must hold."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from marshmallow import ValidationError, fields, pre_load

from core.domain.documents import member_path
from core.domain.errors import NotAllowed
from core.domain.identifiers import parse_integer_id
from schemas.fields import Query

MOST_ALTERNATIVES = 100
"""Values of one filter, as in a list of Losant's queries."""

MOST_WORD = 64
"""Characters of one word; the longest that is stored has some twenty."""

MOST_TOLD = 20
"""Filters that a refusal names: of unknown ones there may be thousands."""

WORD = rf"[A-Za-z0-9_.-]{{1,{MOST_WORD}}}"
BOUND = r"[0-9]{1,15}|[0-9]{4}[0-9Tt:.,WZz +-]{1,36}"
"""The characters of what an instant may be, for the document; what they mean is checked."""

_PREFIX = "filter["
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECONDS = re.compile(r"[0-9]{1,15}", re.ASCII)
_FORM = re.compile(BOUND, re.ASCII)


class FilteredQuery(Query):
    """Refuses a filter that is not known: passed over, it would leave more in a list than was meant."""

    @pre_load
    def _refuse_unknown(self, data: Mapping[str, Any], **_: Any) -> Mapping[str, Any]:
        known = [name for name in map(_key, self.fields.values()) if name.startswith(_PREFIX)]
        unknown = [name for name in data if name.startswith(_PREFIX) and name not in known]
        if unknown:
            raise NotAllowed(
                f"Requested filter(s) `{_told(unknown)}` are not allowed. Allowed filter(s) are `{_told(known)}`."
            )
        return data


def _key(field: fields.Field[Any]) -> str:
    return str(field.data_key or field.name)


def _told(names: Sequence[str]) -> str:
    """Names of filters without what is around them, fit to be printed."""
    return ", ".join(member_path("", name.removeprefix(_PREFIX).removesuffix("]")) for name in names[:MOST_TOLD])


def _alternatives(value: Any) -> list[str]:
    values = str(value).split(",")
    if len(values) > MOST_ALTERNATIVES:
        raise ValidationError(f"must have at most {MOST_ALTERNATIVES} values")
    return values


class Words(fields.Field[list[str]]):
    """Words separated by commas: any, or some of those that are known."""

    def __init__(self, *known: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.known = known

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> list[str]:
        words = _alternatives(value)
        if self.known and not set(words) <= set(self.known):
            raise ValidationError(f"must be one or more of {', '.join(self.known)}")
        if not all(re.fullmatch(WORD, word, re.ASCII) for word in words):
            raise ValidationError("must be one or more words, separated by commas")
        return words


class Ids(fields.Field[list[int]]):
    """Plain numbers separated by commas."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> list[int]:
        ids = [parse_integer_id(word) for word in _alternatives(value)]
        if None in ids:
            raise ValidationError("must be one or more ids, plain numbers separated by commas")
        return [number for number in ids if number is not None]


class Bound(fields.Field[datetime]):
    """ISO 8601 with a zone, or milliseconds since 1970. Always with a zone, in UTC."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:
        try:
            return parse_bound(str(value))
        except (ValueError, OverflowError):
            raise ValidationError(
                "must be an instant in ISO 8601 with a zone, such as 2026-11-21T10:00:00Z, or milliseconds since 1970"
            ) from None


def parse_bound(text: str) -> datetime:
    """What `Bound` takes. Raises ValueError or OverflowError for anything else.

    A plus that nobody has percent-encoded arrives as a blank, and is taken for what it was.
    """
    if not _FORM.fullmatch(text):
        raise ValueError(text)
    if _MILLISECONDS.fullmatch(text):
        return _EPOCH + timedelta(milliseconds=int(text))
    moment = datetime.fromisoformat(text[:11] + text[11:].replace(" ", "+"))
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment.astimezone(UTC)
