"""`/openapi/<dialect>.json`: the OpenAPI documents.

What makes them is imported when somebody first asks for one: with the shapes of all answers it takes 2 MiB, and most
processes are never asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiohttp import web

from core.domain.etags import is_known
from service.calls import SERVICE, Answer
from service.routes import Dialect

if TYPE_CHECKING:
    from service.openapi import Document

DOCUMENTED = tuple(dialect for dialect in Dialect if dialect.told_with is dialect)
"""The dialects with a document of their own; what the others say stands in one of these."""


def serve_document(dialect: Dialect) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The handler of a dialect's document. It says nothing that the source does not, so it needs no token."""

    async def handle(request: web.Request) -> web.StreamResponse:
        # The first takes some 50 ms, imports and all.
        document = await asyncio.to_thread(_describe, dialect, request.app[SERVICE].settings.public_url)
        known = is_known(request.headers.get("If-None-Match"), document.etag)
        return Answer(304 if known else 200, document.text, {"ETag": document.etag}).response()

    return handle


def _describe(dialect: Dialect, public_url: str) -> Document:
    from service.openapi import describe

    return describe(dialect, public_url)
