"""What happens around every handler: a request is admitted, read and checked, then the route's own handler answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiohttp import web

from core.domain.access import Claim, Need, Principal, Role, Visitor
from core.domain.artifacts import MOST_FILE
from core.domain.documents import Document, parse_document
from core.domain.errors import Invalid, NotAllowed, PenstockError, TooLarge
from core.threads import computed
from schemas.fields import load, parameters
from schemas.forms import FORM, parse_form
from service.admission import account, admitted, application_of
from service.auth import claim_of, visitor_of
from service.calls import SERVICE, Call
from service.routes import Route
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


class Endpoint:
    """The aiohttp handler of a route, by when it is found out who asks."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self._read_query = parameters(route.query())
        self._body_schema = route.body() if route.body else None
        self._parse = _parse_form if route.is_form else _parse_json
        self._most = MOST_OPEN_BODY if route.is_open else MOST_FILE if route.is_file else MOST_BODY

    @property
    def handler(self) -> Handler:
        if self._route.is_open:
            return self._handle_anybody
        if not self._route.claims:
            return self._handle
        return self._handle_visitor if self._route.dialect.takes_people else self._handle_claim

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, await admitted(self._route, request))

    async def _handle_anybody(self, request: web.Request) -> web.StreamResponse:
        remote = address_of(request, request.app[SERVICE].settings.trusted_proxies)
        return await self._answer(request, None, remote)

    async def _handle_claim(self, request: web.Request) -> web.StreamResponse:
        claim = claim_of(request, request.app[SERVICE], application_of(request), self._need)
        if _is_large(request):
            await admitted(self._route, request)
        try:
            return await self._answer(request, claim)
        except Invalid:
            await self._judge_first(request)
            raise

    async def _handle_visitor(self, request: web.Request) -> web.StreamResponse:
        visitor = None if _is_large(request) else visitor_of(request, request.app[SERVICE], self._need, self._least)
        if visitor is None:
            principal = await admitted(self._route, request)
            known = Visitor(self._need, self._least, principal.remote, principal=principal)
            return await self._answer(request, known)
        try:
            response = await self._answer(request, visitor)
        except (Invalid, NotAllowed):
            await self._judge_first(request)
            raise
        except PenstockError:
            await account(request, visitor)
            raise
        await account(request, visitor)
        return response

    async def _judge_first(self, request: web.Request) -> None:
        """What is wrong with a request is told to those who may make it."""
        await admitted(self._route, request)

    async def _answer(
        self, request: web.Request, caller: Principal | Claim | Visitor | None, remote: str | None = None
    ) -> web.StreamResponse:
        route, schema = self._route, self._body_schema
        reads = schema is not None or route.is_file or route.is_raw
        raw = await _read(request, self._most) if reads else b""
        given = bool(raw) or not route.is_optional
        document = await computed(len(raw), lambda: self._parse(request, raw)) if schema and given else _NOTHING
        call = Call(
            service=request.app[SERVICE],
            caller=caller,
            path=request.match_info,
            query=self._read_query(request.query if "?" in request.raw_path else {}),
            body=await computed(len(raw), lambda: load(schema, document.value)) if schema else {},
            document=document,
            headers=request.headers,
            method=request.method,
            raw_path=request.raw_path,
            raw_body=raw,
            remote=remote,
        )
        return await (await route.handler(call)).respond(request)

    @property
    def _need(self) -> Need:
        assert self._route.need is not None, "a claim is about something"
        return self._route.need

    @property
    def _least(self) -> Role:
        assert self._route.role is not None, "a route that lets people in says whom"
        return self._route.role


def _is_large(request: web.Request) -> bool:
    """Whether more is to be read than a stranger may have read."""
    if len(request.raw_path) > MOST_UNKNOWN_ADDRESS:
        return True
    return request.body_exists and not 0 <= (request.content_length or -1) <= MOST_UNKNOWN_BODY


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
