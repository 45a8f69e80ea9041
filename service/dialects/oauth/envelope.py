"""OAuth's error shape (RFC 6749 5.2), `{error, error_description}`, for every error there is."""

from __future__ import annotations

import re

from core.domain import errors
from service.calls import UNKEPT, Answer

STATUSES: dict[type[errors.PenstockError], tuple[int, str]] = {
    errors.Unauthenticated: (401, "invalid_client"),
    errors.LoginFailed: (401, "invalid_client"),
    errors.Forbidden: (403, "unauthorized_client"),
    errors.NotFound: (404, "invalid_request"),
    errors.Gone: (410, "invalid_request"),
    errors.MethodNotAllowed: (405, "invalid_request"),
    errors.Invalid: (400, "invalid_request"),
    errors.NotAllowed: (400, "invalid_request"),
    errors.UnsupportedGrant: (400, "unsupported_grant_type"),
    errors.InvalidScope: (400, "invalid_scope"),
    errors.TooLarge: (413, "invalid_request"),
    errors.AlreadyExists: (409, "invalid_request"),
    errors.Conflict: (409, "invalid_request"),
    errors.VersionProtected: (409, "invalid_request"),
    errors.PreconditionFailed: (412, "invalid_request"),
    errors.IdempotencyMismatch: (422, "invalid_request"),
    # The RFC has no words for these two at this address; this is its word for them at another one.
    errors.TooManyRequests: (429, "temporarily_unavailable"),
    errors.Unavailable: (503, "temporarily_unavailable"),
    errors.TooSlow: (503, "temporarily_unavailable"),
}

INTERNAL = Answer(500, {"error": "server_error", "error_description": "Something went wrong on our side."})

_UNSPEAKABLE = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")
"""What the RFC keeps out of descriptions: quotes, backslashes and whatever is not ASCII."""


def render_error(error: errors.PenstockError) -> Answer:
    status, code = STATUSES[type(error)]
    body = {"error": code, "error_description": _UNSPEAKABLE.sub("'", error.message)}
    headers = dict(UNKEPT)
    if status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="penstock"'
    if isinstance(error, errors.TooManyRequests):
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, errors.Unavailable):
        headers["Retry-After"] = "1"
    return Answer(status, body, headers)
