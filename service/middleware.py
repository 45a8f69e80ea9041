"""One boundary where errors become answers, and addresses as clients spell them."""

from __future__ import annotations

import asyncpg
import structlog
from aiohttp import web

from core.domain.errors import (
    MethodNotAllowed,
    NotFound,
    PenstockError,
    TooLarge,
    TooSlow,
    Unavailable,
)
from core.store.database import UNREACHABLE
from service.endpoints import Handler
from service.rates import STANDING
from service.routes import Dialect, dialect_of

_log = structlog.get_logger()


@web.middleware
async def error_boundary(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The only place an error becomes an answer, in the dialect of the address, and the only place it is logged."""
    try:
        return await handler(request)
    except PenstockError as error:
        return _dialect(request).render(error).response()
    except web.HTTPException as error:
        return _http_answer(_dialect(request), error)
    except asyncpg.QueryCanceledError:
        return _dialect(request).render(TooSlow()).response()
    except UNREACHABLE as error:
        _log.warning("The database cannot be reached; a request was turned away.", cause=type(error).__name__)
        return _dialect(request).render(Unavailable("The database cannot be reached; try again.")).response()
    except Exception:  # noqa: BLE001 - the boundary: whatever got here is logged and becomes a 500
        _log.exception("A request ended in an unexpected error.", method=request.method, route=_route_name(request))
        return _dialect(request).internal.response()


@web.middleware
async def extra_slashes(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Serves `//applications` as `/applications`: clients put a base URL that ends in a slash and our path together.

    A redirect would do for some of them only, and would cost each request a second one.
    """
    if not request.raw_path.startswith("//"):
        return await handler(request)
    path = request.rel_url.raw_path
    meant = request.clone(rel_url=request.rel_url.with_path("/" + path.lstrip("/"), encoded=True, keep_query=True))
    found = await request.app.router.resolve(meant)
    meant.match_info.update(found)
    try:
        return await found.handler(meant)
    finally:
        if STANDING in meant:
            request[STANDING] = meant[STANDING]  # the answer is prepared for the request as it came


def _dialect(request: web.Request) -> Dialect:
    return dialect_of(request.path)


def _http_answer(dialect: Dialect, error: web.HTTPException) -> web.StreamResponse:
    """aiohttp's own refusals, in the dialect's shape."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        response = dialect.render(MethodNotAllowed(f"{error.method} is not allowed here.")).response()
        response.headers["Allow"] = ", ".join(sorted(error.allowed_methods))
        return response
    if isinstance(error, web.HTTPNotFound):
        return dialect.render(NotFound("There is nothing at this address.")).response()
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return dialect.render(TooLarge()).response()
    raise error


def _route_name(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource else "none"
