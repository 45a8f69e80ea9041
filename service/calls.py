"""What a handler gets: the service it runs in, who asks, and a request that has already been read and checked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import orjson
from aiohttp import web

from core.domain.access import Principal
from core.domain.documents import Document
from core.domain.identifiers import parse_hex_id
from core.operations.deletions import Terms
from core.settings import Settings
from core.store.database import Database
from service.hints import Hints


@dataclass(frozen=True, slots=True)
class Service:
    """Everything a request can use, made once per process."""

    settings: Settings
    database: Database
    hints: Hints
    terms: Terms

    @property
    def keep(self) -> timedelta:
        """How long deleted versions stay in the trash."""
        return timedelta(days=self.settings.undo_days)


INLINE_BYTES = 65_536
"""What is worth a thread: parsing or digesting 64 kB takes about 2 ms, which others on the event loop can bear."""

Result = TypeVar("Result")


async def computed(size: int, work: Callable[[], Result]) -> Result:
    """The result of `work`, done in a thread when it is about more than INLINE_BYTES."""
    return work() if size <= INLINE_BYTES else await asyncio.to_thread(work)


SERVICE: web.AppKey[Service] = web.AppKey("service", Service)


@dataclass(frozen=True, slots=True)
class Call:
    """One request, authenticated, admitted and parsed."""

    service: Service
    principal: Principal
    path: Mapping[str, str]
    query: Mapping[str, Any]
    body: Mapping[str, Any]
    document: Document
    headers: Mapping[str, str]
    method: str
    raw_path: str
    raw_body: bytes

    @property
    def database(self) -> Database:
        return self.service.database

    def hex_id(self, name: str) -> int:
        """The id in a path segment; 0, which nothing has, for text that is no id, so that it answers as unknown."""
        return parse_hex_id(self.path[name]) or 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler returns: a status, a body to be written as JSON or already written, and headers."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> web.Response:
        text = self.body if isinstance(self.body, bytes) else orjson.dumps(self.body)
        headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff", **self.headers}
        if self.status == 304:
            return web.Response(status=304, headers=headers)
        return web.Response(status=self.status, body=text, content_type="application/json", headers=headers)
