"""Who are you: reads the Authorization header. What you may is decided in core/domain/access.py."""

from __future__ import annotations

from aiohttp import web

from core.domain.access import Claim, Need, Principal, Role, Visitor
from core.domain.bearer import is_login_token
from core.domain.errors import Unauthenticated
from core.operations.access import authenticate, digest_of
from core.operations.logins import recognise
from service.calls import Service
from service.senders import address_of


async def identify(request: web.Request, service: Service, *, people: bool) -> Principal:
    """The caller behind an application's token or, where `people` are let in, a login token or a raw API key.

    A bearer token tells by its form which of the two it is. Raises Unauthenticated.
    """
    credential, bearer = _shown(request)
    remote = address_of(request, service.settings.trusted_proxies)
    if bearer and people and is_login_token(credential):
        return await recognise(service.database, credential, service.issuing, remote=remote)
    if bearer or people:
        return await authenticate(service.database, credential, bearer=bearer, remote=remote)
    raise Unauthenticated


def claim_of(request: web.Request, service: Service, application_id: int, need: Need) -> Claim:
    """What the request shows, still to be looked up. Raises Unauthenticated where there is nothing to look up."""
    credential, bearer = _shown(request)
    if not bearer:
        raise Unauthenticated
    remote = address_of(request, service.settings.trusted_proxies)
    return Claim(digest_of(credential), application_id, need, remote)


def visitor_of(request: web.Request, service: Service, need: Need, least: Role) -> Visitor | None:
    """The same under /api/v1; None for a login token, whose bearer has to be recognised first."""
    credential, bearer = _shown(request)
    if bearer and is_login_token(credential):
        return None
    remote = address_of(request, service.settings.trusted_proxies)
    return Visitor(need, least, remote, digest_of(credential), is_key=not bearer)


def _shown(request: web.Request) -> tuple[str, bool]:
    """The credential of a request, and whether it is a bearer token. Raises Unauthenticated if there is none."""
    scheme, _, credential = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer" and credential:
        return credential.strip(), True
    if scheme and not credential:
        return scheme, False
    raise Unauthenticated
