"""A tap on the line between a client and the API: every exchange passes as it is, and is kept."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson
from aiohttp import web
from yarl import URL

from service.app import LONGEST_ADDRESS

HOP_BY_HOP = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}
"""Headers that are about one connection, of which there are two here."""


@dataclass(frozen=True)
class Exchange:
    """One request as it was on the wire, its path still percent-encoded, and the answer to it."""

    method: str
    path: str
    sent: Mapping[str, str]
    body: bytes
    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.raw)


@dataclass
class Tap:
    """`url` leads to the API through here; `exchanges` are in the order of their answers."""

    url: str
    exchanges: list[Exchange] = field(default_factory=list)

    @property
    def last(self) -> Exchange:
        return self.exchanges[-1]


@asynccontextmanager
async def open_tap(target: str) -> AsyncIterator[Tap]:
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(auto_decompress=False))
        tap = Tap("")

        async def pass_on(request: web.BaseRequest) -> web.Response:
            exchange = await _exchange(session, target, request)
            tap.exchanges.append(exchange)
            return web.Response(status=exchange.status, body=exchange.raw, headers=_kept(exchange.headers))

        runner = web.ServerRunner(web.Server(pass_on, access_log=None, max_line_size=LONGEST_ADDRESS))
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        tap.url = f"http://{host}:{port}"
        yield tap


async def _exchange(session: aiohttp.ClientSession, target: str, request: web.BaseRequest) -> Exchange:
    body = await request.content.read()  # how much is too much is for the target to say
    url = URL(target + request.raw_path, encoded=True)
    sent = _kept(request.headers)
    options: dict[str, Any] = {"allow_redirects": False, "skip_auto_headers": ["Content-Type"]}
    content = io.BytesIO(body) if body else None  # aiohttp warns of a large one in bytes
    async with session.request(request.method, url, data=content, headers=sent, **options) as answer:
        return Exchange(
            request.method, request.raw_path, sent, body, answer.status, answer.headers.copy(), await answer.read()
        )


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in HOP_BY_HOP}
