"""Passwords: which will do, and their Argon2id hashes. Hashing takes tens of milliseconds: not for an event loop."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from core.domain.errors import Invalid

if TYPE_CHECKING:
    from argon2 import PasswordHasher

LEAST_PASSWORD = 12
"""Characters. Guessing is slowed to some dozens a day and account; what matters is a hash that was stolen."""

MOST_PASSWORD = 1_024
"""Characters. Any more would only be something to feed to the hash."""

GENERATED_BYTES = 18
"""Random bytes of a password we make: 24 characters that no guessing reaches."""

_PASSES, _KIBIBYTES, _LANES = 2, 19_456, 1
"""OWASP's least for Argon2id, 19 MiB and two passes on one core: some 30 ms of one core. The library's own choice
takes five times that and four threads, which the requests of everybody else would feel."""

_NOBODYS = f"$argon2id$v=19$m={_KIBIBYTES},t={_PASSES},p={_LANES}${'A' * 22}${'A' * 43}"
"""What the password of somebody unknown is compared with, so that the answer takes as long as for a known one. No
password is known to have a hash of nothing but zeros."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a password is right; `renewed` is its hash anew, where the stored one was made with other parameters."""

    right: bool
    renewed: str | None = None


def check_password(password: str) -> str:
    """A new password, as it was given. Raises Invalid for one that is too short, too long or no text."""
    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        raise Invalid(f"must have {LEAST_PASSWORD} to {MOST_PASSWORD} characters", "password")
    if "\0" in password or not _is_text(password):
        raise Invalid("must be text without NUL", "password")
    return password


def hash_password(password: str) -> str:
    """What is stored: the hash with its salt and parameters, in PHC form."""
    return _hasher().hash(_normal(password))


def judge(stored: str | None, password: str) -> Verdict:
    """Compares a password with a stored hash; with None, for somebody unknown, it takes as long and is never right."""
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        _hasher().verify(stored or _NOBODYS, _normal(password))
    except (VerificationError, InvalidHashError):
        return Verdict(right=False)
    if stored is None:
        return Verdict(right=False)
    renewed = hash_password(password) if _hasher().check_needs_rehash(stored) else None
    return Verdict(right=True, renewed=renewed)


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher  # half a MiB, for those that people log in to

    return PasswordHasher(time_cost=_PASSES, memory_cost=_KIBIBYTES, parallelism=_LANES)


def _normal(password: str) -> bytes:
    """One spelling for what keyboards write in several: an umlaut as one character, or as two."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def _is_text(password: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in password)
