"""Reads the Idempotency-Key header."""

from __future__ import annotations

import hashlib

from core.domain.errors import Invalid
from core.store.idempotency_keys import Key
from service.calls import Call

MOST_KEY = 255


def idempotency_key(call: Call) -> Key | None:
    """The caller's key bound to this very request; None if it sent none.

    Raises Invalid for a key that is not 1 to 255 printable ASCII characters.
    """
    text = call.headers.get("Idempotency-Key")
    if text is None:
        return None
    if not 1 <= len(text) <= MOST_KEY or not (text.isascii() and text.isprintable()):
        raise Invalid(f"must be 1 to {MOST_KEY} printable ASCII characters", "Idempotency-Key")
    digest = hashlib.sha256(b"\n".join([call.method.encode(), call.raw_path.encode(), call.raw_body])).digest()
    return Key(call.principal.company_id, call.principal.owner, text, digest)
