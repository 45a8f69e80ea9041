"""Who are you: reads the Authorization header. What you may is decided in core/domain/access.py."""

from __future__ import annotations

from aiohttp import web

from core.domain.access import Principal
from core.domain.errors import Unauthenticated
from core.operations.access import authenticate
from core.store.database import Database


async def identify(request: web.Request, database: Database, *, keys: bool) -> Principal:
    """The caller behind a bearer token or, where `keys` are taken, a raw API key. Raises Unauthenticated."""
    scheme, _, credential = request.headers.get("Authorization", "").strip().partition(" ")
    remote = request.remote
    if scheme.lower() == "bearer" and credential:
        return await authenticate(database, credential.strip(), bearer=True, remote=remote)
    if keys and scheme and not credential:
        return await authenticate(database, scheme, bearer=False, remote=remote)
    raise Unauthenticated
