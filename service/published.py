"""`/.well-known/penstock-keys.json`: what verifies everything this installation has signed, without a token."""

from __future__ import annotations

import asyncpg
from aiohttp import web

from core.domain.errors import Unavailable
from core.domain.signing import render_key
from core.operations.artifact_keys import read_public_keys
from core.store.database import UNREACHABLE
from service.calls import SERVICE, Answer

KEYS = "/.well-known/penstock-keys.json"

_KEPT = {"Cache-Control": "public, max-age=300"}
"""So soon a revoked key is known to be one."""


async def serve_keys(request: web.Request) -> web.Response:
    """A JWK set (RFC 7517), the key that signs first, the revoked ones among them."""
    try:
        keys = await read_public_keys(request.app[SERVICE].database)
    except (*UNREACHABLE, Unavailable, asyncpg.PostgresError) as error:
        return Answer(503, {"status": "unavailable", "database": type(error).__name__}).response()
    return Answer(200, {"keys": [render_key(key) for key in keys]}, _KEPT).response()
