"""What lists under /api/v1 can be narrowed by: of `filter[name]=a,b` either will do, and every filter must hold.

A name that a list does not have is refused with 400 and the names it has, as Laravel's query builders do: passed over,
it would leave more in the list than was meant. A value that a filter cannot have is 422. Blank is as good as left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from marshmallow import ValidationError, fields, pre_load

from core.domain.documents import member_path
from core.domain.errors import NotAllowed
from core.domain.identifiers import LARGEST_ID, parse_integer_id
from core.domain.versions import MOST_NAME
from schemas.fields import Query

MOST_VALUES = 100
"""Values of one filter, and names of one include: as many as the largest page has rows."""

MOST_TEXT = 4_096
"""Characters of one parameter: a hundred ids and names of a usual length."""

MOST_WORD = 64
"""Characters of one word; the longest that is stored has some twenty."""

MOST_TOLD = 20
"""Names that a refusal repeats: of unknown ones there may be thousands."""

WORD = rf"[A-Za-z0-9_.-]{{1,{MOST_WORD}}}"
BOUND = r"[0-9]{1,15}|[0-9]{4}[0-9Tt:.,WZz +-]{1,36}"
"""The characters of what an instant may be, for the document; what they mean is checked."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECONDS = re.compile(r"[0-9]{1,15}", re.ASCII)
_FORM = re.compile(BOUND, re.ASCII)


class FilteredQuery(Query):
    """Refuses `filter[…]` and `fields[…]` of names that there are not. What shows one thing alone has no filters, and
    passes them over."""

    @pre_load
    def _refuse_unknown(self, data: Mapping[str, Any], **_: Any) -> Mapping[str, Any]:
        names = [str(field.data_key or name) for name, field in self.fields.items()]
        for what, prefix in (("filter", "filter["), ("field", "fields[")):
            known = [name for name in names if name.startswith(prefix)]
            unknown = [name for name in data if name.startswith(prefix) and name not in known]
            if unknown and (known or what == "field"):
                raise not_allowed(what, [_bare(name) for name in unknown], [_bare(name) for name in known])
        return data


def _bare(name: str) -> str:
    """A name without what is around it."""
    return name.partition("[")[2].removesuffix("]")


def not_allowed(what: str, names: Sequence[str], allowed: Sequence[str]) -> NotAllowed:
    """A refusal in Laravel's words, fit to be printed."""
    verb = "is" if what == "sort" else "are"
    told = ", ".join(member_path("", name) for name in names[:MOST_TOLD])
    offer = f"Allowed {what}(s) are `{', '.join(allowed)}`." if allowed else f"There are no allowed {what}s."
    return NotAllowed(f"Requested {what}(s) `{told}` {verb} not allowed. {offer}")


class Several(fields.Field[list[Any]]):
    """Values separated by commas, of which any may hold. `one` makes a value of a text, or raises ValidationError;
    `pattern` is what each text must look like, for the document."""

    def __init__(self, one: Callable[[str], Any], pattern: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.one, self.pattern = one, pattern

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> list[Any]:
        return [self.one(text) for text in split(str(value))]


class Bound(fields.Field[datetime | None]):
    """ISO 8601 with a zone, or milliseconds since 1970; from the first of `within` on and before the second, if given.
    Always with a zone, in UTC."""

    def __init__(self, *, within: tuple[datetime, datetime] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.within = within

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> datetime | None:
        if not value:
            return None
        try:
            moment = parse_bound(str(value))
        except (ValueError, OverflowError):
            raise ValidationError(
                "must be an instant in ISO 8601 with a zone, such as 2026-11-21T10:00:00Z, or milliseconds since 1970"
            ) from None
        if self.within is not None and not self.within[0] <= moment < self.within[1]:
            raise ValidationError(f"must be of the years {self.within[0].year} to {self.within[1].year - 1}")
        return moment


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


def split(text: str) -> list[str]:
    """The values of one parameter. Raises ValidationError for too many and for what PostgreSQL cannot compare."""
    if len(text) > MOST_TEXT:
        raise ValidationError(f"must have at most {MOST_TEXT} characters")
    if "\0" in text:
        raise ValidationError("must not contain NUL")
    values = [part for part in text.split(",") if part]
    if len(values) > MOST_VALUES:
        raise ValidationError(f"must have at most {MOST_VALUES} values")
    return values


def several(one: Callable[[str], Any], pattern: str, name: str) -> Several:
    """A filter by values of any kind."""
    return Several(one, rf"^(?:(?:{pattern})?(?:,(?:{pattern})?)*)$", data_key=f"filter[{name}]")


def ids(name: str) -> Several:
    return several(_id, "[1-9][0-9]{0,18}", name)


def flags(name: str) -> Several:
    return several(_flag, "[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|0|1", name)


def numbers(name: str) -> Several:
    return several(_small, "[0-9]{1,9}", name)


def texts(name: str) -> Several:
    return several(_text, "[^,]{1,255}", name)


def words(name: str, *known: str) -> Several:
    """Some of those that are known, or any where none are."""
    return several(word_of(*known), "|".join(known) or WORD, name)


def instant(name: str) -> Bound:
    return Bound(data_key=f"filter[{name}]")


def word_of(*known: str) -> Callable[[str], str]:
    """What reads one of these words, or any word where none are known."""

    def read(text: str) -> str:
        if known and text not in known:
            raise ValidationError(f"must be one or more of {', '.join(known)}")
        if not known and re.fullmatch(WORD, text, re.ASCII) is None:
            raise ValidationError("must be one or more words, separated by commas")
        return text

    return read


def _id(text: str) -> int:
    number = parse_integer_id(text)
    if number is None:
        raise ValidationError(f"must be whole numbers from 1 to {LARGEST_ID}")
    return number


def _small(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) is None:
        raise ValidationError("must be whole numbers from 0 to 999999999")
    return int(text)


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise ValidationError("must be true or false")
    return text.lower() in ("true", "1")


def _text(text: str) -> str:
    if len(text) > MOST_NAME:
        raise ValidationError(f"must have at most {MOST_NAME} characters each")
    return text
