"""Who are you: reads the Authorization header. What you may is decided in core/domain/access.py."""

from __future__ import annotations

from aiohttp import web

from core.domain.access import Claim, Need, Principal
from core.domain.errors import Unauthenticated
from core.operations.access import authenticate, digest_of
from core.store.database import Database


async def identify(request: web.Request, database: Database, *, keys: bool) -> Principal:
    """The caller behind a bearer token or, where `keys` are taken, a raw API key. Raises Unauthenticated."""
    credential, bearer = _shown(request)
    if bearer or keys:
        return await authenticate(database, credential, bearer=bearer, remote=request.remote)
    raise Unauthenticated


def claim_of(request: web.Request, application_id: int, need: Need) -> Claim:
    """What the request shows, still to be looked up. Raises Unauthenticated where there is nothing to look up."""
    credential, bearer = _shown(request)
    if not bearer:
        raise Unauthenticated
    return Claim(digest_of(credential), application_id, need, request.remote)


def _shown(request: web.Request) -> tuple[str, bool]:
    """The credential of a request, and whether it is a bearer token. Raises Unauthenticated if there is none."""
    scheme, _, credential = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer" and credential:
        return credential.strip(), True
    if scheme and not credential:
        return scheme, False
    raise Unauthenticated
