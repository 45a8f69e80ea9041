"""`POST /oauth/token`: client credentials (RFC 6749 4.4)."""

from __future__ import annotations

import base64
import binascii

from core.domain.errors import Invalid, InvalidScope, Unauthenticated, UnsupportedGrant
from core.operations.logins import log_in_client
from schemas.forms import decode_component
from service.calls import UNKEPT, Answer, Call

GRANT = "client_credentials"

CLIENT_MISSING = "The client shows no credentials: neither HTTP Basic ones nor client_id and client_secret."

UNKNOWN_GRANT = f"the only grant here is {GRANT}"


async def issue_token(call: Call) -> Answer:
    client_id, secret = _credentials(call)
    _check_request(call)
    issued = await log_in_client(call.database, client_id, secret, call.service.issuing, call.remote)
    body = {"access_token": issued.token, "token_type": "Bearer", "expires_in": issued.expires_in}
    return Answer(200, body, {**UNKEPT, "Pragma": "no-cache"})


def _check_request(call: Call) -> None:
    if call.body["grant_type"] != GRANT:
        raise UnsupportedGrant(UNKNOWN_GRANT, "grant_type")
    if "scope" in call.body:
        raise InvalidScope("there are none: a token may do what its user's role may", "scope")


def _credentials(call: Call) -> tuple[str, str]:
    """Id and secret out of the header or out of the body. Raises Invalid for both, Unauthenticated for neither."""
    in_body, header = call.body.get("client_id"), call.headers.get("Authorization")
    if header is None:
        if in_body is None or "client_secret" not in call.body:
            raise Unauthenticated(CLIENT_MISSING)
        return in_body, call.body["client_secret"]
    if "client_secret" in call.body:
        raise Invalid("the client authenticates both in the header and in the body; choose one")
    client_id, secret = _basic(header)
    if in_body is not None and in_body != client_id:
        raise Invalid("is another one than in the header", "client_id")
    return client_id, secret


def _basic(header: str) -> tuple[str, str]:
    """RFC 6749 2.3.1: both parts are percent-encoded before they are joined."""
    scheme, _, encoded = header.strip().partition(" ")
    try:
        client_id, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        parts = decode_component(client_id), decode_component(secret)
    except (binascii.Error, ValueError):
        raise Unauthenticated(CLIENT_MISSING) from None
    if scheme.lower() != "basic" or not colon or "\0" in "".join(parts):
        raise Unauthenticated(CLIENT_MISSING)
    return parts
