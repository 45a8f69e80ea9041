"""A real HTTP server on loopback that records every request and answers from a script."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType

from aiohttp import web


class Manner(Enum):
    """How a reply is given."""

    WHOLE = "at once"
    HELD = "whole, once the test lets go of it"
    SILENT = "not at all, while the connection stays open"
    CUT = "not at all, and the connection is dropped"
    ENDLESS = "a body as fast as it is read, for ever"
    DRIPPING = "a body of one byte every few milliseconds, for ever"


@dataclass(frozen=True, slots=True)
class Reply:
    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    manner: Manner = Manner.WHOLE


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it arrived; header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    port: int
    """Where the connection came from: the same for requests on one connection."""


class Receiver:
    """`async with Receiver() as receiver:`, then `receiver.url` takes any path. Unscripted requests get 204."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.requests: list[Received] = []
        self._tls = tls
        self._port = port
        self._script: deque[Reply] = deque()
        self._unread: asyncio.Queue[Received] = asyncio.Queue()
        self._closing = asyncio.Event()
        self._let_go = asyncio.Event()
        self._runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=1.0)

    async def __aenter__(self) -> Receiver:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=self._tls, reuse_address=True).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def port(self) -> int:
        port = self._runner.addresses[0][1]
        assert isinstance(port, int)
        return port

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/hook"

    def script(self, *replies: Reply) -> None:
        """What the next requests are answered with, one each."""
        self._script.extend(replies)

    def clear(self) -> None:
        """From now on answers are unscripted again."""
        self._script.clear()

    async def next(self, seconds: float = 10.0) -> Received:
        """The next request nobody has taken yet, in order of arrival."""
        async with asyncio.timeout(seconds):
            return await self._unread.get()

    def let_go(self) -> None:
        """Gives the answers that are held."""
        self._let_go.set()

    async def close(self) -> None:
        self._closing.set()
        await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        assert request.transport is not None
        port = request.transport.get_extra_info("peername")[1]
        received = Received(request.method, request.raw_path, headers, await request.content.read(), port)
        self.requests.append(received)
        self._unread.put_nowait(received)
        reply = self._script.popleft() if self._script else Reply()
        match reply.manner:
            case Manner.HELD:
                await self._let_go.wait()
                return web.Response(status=reply.status, headers=reply.headers, body=reply.body)
            case Manner.WHOLE:
                return web.Response(status=reply.status, headers=reply.headers, body=reply.body)
            case Manner.SILENT:
                await self._closing.wait()
                return web.Response(status=503)
            case Manner.CUT:
                assert request.transport is not None
                request.transport.abort()
                return web.Response(status=503)
            case Manner.ENDLESS:
                return await self._stream(request, reply, b"x" * 65_536, 0.0)
            case Manner.DRIPPING:
                return await self._stream(request, reply, b"x", 0.005)

    async def _stream(self, request: web.BaseRequest, reply: Reply, piece: bytes, pause: float) -> web.StreamResponse:
        response = web.StreamResponse(status=reply.status, headers=reply.headers)
        await response.prepare(request)
        while not self._closing.is_set():
            try:
                await response.write(piece)
            except ConnectionError:
                break
            await asyncio.sleep(pause)
        return response
