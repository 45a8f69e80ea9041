"""Fields for what is nested: lists, objects, and objects whose `type` says what else they hold.

They are marshmallow fields like any other and carry their bounds as attributes. None of them copies what it checks,
and each stops at the first problem, so that a body of megabytes costs well under a microsecond a value. What is not
null they check themselves: `check_value` in between would be a sixth of the work.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from marshmallow import ValidationError

from core.domain.documents import Json
from schemas.fields import Judged, Text, check_value


class ListOf(Judged[list[Json]]):
    """A JSON list whose entries are all checked by one field."""

    def __init__(self, of: Judged[Any], *, least: int = 0, most: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.of, self.least, self.most = of, least, most

    def check(self, value: Any) -> None:
        if not isinstance(value, list):
            raise ValidationError("must be a list")
        if len(value) < self.least:
            raise ValidationError(f"must have at least {self.least} {'entry' if self.least == 1 else 'entries'}")
        if self.most is not None and len(value) > self.most:
            raise ValidationError(f"must have at most {self.most} {'entry' if self.most == 1 else 'entries'}")
        for index, entry in enumerate(value):
            try:
                if entry is None:
                    check_value(self.of, entry)
                else:
                    self.of.check(entry)
            except ValidationError as error:
                raise ValidationError({index: error.messages}) from None


class Record(Judged[dict[str, Json]]):
    """A JSON object with known members; others are refused unless `open`."""

    def __init__(self, members: Mapping[str, Judged[Any]], *, open: bool = False, **kwargs: Any) -> None:  # noqa: A002
        super().__init__(**kwargs)
        self.members, self.open = members, open
        self.needed = [name for name, member in members.items() if member.required]

    def check(self, value: Any) -> None:
        if not isinstance(value, dict):
            raise ValidationError("must be an object")
        for name in self.needed:
            if name not in value:
                raise ValidationError({name: ["is required"]})
        for name, entry in value.items():
            member = self.members.get(name)
            if member is None:
                if self.open:
                    continue
                raise ValidationError({name: ["is not known here"]})
            try:
                if entry is None:
                    check_value(member, entry)
                else:
                    member.check(entry)
            except ValidationError as error:
                raise ValidationError({name: error.messages}) from None


class OneOf(Judged[dict[str, Json]]):
    """A JSON object whose member `type` says which record it is."""

    def __init__(self, kinds: Mapping[str, Record], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kinds = kinds

    def check(self, value: Any) -> None:
        if not isinstance(value, dict):
            raise ValidationError("must be an object")
        if "type" not in value:
            raise ValidationError({"type": ["is required"]})
        kind = value["type"]
        record = self.kinds.get(kind) if isinstance(kind, str) else None
        if record is None:
            raise ValidationError({"type": ["is none of the types there are"]})
        record.check(value)


class Number(Judged[int | float]):
    """A JSON number; `whole` ones may be written 1.0, as JSON Schema has it. `among` are the only ones, if given."""

    def __init__(
        self,
        *,
        whole: bool = False,
        least: int | None = None,
        most: int | None = None,
        among: Sequence[int] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.whole, self.least, self.most, self.among = whole, least, most, among

    def check(self, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValidationError("must be a number")
        if self.whole and value != int(value):
            raise ValidationError("must be a whole number")
        if self.least is not None and value < self.least:
            raise ValidationError(f"must be at least {self.least}")
        if self.most is not None and value > self.most:
            raise ValidationError(f"must be at most {self.most}")
        if self.among and value not in self.among:
            raise ValidationError(f"must be one of {', '.join(map(str, self.among))}")


class JsonText(Text):
    """JSON inside of a string. It is read by whoever runs the flow, so it only has to be JSON."""

    def check(self, value: Any) -> None:
        super().check(value)
        if not _is_json(value):
            raise ValidationError("must be JSON text")


class Uri(Text):
    """An absolute URI after RFC 3986, of any scheme."""

    def check(self, value: Any) -> None:
        super().check(value)
        if not _is_uri(value):
            raise ValidationError("must be a URI")


def _refuse(name: str) -> Json:
    raise ValueError(name)


_READER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse)


def _is_json(text: str) -> bool:
    """What orjson takes is JSON, and there is more. Numbers are left as text then: only their form is in question, and
    Python would refuse to convert long ones."""
    try:
        orjson.loads(text)
    except ValueError:
        return _is_any_json(text)
    return True


def _is_any_json(text: str) -> bool:
    try:
        _READER.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


_PLAIN = r"[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2}"
_SEGMENT = rf"(?:{_PLAIN}|[:@])"
_REST = rf"(?:{_PLAIN}|[:@/?])*"
_URI = re.compile(
    rf"[A-Za-z][A-Za-z0-9+.-]*:"
    rf"(?://(?:(?:{_PLAIN}|:)*@)?(?:\[(?P<literal>[^\[\]]*)\]|(?:{_PLAIN})*)(?::[0-9]*)?(?:/{_SEGMENT}*)*"
    rf"|/?(?:{_SEGMENT}+(?:/{_SEGMENT}*)*)?)"
    rf"(?:\?{_REST})?(?:#{_REST})?",
    re.ASCII,
)
_FUTURE_ADDRESS = re.compile(r"v[0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:-]+", re.ASCII | re.IGNORECASE)


def _is_uri(text: str) -> bool:
    found = _URI.fullmatch(text)
    return found is not None and (found["literal"] is None or _is_literal(found["literal"]))


def _is_literal(text: str) -> bool:
    """What stands between brackets instead of a host name: an IPv6 address, without a zone."""
    if _FUTURE_ADDRESS.fullmatch(text):
        return True
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return "%" not in text
