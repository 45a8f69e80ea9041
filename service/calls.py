"""What a handler gets: the service it runs in, who asks, and a request that has already been read and checked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import orjson
import structlog
from aiohttp import web

from core.domain.access import Claim, Principal, Visitor
from core.domain.documents import Document
from core.domain.errors import PenstockError
from core.domain.etags import Etag, parse_if_match
from core.domain.identifiers import parse_hex_id, parse_integer_id
from core.operations.logins import Issuing
from core.operations.settling import Terms
from core.settings import Settings
from core.store.database import UNREACHABLE, Database
from service.hashing import Hashing
from service.hints import Hints
from service.rates import Rates
from service.watching import Watch


@dataclass(frozen=True, slots=True)
class Service:
    """Everything a request can use, made once per process."""

    settings: Settings
    database: Database
    hints: Hints
    watch: Watch
    terms: Terms
    hashing: Hashing
    rates: Rates

    @property
    def issuing(self) -> Issuing:
        """What login tokens are made and known by."""
        return Issuing.of(self.settings)

    @property
    def keep(self) -> timedelta:
        """How long deleted versions stay in the trash."""
        return timedelta(days=self.settings.undo_days)


UNKEPT = {"Cache-Control": "no-store"}
"""A header of every answer that holds a credential: nobody keeps it at all."""

_GUARDED = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
"""Headers of every answer: nobody keeps it without asking, nobody guesses what it is."""

_JSON = {**_GUARDED, "Content-Type": "application/json"}

_log = structlog.get_logger()

SERVICE: web.AppKey[Service] = web.AppKey("service", Service)


@dataclass(slots=True)
class Call:
    """One request, admitted and parsed; on a route that admits within its operation, only parsed.

    Not frozen, and so is its Answer: that would double what it takes to make one.
    """

    service: Service
    caller: Principal | Claim | Visitor | None
    """None on a route that is open to everybody."""
    path: Mapping[str, str]
    query: Mapping[str, Any]
    body: Mapping[str, Any]
    document: Document
    headers: Mapping[str, str]
    method: str
    raw_path: str
    raw_body: bytes
    remote: str | None
    """Where it comes from, on a route that is open to everybody; elsewhere the caller carries it."""

    @property
    def asker(self) -> Principal | Claim:
        """Either of the two below, for an operation that takes both."""
        assert isinstance(self.caller, (Principal, Claim)), "this route is open to everybody, or for visitors"
        return self.caller

    @property
    def principal(self) -> Principal:
        """Who asks."""
        assert isinstance(self.caller, Principal), "this route admits within its operation, or everybody"
        return self.caller

    @property
    def claim(self) -> Claim:
        """What the request shows of itself, for the operation to look up."""
        assert isinstance(self.caller, Claim), "this route admits before its operation, or everybody"
        return self.caller

    @property
    def visitor(self) -> Visitor:
        """Who asks, for the operation to settle."""
        assert isinstance(self.caller, Visitor), "this route admits before its operation, or everybody"
        return self.caller

    @property
    def database(self) -> Database:
        return self.service.database

    @property
    def if_match(self) -> Etag:
        """What the caller says it has last seen."""
        return parse_if_match(self.headers.get("If-Match"))

    def integer_id(self, name: str) -> int:
        """The same for a native address, where ids are plain numbers."""
        return parse_integer_id(self.path[name]) or 0

    def hex_id(self, name: str) -> int:
        """The id in a path segment; 0, which nothing has, for text that is no id, so that it answers as unknown."""
        return parse_hex_id(self.path[name]) or 0


@dataclass(slots=True)
class Answer:
    """What a handler returns: a status, a body to be written as JSON or already written, and headers."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    async def respond(self, _: web.Request) -> web.StreamResponse:
        return self.response()

    def response(self) -> web.Response:
        if self.status in (204, 304):
            return web.Response(status=self.status, headers={**_GUARDED, **self.headers})
        text = self.body if isinstance(self.body, bytes) else orjson.dumps(self.body)
        return web.Response(status=self.status, body=text, headers={**_JSON, **self.headers})


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that is written as it comes into being; it ends with its source or with the caller's patience.

    If the source fails, the connection is cut: an answer that has begun cannot become an error, and one that ends in
    good order would pass for whole.
    """

    content_type: str
    source: AsyncIterator[bytes]

    async def respond(self, request: web.Request) -> web.StreamResponse:
        headers = {**_GUARDED, "Content-Type": self.content_type, "X-Accel-Buffering": "no"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        try:
            await self._write(response)
        except Exception as error:  # noqa: BLE001 - the boundary of an answer that has begun
            log = _log.warning if isinstance(error, (PenstockError, *UNREACHABLE)) else _log.exception
            log("A stream broke off.", cause=type(error).__name__)
            if request.transport is not None:
                request.transport.abort()
        return response

    async def _write(self, response: web.StreamResponse) -> None:
        async for part in self.source:
            try:
                await response.write(part)
            except ConnectionResetError:
                return  # the caller has left
        with suppress(ConnectionResetError):
            await response.write_eof()
