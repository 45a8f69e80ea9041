"""The shapes of everything under /api/v1: `{data}`, `{data, meta, links}`, and `{message}` for errors."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from core.domain import errors
from service.calls import Answer

STATUSES: dict[type[errors.PenstockError], int] = {
    errors.Unauthenticated: 401,
    errors.LoginFailed: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Gone: 410,
    errors.MethodNotAllowed: 405,
    errors.Invalid: 422,
    errors.NotAllowed: 400,
    errors.UnsupportedGrant: 422,
    errors.InvalidScope: 422,
    errors.TooLarge: 413,
    errors.AlreadyExists: 409,
    errors.Conflict: 409,
    errors.VersionProtected: 409,
    errors.PreconditionFailed: 412,
    errors.IdempotencyMismatch: 422,
    errors.TooManyRequests: 429,
    errors.Unavailable: 503,
    errors.TooSlow: 503,
}

INTERNAL = Answer(500, {"message": "Server Error"})


def render_error(error: errors.PenstockError) -> Answer:
    status = STATUSES[type(error)]
    body: dict[str, Any] = {"message": error.message}
    if isinstance(error, errors.Unauthenticated):
        body["message"] = "Unauthenticated."
    if isinstance(error, errors.Invalid) and error.path:
        body["errors"] = {error.path: [error.problem]}
    return Answer(status, body, _retry(error))


def _retry(error: errors.PenstockError) -> dict[str, str]:
    """When to come back, where time helps."""
    if isinstance(error, errors.TooManyRequests):
        return {"Retry-After": str(error.retry_after)}
    return {"Retry-After": "1"} if isinstance(error, errors.Unavailable) else {}


def page(rows: Any, count: int, *, path: str, query: dict[str, str], number: int, per_page: int, total: int) -> Answer:
    """A page of so many rows, numbered from 1, with links that keep the rest of the query string."""
    last = max(1, -(-total // per_page))
    first_row = (number - 1) * per_page + 1

    def link(to: int) -> str:
        return f"{path}?{urlencode({**query, 'page': to})}"

    meta = {
        "current_page": number,
        "from": first_row if count else None,
        "last_page": last,
        "path": path,
        "per_page": per_page,
        "to": first_row + count - 1 if count else None,
        "total": total,
    }
    links = {
        "first": link(1),
        "last": link(last),
        "prev": link(number - 1) if number > 1 else None,
        "next": link(number + 1) if number < last else None,
    }
    return Answer(200, {"data": rows, "meta": meta, "links": links})
