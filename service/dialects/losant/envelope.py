"""Losant's error shape, `{type, message}`, for every error there is."""

from __future__ import annotations

from core.domain import errors
from service.calls import Answer

STATUSES: dict[type[errors.PenstockError], tuple[int, str]] = {
    errors.Unauthenticated: (401, "Unauthorized"),
    errors.LoginFailed: (401, "Unauthorized"),
    errors.Forbidden: (403, "Forbidden"),
    errors.NotFound: (404, "NotFound"),
    errors.Gone: (410, "Gone"),
    errors.MethodNotAllowed: (405, "MethodNotAllowed"),
    errors.Invalid: (400, "Validation"),
    errors.NotAllowed: (400, "Validation"),
    errors.UnsupportedGrant: (400, "Validation"),
    errors.InvalidScope: (400, "Validation"),
    errors.TooLarge: (413, "PayloadTooLarge"),
    # 400, because the contract declares no other code for a request that cannot be carried out.
    errors.AlreadyExists: (400, "AlreadyExists"),
    errors.Conflict: (400, "Validation"),
    errors.VersionProtected: (400, "Validation"),
    errors.PreconditionFailed: (412, "PreconditionFailed"),
    errors.IdempotencyMismatch: (422, "Validation"),
    errors.TooManyRequests: (429, "TooManyRequests"),
    errors.Unavailable: (503, "ServiceUnavailable"),
    errors.TooSlow: (503, "ServiceUnavailable"),
}

INTERNAL = Answer(500, {"type": "InternalServerError", "message": "Something went wrong on our side."})


def render_error(error: errors.PenstockError) -> Answer:
    status, kind = STATUSES[type(error)]
    headers = {"Retry-After": "1"} if isinstance(error, errors.Unavailable) else {}
    if isinstance(error, errors.TooManyRequests):
        headers = {"Retry-After": str(error.retry_after)}
    return Answer(status, {"type": kind, "message": error.message}, headers)
