"""Fields that mean what JSON says: no text taken for a number, no 1 taken for true, no Arabic digits.

`load` turns marshmallow's answer into the first problem, with its path.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar

from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, fields

from core.domain.documents import member_path
from core.domain.errors import Invalid
from core.domain.identifiers import is_hex_id

Value = TypeVar("Value")

_DIGITS = re.compile(r"[0-9]{1,9}", re.ASCII)


class Body(Schema):
    """A JSON body: unknown keys are refused."""

    class Meta:
        unknown = RAISE


class Query(Schema):
    """Query parameters: unknown ones are passed over, as the official clients send several."""

    class Meta:
        unknown = EXCLUDE


@dataclass(frozen=True, slots=True)
class Form:
    """What the whole of a text must look like: a regular expression in ASCII, and how to say it."""

    pattern: str
    words: str

    def matches(self, text: str) -> bool:
        return _compiled(self.pattern).fullmatch(text) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Kept by us, where `re` takes longer to find it again than to match a name."""
    return re.compile(pattern, re.ASCII)


class Judged(fields.Field[Value]):
    """A field that says whether a value will do and never makes another of it: what was sent is what is kept.

    What holds other values calls `check` of their fields: marshmallow's own way to a value takes four times as long as
    most checks, and a workflow has hundreds of values.
    """

    def check(self, value: Any) -> None:
        """Raises ValidationError. The value is not None: that is for `allow_none` to say."""
        raise NotImplementedError

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Value:
        self.check(value)
        judged: Value = value
        return judged


def check_value(field: Judged[Any], value: Any) -> None:
    """What a field says of a value inside of another. Raises ValidationError."""
    if value is not None:
        field.check(value)
    elif not field.allow_none:
        raise ValidationError("must not be null")


class Text(Judged[str]):
    """A string of bounded length, of a form if one is given, without NUL: PostgreSQL has no text with it."""

    def __init__(self, *, least: int = 0, most: int, form: Form | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.least, self.most, self.form = least, most, form

    def check(self, value: Any) -> None:
        if not isinstance(value, str):
            raise ValidationError("must be a string")
        if "\0" in value:
            raise ValidationError("must not contain NUL")
        if self.form and not self.form.matches(value):
            raise ValidationError(f"must be {self.form.words}")
        if not self.least <= len(value) <= self.most:
            raise ValidationError(f"Length must be between {self.least} and {self.most}.")


class Flag(Judged[bool]):
    """JSON true or false."""

    def check(self, value: Any) -> None:
        if not isinstance(value, bool):
            raise ValidationError("must be true or false")


class QueryFlag(fields.Field[bool]):
    """A boolean in a query string, in any case: Python clients write `True`."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        word = str(value).lower()
        if word not in ("true", "false", "1", "0", ""):
            raise ValidationError("must be true or false")
        return word in ("true", "1")


class Count(fields.Field[int]):
    """A whole number in a query string, in ASCII digits, within bounds."""

    def __init__(self, *, least: int, most: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.least, self.most = least, most

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        if not _DIGITS.fullmatch(str(value)) or not self.least <= int(value) <= self.most:
            raise ValidationError(f"must be a whole number from {self.least} to {self.most}")
        return int(value)


class Word(Judged[str]):
    """One of a few words, in a body or a query string."""

    def __init__(self, *words: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.words = words

    def check(self, value: Any) -> None:
        if not isinstance(value, str) or value not in self.words:
            raise ValidationError(f"must be one of {', '.join(word for word in self.words if word)}")


class HexId(Judged[str]):
    """24 hexadecimal digits."""

    def check(self, value: Any) -> None:
        if not isinstance(value, str) or not is_hex_id(value):
            raise ValidationError("must be 24 hexadecimal digits")


class Anything(Judged[Any]):
    """Whatever JSON can say."""

    def check(self, value: Any) -> None:
        """There is nothing it could not be."""


class Mapped(Judged[dict[str, Any]]):
    """A JSON object; what is inside of it is kept as it is."""

    def check(self, value: Any) -> None:
        if not isinstance(value, dict):
            raise ValidationError("must be an object")


def load(schema: Schema, data: Mapping[str, Any]) -> dict[str, Any]:
    """Checks `data` and returns what it means. Raises Invalid with the path of the first problem."""
    if isinstance(schema, Body):
        return _load_body(schema, data)
    try:
        loaded: dict[str, Any] = schema.load(data)
    except ValidationError as error:
        raise _first(error.messages, "") from None
    return loaded


def _load_body(schema: Body, data: Mapping[str, Any]) -> dict[str, Any]:
    """A body's fields judge values and make none, so marshmallow's own way, half as long again, is not taken.

    It stops at the first unknown key, too: there would be a message for each, and a body can have a million.
    """
    names = _names(type(schema))
    loaded: dict[str, Any] = {}
    for key, value in data.items():
        name = names.get(key)
        if name is not None:
            field = schema.fields[name]
            assert isinstance(field, Judged), f"{key} is in a body"
            try:
                check_value(field, value)
            except ValidationError as error:
                raise _first(error.messages, member_path("", key)) from None
            loaded[name] = value
        elif schema.unknown == RAISE:
            raise Invalid("is not known here", member_path("", key))
    for key, name in names.items():
        if name not in loaded and schema.fields[name].required:
            raise Invalid("is required", key)
    return loaded


@cache
def _names(kind: type[Body]) -> dict[str, str]:
    """What each key of a body is called in here."""
    return {field.data_key or name: name for name, field in kind().fields.items()}


def parameters(schema: Schema) -> Callable[[Mapping[str, str]], Mapping[str, Any]]:
    """A reader of query strings: what `load` makes of them, without its work for a request that names none of ours.

    `name[]` and `name[0][type]` count as `name`, since a schema may put them together.
    """
    known = frozenset(_stem(field.data_key or name) for name, field in schema.fields.items())
    required = any(field.required for field in schema.fields.values())
    defaults = None if required else load(schema, {})

    def read(given: Mapping[str, str]) -> Mapping[str, Any]:
        if defaults is not None and known.isdisjoint(map(_stem, given)):
            return defaults
        return load(schema, dict(given))

    return read


def _stem(name: str) -> str:
    return name.partition("[")[0]


def _first(messages: Any, path: str) -> Invalid:
    if isinstance(messages, Mapping):
        key, inner = next(iter(messages.items()))
        return _first(inner, f"{path}[{key}]" if isinstance(key, int) else member_path(path, str(key)))
    text = messages[0] if isinstance(messages, list) else messages
    return Invalid(_WORDINGS.get(text, text), path)


_WORDINGS = {
    "Missing data for required field.": "is required",
    "Field may not be null.": "must not be null",
}


def microseconds(instant: datetime | None) -> str | None:
    """An instant as Patchworks and our own documents write it: 2026-11-21T10:00:00.000000Z."""
    return None if instant is None else instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
