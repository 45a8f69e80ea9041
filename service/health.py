"""Is it up, is it ready: for supervisors and load balancers, without a token."""

from __future__ import annotations

import asyncpg
from aiohttp import web

from core.domain.errors import Unavailable
from core.store.database import UNREACHABLE
from core.store.migrate import pending
from service.calls import SERVICE, Answer


async def healthz(_: web.Request) -> web.Response:
    """The process runs and its event loop turns."""
    return Answer(200, {"status": "ok"}).response()


async def readyz(request: web.Request) -> web.Response:
    """Requests can be served: PostgreSQL answers and has this release's schema.

    Redis is not asked: without it jobs are accepted all the same and delivered when it is back.
    """
    try:
        async with request.app[SERVICE].database.connection() as connection:
            missing = await pending(connection)
    except (*UNREACHABLE, Unavailable, asyncpg.PostgresError) as error:
        return Answer(503, {"status": "unavailable", "database": type(error).__name__}).response()
    if missing:
        return Answer(503, {"status": "unavailable", "database": f"{missing} migrations are missing"}).response()
    return Answer(200, {"status": "ready", "database": "ok"}).response()
