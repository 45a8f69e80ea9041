"""Signs what we post, as Standard Webhooks 1.0 says, so that a receiver can tell our requests from anybody's."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook

from core.domain.jobs import PermanentFailure


def sign(message_id: str, moment: datetime, body: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """The three headers of one try at delivering one message.

    `message_id` is the same on every try, so a receiver can drop repeats; `moment` is the time of this try, which
    receivers compare with their clocks (five minutes is usual). One signature for each secret, separated by a blank:
    while a secret is being replaced, receivers that know the old one and receivers that know the new one both verify.
    """
    if not secrets:
        message = "The company has no secret to sign with; see penstock admin webhook-secret."
        raise PermanentFailure("signing_secret_missing", message)
    instant = moment.astimezone(UTC)  # the library takes the wall time of any other zone for UTC
    signatures = [Webhook(_key(secret)).sign(message_id, instant, body.decode()) for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(instant.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def _key(secret: str) -> bytes:
    """The bytes behind `whsec_` and base64, padded or not; never none, which anybody could sign with."""
    text = secret.removeprefix("whsec_").rstrip("=")
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        key = b""
    if not key:
        raise PermanentFailure("signing_secret_unusable", "A signing secret of the company is not base64; replace it.")
    return key
