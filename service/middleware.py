"""What happens around every handler: admission before it, and one boundary where errors become answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg
import structlog
from aiohttp import web

from core.domain.access import Claim, Need, Principal, admits, require_role
from core.domain.documents import Document, parse_document
from core.domain.errors import (
    Forbidden,
    Invalid,
    MethodNotAllowed,
    NotFound,
    PenstockError,
    TooLarge,
    TooManyRequests,
    TooSlow,
    Unavailable,
)
from core.domain.identifiers import parse_hex_id
from core.operations.access import APPLICATION_UNKNOWN
from core.store.database import UNREACHABLE
from core.threads import computed
from schemas.fields import load, parameters
from schemas.forms import FORM, parse_form
from service.auth import claim_of, identify
from service.calls import SERVICE, Call, Service
from service.rates import STANDING
from service.routes import Dialect, Route, dialect_of
from service.senders import address_of

Bytes = TypeVar("Bytes", bytes, bytearray)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MOST_BODY = 8 * 1024 * 1024
"""The largest request body in bytes: Patchworks documents 8 MB."""

MOST_OPEN_BODY = 65_536
"""The largest from somebody nobody knows. A name and a password of the greatest length take some kilobytes."""

BODY_SECONDS = 60.0
"""What a body may take to arrive: 8 MB over a line of 1 Mbit/s. Without a limit, a body that breaks off keeps its
request for as long as the sender keeps the connection."""

MOST_UNKNOWN_ADDRESS = 4_096
"""Bytes of an address that are read before it is known who asks: any list with a filter, and most queries."""

MOST_UNKNOWN_BODY = 16_384
"""The same of a body: an ordinary workflow, parsed in a third of a millisecond."""

_NOTHING = Document({}, {})
_log = structlog.get_logger()


def endpoint(route: Route) -> Handler:
    """The aiohttp handler of a route: authenticates, admits, reads and checks, then calls the route's own."""
    read_query = parameters(route.query())
    body_schema = route.body() if route.body else None
    reads_body = body_schema is not None or route.is_raw
    parse = _parse_form if route.is_form else _parse_json

    async def admitted(request: web.Request) -> Principal:
        service = request.app[SERVICE]
        principal = await identify(request, service, people=route.dialect.takes_people)
        if route.is_counted:
            await _count(request, service, principal)
        _admit(route, principal, request)
        return principal

    async def answer(
        request: web.Request, caller: Principal | Claim | None, remote: str | None = None
    ) -> web.StreamResponse:
        service = request.app[SERVICE]
        raw = await _read(request, MOST_OPEN_BODY if route.is_open else MOST_BODY) if reads_body else b""
        is_said = body_schema is not None and (raw or not route.is_optional)
        document = await computed(len(raw), lambda: parse(request, raw)) if is_said else _NOTHING
        call = Call(
            service=service,
            caller=caller,
            path=request.match_info,
            query=read_query(request.query if "?" in request.raw_path else {}),
            body=await computed(len(raw), lambda: load(body_schema, document.value)) if body_schema else {},
            document=document,
            headers=request.headers,
            method=request.method,
            raw_path=request.raw_path,
            raw_body=raw,
            remote=remote,
        )
        return await (await route.handler(call)).respond(request)

    async def handle(request: web.Request) -> web.StreamResponse:
        return await answer(request, await admitted(request))

    async def handle_open(request: web.Request) -> web.StreamResponse:
        return await answer(request, None, address_of(request, request.app[SERVICE].settings.trusted_proxies))

    async def handle_claim(request: web.Request) -> web.StreamResponse:
        claim = claim_of(request, request.app[SERVICE], _application(request), _need(route))
        if _is_large(request):
            await admitted(request)
        try:
            return await answer(request, claim)
        except Invalid:
            await admitted(request)  # what is wrong with a request is told to those who may make it
            raise

    if route.is_open:
        return handle_open
    return handle_claim if route.claims else handle


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


def _is_large(request: web.Request) -> bool:
    """Whether more is to be read than a stranger may have read."""
    if len(request.raw_path) > MOST_UNKNOWN_ADDRESS:
        return True
    return request.body_exists and not 0 <= (request.content_length or -1) <= MOST_UNKNOWN_BODY


def _application(request: web.Request) -> int:
    """The application in the address; 0, which nothing has, for text that is no id."""
    return parse_hex_id(request.match_info["applicationId"]) or 0


def _need(route: Route) -> Need:
    assert route.need is not None, "a claim is about something"
    return route.need


async def _count(request: web.Request, service: Service, principal: Principal) -> None:
    """Counts the request for its company. Raises TooManyRequests for one too many."""
    limit = service.settings.rate_limit if principal.rate_limit is None else principal.rate_limit
    if limit == 0:
        return
    standing = await service.rates.count(principal.company_id, limit)
    if standing is None:
        return
    request[STANDING] = standing
    if standing.retry_after is not None:
        raise TooManyRequests(f"Too many requests: this company may make {limit} a minute.", standing.retry_after)


def _admit(route: Route, principal: Principal, request: web.Request) -> None:
    """A token opens its own application only; another's answers like an unknown one. Whoever has a role needs one."""
    if principal.role is not None:
        assert route.role is not None, "a route that lets people in says whom"
        require_role(principal, route.role)
        return
    if "applicationId" in request.match_info and _application(request) != principal.application_id:
        raise NotFound(APPLICATION_UNKNOWN)
    if route.need and not admits(principal.scopes, route.need):
        raise Forbidden


def _parse_json(_: web.Request, raw: bytes) -> Document:
    return parse_document(raw)


def _parse_form(request: web.Request, raw: bytes) -> Document:
    if request.content_type != FORM:
        raise Invalid(f"the body must be {FORM}")
    return Document(dict(parse_form(raw)), {})


async def _read(request: web.Request, most: int) -> bytes:
    """The body, of at most so many bytes."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Invalid("the body must not be compressed")
    try:
        if request.content.is_eof():  # it came along with the head, as most do
            return _bounded(request.content.read_nowait(), most)
        async with asyncio.timeout(BODY_SECONDS):
            return await _gather(request, most)
    except TimeoutError:
        raise Invalid(f"the body did not arrive within {BODY_SECONDS:.0f} s") from None
    except (web.RequestPayloadError, ConnectionError):
        # Usually nobody is left to be told; without this a caller that hangs up would pass for a lost database.
        raise Invalid("the body breaks off") from None


async def _gather(request: web.Request, most: int) -> bytes:
    body = bytearray()
    async for part in request.content.iter_any():
        body += part
        _bounded(body, most)
    return bytes(body)


def _bounded(body: Bytes, most: int) -> Bytes:
    if len(body) > most:
        raise TooLarge
    return body


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
