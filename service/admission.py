"""Who may make a request: everything between the Authorization header and the handler, and what follows from it."""

from __future__ import annotations

from aiohttp import web

from core.domain.access import Principal, Visitor, require
from core.domain.errors import NotFound, TooManyRequests
from core.domain.identifiers import parse_hex_id
from core.operations.access import APPLICATION_UNKNOWN, note_key_use
from service.auth import identify
from service.calls import SERVICE, Service
from service.rates import STANDING
from service.routes import Route


async def admitted(route: Route, request: web.Request) -> Principal:
    """Whoever asks, looked up, counted, and allowed to do this.

    Raises Unauthenticated, TooManyRequests, NotFound for another's application, and Forbidden.
    """
    service = request.app[SERVICE]
    principal = await identify(request, service, people=route.dialect.takes_people)
    if route.is_counted:
        await _count(request, service, principal)
    if principal.role is None and _is_elsewhere(request, principal):
        raise NotFound(APPLICATION_UNKNOWN)
    require(principal, route.need, route.role)
    return principal


async def account(request: web.Request, visitor: Visitor) -> None:
    """What is left to do when an answer has told who asked.

    Raises TooManyRequests, which takes the place of an answer that was one too many.
    """
    if visitor.principal is None:
        return
    service = request.app[SERVICE]
    if visitor.unnoted:
        await note_key_use(service.database, visitor.principal)
    await _count(request, service, visitor.principal)


def application_of(request: web.Request) -> int:
    """The application in the address; 0, which nothing has, for text that is no id."""
    return parse_hex_id(request.match_info["applicationId"]) or 0


def _is_elsewhere(request: web.Request, principal: Principal) -> bool:
    """A token opens its own application only; another's answers like an unknown one."""
    return "applicationId" in request.match_info and application_of(request) != principal.application_id


async def _count(request: web.Request, service: Service, principal: Principal) -> None:
    """Counts the request for its company. Raises TooManyRequests for one too many."""
    limit = service.settings.rate_limit if principal.rate_limit is None else principal.rate_limit
    if limit == 0:
        return
    standing = await service.rates.count(principal.company_id, limit)
    if standing is None:
        return
    request[STANDING] = standing
    if standing.retry_after is not None:
        raise TooManyRequests(f"Too many requests: this company may make {limit} a minute.", standing.retry_after)
