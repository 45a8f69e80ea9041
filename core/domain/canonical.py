"""Canonical JSON (RFC 8785): one value, one text, whoever writes it. What is signed is written so."""

from __future__ import annotations

import re

import rfc8785

from core.domain.documents import Json, parse_document
from core.domain.errors import Invalid

LARGEST_INTEGER = 2**53 - 1
"""RFC 8785 knows numbers as IEEE 754 doubles; an integer beyond this could come back as another one."""

_DIGITS_TO_ZERO = bytes.maketrans(b"123456789", b"000000000")
_RUN = b"0" * 16
"""No integer of fewer digits is beyond it."""

_ZEROS = re.compile(rb"0+")
_BEFORE, _AFTER = frozenset(b"[,: \t\n\r"), frozenset(b",]} \t\n\r")
"""What stands around a number of which all digits are one run, but for its sign."""


def canonical(value: Json) -> bytes:
    """The value's canonical JSON, in UTF-8. Raises Invalid for what RFC 8785 cannot express."""
    try:
        return rfc8785.dumps(value)
    except rfc8785.CanonicalizationError as error:
        raise _locate(value) or Invalid(f"cannot be written as canonical JSON: {error}") from None


def require_expressible(body: str, path: str) -> None:
    """Raises Invalid, naming where below `path`, if a body, JSON that was parsed strictly once, has no canonical form.

    The only thing such a body can have that RFC 8785 has not is a large integer. Of 5 MB it is known within some 10 ms
    that nothing looks like one, where parsing them takes ten times as long.
    """
    raw = body.encode()
    if not _may_hold_large(raw):
        return
    refusal = _locate(parse_document(raw).value)
    if refusal is not None:
        raise Invalid(refusal.problem, f"{path}.{refusal.path}")


def doubles(value: Json, raw: bytes) -> Json:
    """What canonical JSON, `raw`, means, where `value` is what a parser made of it: an integer beyond 2^53 - 1 was
    written for a double, and a parser that takes it for an integer gives it more digits than it has."""
    return _as_doubles(value) if _may_hold_large(raw) else value


def _may_hold_large(raw: bytes) -> bool:
    """Whether anything in this JSON looks like an integer of sixteen digits or more; something in a text may, too.

    Both searches run at the speed of memory. Digits of fractions, and of ids in quotes, are recognised by what stands
    around them.
    """
    zeros = raw.translate(_DIGITS_TO_ZERO)
    at = zeros.find(_RUN)
    while at >= 0:
        run = _ZEROS.match(zeros, at)
        assert run is not None, "a run was found here"
        before = at - 2 if zeros[at - 1 : at] == b"-" else at - 1
        if before < 0 or (zeros[before] in _BEFORE and (run.end() == len(zeros) or zeros[run.end()] in _AFTER)):
            return True
        at = zeros.find(_RUN, run.end())
    return False


def _as_doubles(value: Json) -> Json:
    """Stops at the depth a parser has stopped at, so it may recurse."""
    if isinstance(value, dict):
        return {key: _as_doubles(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_as_doubles(entry) for entry in value]
    is_large = isinstance(value, int) and abs(value) > LARGEST_INTEGER
    return float(value) if is_large else value


def _locate(value: Json) -> Invalid | None:
    """The first integer that is too large, in the order of the text."""
    waiting: list[tuple[str, Json]] = [("", value)]
    while waiting:
        path, item = waiting.pop()
        if isinstance(item, int) and abs(item) > LARGEST_INTEGER:
            return Invalid("is an integer beyond 2^53 - 1, which canonical JSON cannot express", path)
        if isinstance(item, dict):
            waiting += [(f"{path}.{key}" if path else key, entry) for key, entry in reversed(item.items())]
        elif isinstance(item, list):
            waiting += [(f"{path}[{place}]", entry) for place, entry in reversed([*enumerate(item)])]
    return None
