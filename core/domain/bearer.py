"""Login tokens: JWTs that say who logged in and until when, signed with a key of the installation.

A token proves no more than that it was issued. Whether its user still may do anything is looked up each time.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeGuard

from core.domain.errors import Unauthenticated
from core.domain.identifiers import parse_integer_id
from core.imports import without

with without("cryptography"):  # takes 8 MiB, and none of it is in ALGORITHM
    import jwt

ALGORITHM = "HS256"
"""The only one. What a token says of its own algorithm is compared with this and never followed. Nobody but this
installation verifies its tokens, so a secret both signs and verifies."""

AUDIENCE = "penstock"
LIFETIME = timedelta(hours=24)
"""As Patchworks documents it: `expires_in` is 86400."""

EARLY = timedelta(minutes=1)
"""How far ahead of now a token may have been issued: PostgreSQL's clock may be set back."""

SECRET_BYTES = 32
KEY_NAME_BYTES = 9

MOST_TOKEN = 2_048
"""Characters of a token worth reading; ours have some 400, and an issuer may be a long address."""

_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_KEY_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_LARGEST_EPOCH = 2**31 - 1
_REQUIRED = ["iss", "aud", "sub", "iat", "exp", "jti", "epoch"]


@dataclass(frozen=True, slots=True)
class SigningKey:
    """`name` stands in the head of a token (`kid`) and is public."""

    name: str
    secret: bytes


@dataclass(frozen=True, slots=True)
class Bearer:
    """What a token says: whose it is, of which epoch, and of which OAuth client; None: the user's own login."""

    user_id: int
    epoch: int
    client_id: int | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A token as somebody showed it, which nothing has vouched for yet."""

    text: str
    key_name: str
    bearer: Bearer


def is_login_token(credential: str) -> bool:
    """Whether a bearer token has the form of a JWT. Ours of the other kind begin with `pnt_` and have no dot."""
    return len(credential) <= MOST_TOKEN and _FORM.fullmatch(credential) is not None


def new_signing_key(random_bytes: Callable[[int], bytes], random_text: Callable[[int], str]) -> SigningKey:
    return SigningKey(random_text(KEY_NAME_BYTES), random_bytes(SECRET_BYTES))


def issue(bearer: Bearer, key: SigningKey, *, issuer: str, token_id: str, now: datetime) -> str:
    """A token for LIFETIME from `now`, which is PostgreSQL's."""
    claims: dict[str, Any] = {
        "iss": issuer,
        "aud": AUDIENCE,
        "sub": str(bearer.user_id),
        "iat": int(now.timestamp()),
        "exp": int((now + LIFETIME).timestamp()),
        "jti": token_id,
        "epoch": bearer.epoch,
    }
    if bearer.client_id is not None:
        claims["client"] = bearer.client_id
    return jwt.encode(claims, key.secret, ALGORITHM, headers={"kid": key.name})


def read(text: str) -> Shown:
    """What a token says before anything is verified: enough to look up the key and the user. Raises Unauthenticated."""
    try:
        token = jwt.decode_complete(text, options={"verify_signature": False})
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        raise Unauthenticated from None
    name, claims = token["header"].get("kid"), token["payload"]
    bearer = _bearer(claims)
    if bearer is None or not isinstance(name, str) or not _KEY_NAME.fullmatch(name):
        raise Unauthenticated
    return Shown(text, name, bearer)


def verify(shown: Shown, secret: bytes, *, issuer: str, now: datetime) -> None:
    """Raises Unauthenticated unless the key signed this, for us, and `now` is within its time."""
    try:
        claims = jwt.decode(
            shown.text,
            secret,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=issuer,
            options={"require": _REQUIRED, "verify_exp": False, "verify_iat": False, "verify_nbf": False},
        )
    except (jwt.InvalidTokenError, ValueError):
        raise Unauthenticated from None
    issued, expires = claims["iat"], claims["exp"]
    if not _is_number(issued) or not _is_number(expires):
        raise Unauthenticated
    if not issued - EARLY.total_seconds() <= now.timestamp() < expires:
        raise Unauthenticated


def _bearer(claims: dict[str, Any]) -> Bearer | None:
    subject, epoch, client = claims.get("sub"), claims.get("epoch"), claims.get("client")
    user_id = parse_integer_id(subject) if isinstance(subject, str) else None
    if user_id is None or not _is_number(epoch) or not 0 < epoch <= _LARGEST_EPOCH:
        return None
    if client is not None and (not _is_number(client) or parse_integer_id(str(client)) is None):
        return None
    return Bearer(user_id, epoch, client)


def _is_number(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
