"""What happens around every handler: admission before it, and one boundary where errors become answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import structlog
from aiohttp import web

from core.domain.access import ActorType, Principal, admits
from core.domain.documents import Document, parse_document
from core.domain.errors import (
    Forbidden,
    Invalid,
    MethodNotAllowed,
    NotFound,
    PenstockError,
    TooLarge,
    TooSlow,
    Unavailable,
)
from core.domain.identifiers import parse_hex_id
from core.operations.flows import APPLICATION_UNKNOWN
from core.store.database import UNREACHABLE
from core.threads import computed
from schemas.fields import load
from service.auth import identify
from service.calls import SERVICE, Call
from service.routes import Dialect, Route, dialect_of

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

BODY_SECONDS = 60.0
"""What a body may take to arrive: 8 MB over a line of 1 Mbit/s. Without a limit, a body that breaks off keeps its
request for as long as the sender keeps the connection."""

_NOTHING = Document({}, {})
_log = structlog.get_logger()


def endpoint(route: Route) -> Handler:
    """The aiohttp handler of a route: authenticates, admits, reads and checks, then calls the route's own."""
    query_schema = route.query()
    body_schema = route.body() if route.body else None

    async def handle(request: web.Request) -> web.StreamResponse:
        service = request.app[SERVICE]
        principal = await identify(request, service.database, keys=route.dialect.takes_keys)
        _admit(route, principal, request)
        raw = await _read(request) if body_schema else b""
        document = await computed(len(raw), lambda: parse_document(raw)) if body_schema else _NOTHING
        call = Call(
            service=service,
            principal=principal,
            path=request.match_info,
            query=load(query_schema, dict(request.query)),
            body=await computed(len(raw), lambda: load(body_schema, document.value)) if body_schema else {},
            document=document,
            headers=request.headers,
            method=request.method,
            raw_path=request.rel_url.raw_path_qs,
            raw_body=raw,
        )
        return await (await route.handler(call)).respond(request)

    return handle


@web.middleware
async def error_boundary(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The only place an error becomes an answer, in the dialect of the address, and the only place it is logged."""
    dialect = dialect_of(request.path)
    try:
        return await handler(request)
    except PenstockError as error:
        return dialect.render(error).response()
    except web.HTTPException as error:
        return _http_answer(dialect, error)
    except asyncpg.QueryCanceledError:
        return dialect.render(TooSlow()).response()
    except UNREACHABLE as error:
        _log.warning("The database cannot be reached; a request was turned away.", cause=type(error).__name__)
        return dialect.render(Unavailable("The database cannot be reached; try again.")).response()
    except Exception:  # noqa: BLE001 - the boundary: whatever got here is logged and becomes a 500
        _log.exception("A request ended in an unexpected error.", method=request.method, route=_route_name(request))
        return dialect.internal.response()


@web.middleware
async def extra_slashes(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Serves `//applications` as `/applications`: clients put a base URL that ends in a slash and our path together.

    A redirect would do for some of them only, and would cost each request a second one.
    """
    path = request.rel_url.raw_path
    if not path.startswith("//"):
        return await handler(request)
    meant = request.clone(rel_url=request.rel_url.with_path("/" + path.lstrip("/"), encoded=True, keep_query=True))
    found = await request.app.router.resolve(meant)
    meant.match_info.update(found)
    return await found.handler(meant)


def _admit(route: Route, principal: Principal, request: web.Request) -> None:
    """A token opens its own application only; another's answers like an unknown one."""
    application = request.match_info.get("applicationId")
    if application is not None and parse_hex_id(application) != principal.application_id:
        raise NotFound(APPLICATION_UNKNOWN)
    if route.need and principal.actor_type is ActorType.API_TOKEN and not admits(principal.scopes, route.need):
        raise Forbidden


async def _read(request: web.Request) -> bytes:
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Invalid("the body must not be compressed")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise Invalid(f"the body did not arrive within {BODY_SECONDS:.0f} s") from None
    except web.HTTPRequestEntityTooLarge:
        raise TooLarge from None
    except (web.RequestPayloadError, ConnectionError):
        # Usually nobody is left to be told; without this a caller that hangs up would pass for a lost database.
        raise Invalid("the body breaks off") from None


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
