"""A client of the real API on a real socket."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
from yarl import URL

from core.settings import Settings
from service.app import listening
from tests.support import conformance


@dataclass(frozen=True)
class Reply:
    """What came back: the body as bytes and, where it is JSON, as its value."""

    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.raw)


class Api:
    """Sends requests as one caller. `credential` is the whole Authorization header; None sends none."""

    def __init__(self, session: aiohttp.ClientSession, url: str, credential: str | None) -> None:
        self.session = session
        self.url = url
        self.credential = credential

    def as_(self, credential: str | None) -> Api:
        """The same API, another caller."""
        return Api(self.session, self.url, credential)

    async def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """`path` goes out as it is, already percent-encoded; `body` as JSON unless it, or `raw`, is the bytes to send.

        An answer that is not as the OpenAPI document says fails the test, whatever the test is about.
        """
        data: Any = raw if raw is not None else _written(body)
        sent = {"Content-Type": "application/json"} if data is not None else {}
        if data is not None and len(data) > 500_000:
            data = io.BytesIO(data)  # piece by piece, as aiohttp asks for
        if self.credential is not None:
            sent["Authorization"] = self.credential
        sent |= dict(headers or {})
        url = URL(self.url + path, encoded=True)
        async with self.session.request(method, url, data=data, headers=sent, allow_redirects=False) as answer:
            reply = Reply(answer.status, answer.headers, await answer.read())
        conformance.check(method, path, reply.status, reply.headers, reply.raw)
        return reply

    async def get(self, path: str, **options: Any) -> Reply:
        return await self.send("GET", path, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> Reply:
        return await self.send("POST", path, body, **options)

    async def patch(self, path: str, body: Any = None, **options: Any) -> Reply:
        return await self.send("PATCH", path, body, **options)

    async def delete(self, path: str, **options: Any) -> Reply:
        return await self.send("DELETE", path, **options)


def _written(body: Any) -> bytes | None:
    return body if body is None or isinstance(body, bytes) else orjson.dumps(body)


@asynccontextmanager
async def open_api(settings: Settings) -> AsyncIterator[Api]:
    """The API on a free port, in this process."""
    async with listening(settings) as url, aiohttp.ClientSession() as session:
        yield Api(session, url, None)
