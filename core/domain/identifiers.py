"""The three faces of an id: a bigint inside and for Patchworks, 24 hex digits for Losant, 21 letters for a job.

Every function here is total: text that is no id gives None, which callers treat exactly like an unknown id.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable

LARGEST_ID = 2**63 - 1
"""PostgreSQL's bigint ends here; a larger id is simply unknown."""

PUBLIC_ID_ALPHABET = string.ascii_letters + string.digits + "_-"
"""The 64 URL-safe characters. Losant's jobId has at most 21 of them, about 126 bits."""

PUBLIC_ID_LENGTH = 21

_HEX24 = re.compile(r"[0-9A-Fa-f]{24}", re.ASCII)
_INTEGER = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_PUBLIC = re.compile(r"[A-Za-z0-9_-]{21}", re.ASCII)


def hex_id(number: int) -> str:
    """A bigint as Losant shows it: 24 lower-case hex digits."""
    return f"{number:024x}"


def is_hex_id(text: str) -> bool:
    """Whether the text has the form of a Losant id, known or not."""
    return _HEX24.fullmatch(text) is not None


def parse_hex_id(text: str) -> int | None:
    """The bigint behind 24 hex digits; None for any other text and for ids that cannot exist (0, over 2^63-1)."""
    if not is_hex_id(text):
        return None
    number = int(text, 16)
    return number if 0 < number <= LARGEST_ID else None


def parse_integer_id(text: str) -> int | None:
    """The bigint behind ASCII decimal digits without sign or leading zero, else None."""
    if not _INTEGER.fullmatch(text):
        return None
    number = int(text)
    return number if number <= LARGEST_ID else None


def is_public_id(text: str) -> bool:
    """Whether the text has the form of a job's public id."""
    return _PUBLIC.fullmatch(text) is not None


def new_public_id(random_bytes: Callable[[int], bytes]) -> str:
    """A job's public id from 21 random bytes.

    64 characters divide 256 evenly, so none is favoured. The first is a letter, because an id that begins with a
    hyphen would be taken for an option wherever it is typed.
    """
    first, *rest = random_bytes(PUBLIC_ID_LENGTH)
    return string.ascii_letters[first % 52] + "".join(PUBLIC_ID_ALPHABET[byte & 63] for byte in rest)
