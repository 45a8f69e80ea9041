"""Ed25519 keys: what signs artifacts and the log, what verifies them, and how public keys are shown (RFC 8037).

cryptography takes 7 MiB and 5 ms to import, so it is when something is first signed or verified.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.domain.errors import Invalid

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ALGORITHM = "Ed25519"
SEED_BYTES = 32
SIGNATURE_BYTES = 64

MOST_KEYS = 1_000
"""Keys of one set that are read: one a day for years."""

KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SecretKey:
    """A key that can sign."""

    key_id: str
    seed: bytes

    def sign(self, message: bytes) -> bytes:
        return _private(self.seed).sign(message)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that verifies, unless it was revoked."""

    key_id: str
    public: bytes
    revoked: bool = False

    def verifies(self, message: bytes, signature: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except InvalidSignature:
            return False
        return True


Keys = Mapping[str, PublicKey]
"""Public keys by their ids."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key pair that was made."""

    key_id: str
    seed: bytes
    public: bytes


def new_key(random_bytes: Callable[[int], bytes]) -> NewKey:
    """The id is made from the public key, so no two installations' keys share one."""
    seed = random_bytes(SEED_BYTES)
    public = _private(seed).public_key().public_bytes_raw()
    return NewKey(key_id_of(public), seed, public)


def key_id_of(public: bytes) -> str:
    """The key's JWK thumbprint (RFC 7638)."""
    text = f'{{"crv":"Ed25519","kty":"OKP","x":"{encoded(public)}"}}'
    return encoded(hashlib.sha256(text.encode()).digest())


def encoded(raw: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(text: str, size: int) -> bytes | None:
    """What was encoded, if it has this size and is written the one way it can be."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) == size and encoded(raw) == text else None


def render_key(key: PublicKey) -> dict[str, Any]:
    """As a JWK. `revoked` is a member of our own: whoever verifies must not take a key that has it."""
    shown: dict[str, Any] = {
        "kty": "OKP", "crv": ALGORITHM, "alg": "EdDSA", "use": "sig", "kid": key.key_id, "x": encoded(key.public),
    }  # fmt: skip
    return shown | ({"revoked": True} if key.revoked else {})


def read_keys(value: Any) -> Keys:
    """The Ed25519 keys of a JWK set, or of a single JWK; others are passed over. Raises Invalid if there is none."""
    members = value.get("keys", [value]) if isinstance(value, dict) else []
    members = members[:MOST_KEYS] if isinstance(members, list) else []
    found = [key for member in members if isinstance(member, dict) and (key := _read_key(member)) is not None]
    if not found:
        raise Invalid("holds no Ed25519 public key as a JWK")
    return {key.key_id: key for key in found}


def _private(seed: bytes) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed)


def _read_key(member: Mapping[str, Any]) -> PublicKey | None:
    text = member.get("x")
    if member.get("kty") != "OKP" or member.get("crv") != ALGORITHM or not isinstance(text, str):
        return None
    public = decoded(text, SEED_BYTES)
    return None if public is None else PublicKey(key_id_of(public), public, bool(member.get("revoked")))
