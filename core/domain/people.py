"""People of a company, and the programs that act for one of them."""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import datetime

from core.domain.access import Role
from core.domain.addresses import is_address
from core.domain.errors import Invalid

MOST_NAME = 1_024
"""Characters of a name to log in with that are worth looking up; the longest address there is has 318."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log in. `closed_at` is when that ended; None while it has not."""

    id: int
    company_id: int
    email: str
    name: str
    role: Role
    created_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """A program that acts for one user. Its secret is not kept."""

    id: int
    company_id: int
    user_id: int
    name: str
    client_id: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


def check_email(text: str) -> str:
    """The address to log in with, as it was given. Raises Invalid."""
    if not is_address(text):
        raise Invalid("must be one address such as name@example.com", "email")
    return text


def folded(name: str) -> str:
    """The form in which names to log in with are compared. Addresses are ASCII, so lower case is all there is to it."""
    return name.lower()


def neighbourhood(address: str | None) -> str:
    """What an address is counted as: itself, or the /64 that whoever has one IPv6 address usually has whole."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return address or ""
    return str(parsed if parsed.version == 4 else ipaddress.ip_network((parsed, 64), strict=False))


def digest_of_subject(text: str) -> bytes:
    """How wrong logins are counted without keeping what was typed."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
