"""What the generated tests share: every route there is, a request for it, and how a refusal looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import pytest

from schemas.forms import FORM
from service.native import jobs as native_jobs
from service.routes import ROUTES, Dialect, Route
from tests.api.conftest import Ground
from tests.support.api import Api, Reply
from tests.support.arrangements import ARRANGEMENTS, Arranged
from tests.support.tenants import Tenant


def titles(route: Route) -> str:
    return f"{route.method} {route.path}"


def is_market(route: Route) -> bool:
    """Whether it is about the marketplace, which companies of a family share and which is not of any application: most
    generated tests expect one or the other of their ids. What is special is in test_marketplace_routes.py."""
    return "/marketplace/" in route.path or route.path.endswith("/upload")


def every(wanted: Callable[[Route], object] = bool, *, market: bool = False) -> pytest.MarkDecorator:
    """A test of each route, or of each that is wanted; of the marketplace's only if that is said."""
    routes = [route for route in ROUTES if wanted(route) and (market or not is_market(route))]
    return pytest.mark.parametrize("route", routes, ids=titles)


every_route = every()
every_closed_route = every(lambda route: not route.is_open)
"""Every one that asks who is there."""
every_route_with_ids = every(lambda route: "{" in route.path)
every_route_with_a_body = every(lambda route: route.body and not route.is_form)


def names_of(route: Route) -> list[str]:
    """The names of a route's path parameters, in order."""
    return [part[1:-1] for part in route.path.split("/") if part.startswith("{")]


async def arrange(route: Route, tenant: Tenant) -> Arranged:
    assert route.handler in ARRANGEMENTS, f"{titles(route)} has no arrangement in tests/support/arrangements.py"
    return await ARRANGEMENTS[route.handler](tenant)


def kind_of(route: Route, answer: Reply) -> str:
    """The content type an answer of the route has: JSON but for the one stream that succeeds."""
    follows = route.handler is native_jobs.follow_job and answer.status == route.success
    return "text/event-stream" if follows else "application/json"


def assert_answer(answer: Reply, status: int, body: object) -> None:
    assert (answer.status, answer.json) == (status, body)


def assert_error(answer: Reply, status: int, kind: str, message: str) -> None:
    """A refusal of the Losant dialect."""
    assert_answer(answer, status, {"type": kind, "message": message})


async def ask(api: Api, route: Route, arranged: Arranged, **others: str) -> Reply:
    return await send(api, route, arranged.path(route, **others), arranged.sent)


async def send(
    api: Api, route: Route, path: str, body: Mapping[str, Any] | bytes | None, headers: Mapping[str, str] | None = None
) -> Reply:
    """One request with a body of the kind that the route reads."""
    if not route.is_form or isinstance(body, bytes):
        return await api.send(route.method, path, body, headers=headers)
    raw = urlencode(body or {}).encode()
    return await api.send(route.method, path, raw=raw, headers={"Content-Type": FORM, **(headers or {})})


async def assert_open(ground: Ground, route: Route, arranged: Arranged) -> None:
    """The control of every refusal: the owner's own request, with nothing wrong in it, succeeds."""
    answer = await ask(ground.opening(route), route, arranged)
    assert answer.status == route.success, answer.raw


def refusal(route: Route, status: int, kind: str, message: str) -> dict[str, str]:
    """The body a refusal has in the route's dialect."""
    if route.dialect is Dialect.LOSANT:
        return {"type": kind, "message": message}
    if route.dialect is Dialect.OAUTH:
        return {"error": "invalid_request", "error_description": message}
    return {"message": "Unauthenticated." if status == 401 else message}


def assert_refused(route: Route, answer: Reply, status: int, kind: str, message: str) -> None:
    assert (answer.status, answer.json) == (status, refusal(route, status, kind, message))
    assert answer.headers["Content-Type"].startswith("application/json")


def assert_invalid(route: Route, answer: Reply, path: str) -> None:
    """A refusal of what was sent, in the dialect's shape, that names the path or what is wrong inside of it."""
    body = answer.json
    if route.dialect is Dialect.LOSANT:
        assert (answer.status, set(body), body["type"]) == (400, {"type", "message"}, "Validation"), answer.raw
    else:
        assert (answer.status, set(body), list(body["errors"])) == (422, {"message", "errors"}, [path]), answer.raw
    assert body["message"].startswith((f"{path}: ", f"{path}.")), answer.raw
