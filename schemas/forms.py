"""Bodies of `application/x-www-form-urlencoded`, which OAuth asks for."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote_plus

from core.domain.documents import member_path
from core.domain.errors import Invalid

FORM = "application/x-www-form-urlencoded"

MOST_FIELDS = 100
"""OAuth's own requests have five."""


def parse_form(raw: bytes) -> dict[str, str]:
    """The fields of a form by name; one without a value counts as left out (RFC 6749 3.2).

    Raises Invalid for what is no form in UTF-8, for a field given twice, and for NUL.
    """
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:
        raise Invalid("the body is no form in UTF-8, or one of too many fields") from None
    fields: dict[str, str] = {}
    for name, value in pairs:
        if name in fields:
            raise Invalid("is given twice", member_path("", name))
        if "\0" in name + value:
            raise Invalid("must not contain NUL", member_path("", name.replace("\0", "")))
        fields[name] = value
    return {name: value for name, value in fields.items() if value}


def decode_component(text: str) -> str:
    """One percent-encoded value outside of a body. Raises ValueError for what is no UTF-8."""
    return unquote_plus(text, errors="strict")
