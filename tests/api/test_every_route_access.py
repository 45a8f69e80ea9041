"""Who gets into every route there is, and whose ids it knows there: generated from the route table.

Each refusal is compared with an answer that must look the same, the request that is refused would succeed but for one
thing, and nothing is written.
"""

from __future__ import annotations

import pytest
from aiohttp import web

from core.domain.identifiers import LARGEST_ID, hex_id
from core.operations import access
from service.app import create_app, open_service
from service.documents import DOCUMENTED
from service.published import KEYS
from service.routes import ROUTES, Dialect, Route
from tests.api.cases import (
    arrange,
    ask,
    assert_open,
    assert_refused,
    every,
    every_closed_route,
    every_route_with_ids,
    names_of,
)
from tests.api.conftest import Ground
from tests.support.arrangements import ARRANGEMENTS, UNKNOWN, make_key
from tests.support.contents import unchanged
from tests.support.tenants import Tenant, yesterday

ARABIC_ONES = "%D9%A1" * 24
"""24 Arabic digits, percent-encoded: `str.isdigit` and `int` would take them."""

MALFORMED = {
    "word": "nonsense",
    "zeros": "0" * 24,
    "beyond bigint": "f" * 24,
    "short": "1" * 23,
    "long": "1" * 25,
    "Arabic digits": ARABIC_ONES,
    "full-width digits": "%EF%BC%91" * 24,
    "signed": "%2B" + "1" * 23,
    "underscored": "1" * 12 + "_" + "1" * 11,
    "blank at the end": "0" * 23 + "1%20",
    "newline at the end": "0" * 23 + "1%0A",
    "NUL": "%00",
    "NUL inside": "1" * 12 + "%00" + "1" * 11,
    "slash": "1%2F1",
    "dots": "..%2F..",
    "no UTF-8": "%FF%FE",
    "half a surrogate pair": "%ED%A0%80",
    "quote": "1'%3B--",
    "very long": "a" * 4000,
}
"""Path segments that no id has, percent-encoded."""


def respelled(known: str) -> dict[str, str]:
    """A plain number that exists, in ways that `int` or a careless pattern would take for it, percent-encoded."""
    number = int(known)
    return {
        "zero": "0",
        "leading zero": f"0{number}",
        "plus": f"%2B{number}",
        "minus": f"-{number}",
        "Losant's way": hex_id(number),
        "hexadecimal": hex(number),
        "Arabic digits": "".join(f"%D9%A{digit}" for digit in known),
        "full-width digits": "".join(f"%EF%BC%9{digit}" for digit in known),
        "fraction": f"{number}.0",
        "exponent": f"{number}e0",
        "underscore": f"{number}_",
        "blank": f"%20{number}",
        "newline": f"{number}%0A",
        "one too large": str(LARGEST_ID + 1),
        "64 bits around": str(2**64 + number),
    }


NUMBERS = {"flow", "entry", "version", "flow_version", "schedule"}
"""Path parameters of native addresses, where ids are plain numbers."""


def malformed(name: str, known: str) -> dict[str, str]:
    """What must be unknown where `known` is not."""
    return MALFORMED | respelled(known) if name in NUMBERS else MALFORMED


async def test_the_router_holds_the_table_and_nothing_else(ground: Ground) -> None:
    async with open_service(ground.settings) as service:
        app = create_app(service)
    found = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if isinstance(route, web.AbstractRoute) and route.resource is not None
    }
    documents = {f"/openapi/{dialect.value}.json" for dialect in DOCUMENTED} | {KEYS}
    open_to_all = {(method, path) for method in ("GET", "HEAD") for path in {"/healthz", "/readyz"} | documents}
    assert found == {(route.method, route.path) for route in ROUTES} | open_to_all
    assert len({route.handler for route in ROUTES}) == len(ROUTES), "arrangements go by handler"


def test_every_arrangement_belongs_to_a_route() -> None:
    assert set(ARRANGEMENTS) == {route.handler for route in ROUTES}


# Who gets in


CREDENTIALS = {
    "none": None,
    "empty": "",
    "scheme alone": "Bearer",
    "unknown token": "Bearer nonsense",
    "unknown key": "nonsense",
    "another scheme": "Basic YTpi",
    "very long": "Bearer " + "a" * 5000,
    "not ASCII": "Bearer \u00fc\u0661",
    "two words": "Bearer a b",
}


@every_closed_route
async def test_a_credential_that_is_none_is_refused(ground: Ground, route: Route) -> None:
    arranged = await arrange(route, ground.owner)
    async with unchanged(ground.database):
        answers = {name: await ask(ground.anonymous.as_(text), route, arranged) for name, text in CREDENTIALS.items()}
    for name, answer in answers.items():
        assert (name, answer.status) == (name, 401)
        assert_refused(route, answer, 401, "Unauthorized", "Invalid access token")
    await assert_open(ground, route, arranged)


@every_closed_route
async def test_a_credential_that_has_ended_is_refused(ground: Ground, route: Route) -> None:
    """Revoked, expired and switched off answer like an unknown one; each opened the route before."""
    owner = ground.owner
    revoked = await owner.make_token("all.Application")
    inactive = await owner.make_token("all.Application")
    arranged = await arrange(route, owner)
    if route.method == "GET":
        opened = 403 if route.for_people else route.success
        for token in (revoked, inactive):
            assert (await ask(ground.anonymous.as_(f"Bearer {token.secret}"), route, arranged)).status == opened
    expired = await owner.make_token("all.Application", expires_at=yesterday())
    assert await access.revoke_token(owner.principal, ground.database, revoked.id)
    async with ground.database.connection() as connection:
        await connection.execute("UPDATE application_tokens SET active = false WHERE id = $1", inactive.id)
    for token in (revoked, expired, inactive):
        async with unchanged(ground.database):
            answer = await ask(ground.anonymous.as_(f"Bearer {token.secret}"), route, arranged)
        assert_refused(route, answer, 401, "Unauthorized", "Invalid access token")
    await assert_open(ground, route, arranged)


@every_closed_route
async def test_a_key_opens_what_takes_keys_until_it_is_revoked(ground: Ground, route: Route) -> None:
    key = await make_key(ground.owner)
    arranged = await arrange(route, ground.owner)
    raw = ground.anonymous.as_(key.secret)
    as_token = ground.anonymous.as_(f"Bearer {key.secret}")
    async with unchanged(ground.database):
        answers = [await ask(as_token, route, arranged)]
        if route.dialect is Dialect.LOSANT:
            answers.append(await ask(raw, route, arranged))
    if route.dialect.takes_people:
        assert (await ask(raw, route, arranged)).status == (route.success if route.takes_keys else 403)
    assert await access.revoke_key(ground.owner.principal, ground.database, key.id)
    async with unchanged(ground.database):
        answers.append(await ask(raw, route, arranged))
    for answer in answers:
        assert_refused(route, answer, 401, "Unauthorized", "Invalid access token")


# Whose ids it knows


@every_route_with_ids
@pytest.mark.parametrize("kin", ["stranger", "sibling"])
async def test_a_foreign_id_answers_like_an_unknown_one(ground: Ground, route: Route, kin: str) -> None:
    """Another company's and, in the same company, another application's: one by one, and all at once."""
    other: Tenant = getattr(ground, kin)
    caller = ground.opening(route, other)
    owned = await arrange(route, ground.owner)
    own = await arrange(route, other)
    for name in names_of(route):
        async with unchanged(ground.database):
            foreign = await ask(caller, route, own, **{name: owned.ids[name]})
            unknown = await ask(caller, route, own, **{name: UNKNOWN[name]})
        assert foreign.status == 404
        assert (foreign.status, foreign.raw) == (unknown.status, unknown.raw)
    async with unchanged(ground.database):
        foreign = await ask(caller, route, owned)
        unknown = await ask(caller, route, owned, **{name: UNKNOWN[name] for name in names_of(route)})
    assert foreign.status == 404
    assert (foreign.status, foreign.raw) == (unknown.status, unknown.raw)
    answer = await ask(caller, route, own)
    assert answer.status == route.success, answer.raw
    await assert_open(ground, route, owned)


@every(lambda route: "{" in route.path and route.dialect.takes_people)
async def test_a_foreign_id_is_unknown_to_a_key_too(ground: Ground, route: Route) -> None:
    owned = await arrange(route, ground.owner)
    caller = ground.anonymous.as_(ground.stranger.key)
    async with unchanged(ground.database):
        foreign = await ask(caller, route, owned)
        unknown = await ask(caller, route, owned, **{name: UNKNOWN[name] for name in names_of(route)})
    assert (foreign.status, foreign.raw) == (404, unknown.raw)
    assert (await ask(ground.anonymous.as_(ground.owner.key), route, owned)).status == route.success


@every(
    lambda route: {"flowVersionId", "entry", "version", "schedule"} & {*names_of(route)} and len(names_of(route)) > 1
)
async def test_a_part_of_another_flow_answers_like_an_unknown_one(ground: Ground, route: Route) -> None:
    """A version's, a trash entry's or a schedule's id, even of the same application."""
    name = names_of(route)[-1]
    own, other = await arrange(route, ground.owner), await arrange(route, ground.owner)
    async with unchanged(ground.database):
        misplaced = await ask(ground.opening(route), route, own, **{name: other.ids[name]})
        unknown = await ask(ground.opening(route), route, own, **{name: UNKNOWN[name]})
    assert (misplaced.status, misplaced.raw) == (404, unknown.raw)
    await assert_open(ground, route, other)


@every_route_with_ids
async def test_a_malformed_id_answers_like_an_unknown_one(ground: Ground, route: Route) -> None:
    arranged = await arrange(route, ground.owner)
    async with unchanged(ground.database):
        for name in names_of(route):
            unknown = await ask(ground.opening(route), route, arranged, **{name: UNKNOWN[name]})
            assert unknown.status == 404
            for title, segment in malformed(name, arranged.ids[name]).items():
                path = arranged.path(route, **{name: "~"}).replace("~", segment)
                answer = await ground.opening(route).send(route.method, path, arranged.body)
                assert (answer.status, answer.raw) == (404, unknown.raw), (name, title)
    await assert_open(ground, route, arranged)
