"""What holds for every route there is, generated from the route table: who gets in, whose ids it knows, what it reads.

Each refusal is compared with an answer that must look the same, the request that is refused would succeed but for one
thing, and nothing is written.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from aiohttp import web
from marshmallow import fields, validate
from yarl import URL

from core.domain.access import SCOPES
from core.operations import access
from schemas.fields import Flag, HexId, Mapped, Objects, Text, Word
from service.app import create_app
from service.calls import Service
from service.hints import Hints
from service.routes import ROUTES, Dialect, Route
from tests.api.conftest import Ground
from tests.support.api import Api, Reply
from tests.support.arrangements import ARRANGEMENTS, UNKNOWN, Arranged, make_key
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


def titles(route: Route) -> str:
    return f"{route.method} {route.path}"


every_route = pytest.mark.parametrize("route", ROUTES, ids=titles)
every_route_with_ids = pytest.mark.parametrize("route", [route for route in ROUTES if "{" in route.path], ids=titles)
every_route_with_a_body = pytest.mark.parametrize("route", [route for route in ROUTES if route.body], ids=titles)
every_route_with_a_need = pytest.mark.parametrize("route", [route for route in ROUTES if route.need], ids=titles)


def names_of(route: Route) -> list[str]:
    """The names of a route's path parameters, in order."""
    return [part[1:-1] for part in route.path.split("/") if part.startswith("{")]


async def arrange(route: Route, tenant: Tenant) -> Arranged:
    assert route.handler in ARRANGEMENTS, f"{titles(route)} has no arrangement in tests/support/arrangements.py"
    return await ARRANGEMENTS[route.handler](tenant)


async def ask(api: Api, route: Route, arranged: Arranged, **others: str) -> Reply:
    return await api.send(route.method, arranged.path(route, **others), arranged.body)


async def send_large(api: Api, route: Route, arranged: Arranged, raw: bytes) -> Reply:
    """Sends a body of megabytes piece by piece, as any client would."""
    url = URL(api.url + arranged.path(route), encoded=True)
    headers = {"Authorization": api.credential or "", "Content-Type": "application/json"}
    async with api.session.request(route.method, url, data=io.BytesIO(raw), headers=headers) as answer:
        return Reply(answer.status, answer.headers, await answer.read())


async def assert_open(ground: Ground, route: Route, arranged: Arranged) -> None:
    """The control of every refusal: the owner's own request, with nothing wrong in it, succeeds."""
    answer = await ask(ground.api, route, arranged)
    assert answer.status == route.success, answer.raw


def refusal(route: Route, status: int, kind: str, message: str) -> dict[str, str]:
    """The body a refusal has in the route's dialect."""
    if route.dialect is Dialect.LOSANT:
        return {"type": kind, "message": message}
    return {"message": "Unauthenticated." if status == 401 else message}


def assert_refused(route: Route, answer: Reply, status: int, kind: str, message: str) -> None:
    assert (answer.status, answer.json) == (status, refusal(route, status, kind, message))
    assert answer.headers["Content-Type"].startswith("application/json")


async def test_the_router_holds_the_table_and_nothing_else(ground: Ground) -> None:
    app = create_app(Service(ground.settings, ground.database, Hints(), None))  # type: ignore[arg-type]
    found = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if isinstance(route, web.AbstractRoute) and route.resource is not None
    }
    health = {(method, path) for method in ("GET", "HEAD") for path in ("/healthz", "/readyz")}
    assert found == {(route.method, route.path) for route in ROUTES} | health
    assert len({route.handler for route in ROUTES}) == len(ROUTES), "arrangements go by handler"


def test_every_arrangement_belongs_to_a_route() -> None:
    assert set(ARRANGEMENTS) == {route.handler for route in ROUTES}


# Who gets in


@every_route
@pytest.mark.parametrize(
    "credential",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param("Bearer", id="scheme alone"),
        pytest.param("Bearer nonsense", id="unknown token"),
        pytest.param("nonsense", id="unknown key"),
        pytest.param("Basic YTpi", id="another scheme"),
        pytest.param("Bearer " + "a" * 5000, id="very long"),
        pytest.param("Bearer \u00fc\u0661", id="not ASCII"),
        pytest.param("Bearer a b", id="two words"),
    ],
)
async def test_a_credential_that_is_none_is_refused(ground: Ground, route: Route, credential: str | None) -> None:
    arranged = await arrange(route, ground.owner)
    async with unchanged(ground.database):
        answer = await ask(ground.anonymous.as_(credential), route, arranged)
    assert_refused(route, answer, 401, "Unauthorized", "Invalid access token")
    await assert_open(ground, route, arranged)


@every_route
async def test_a_credential_that_has_ended_is_refused(ground: Ground, route: Route) -> None:
    """Revoked, expired and switched off answer like an unknown one; each opened the route before."""
    owner = ground.owner
    revoked = await owner.make_token("all.Application")
    inactive = await owner.make_token("all.Application")
    arranged = await arrange(route, owner)
    if route.method == "GET":
        for token in (revoked, inactive):
            assert (await ask(ground.anonymous.as_(f"Bearer {token.secret}"), route, arranged)).status == route.success
    expired = await owner.make_token("all.Application", expires_at=yesterday())
    assert await access.revoke_token(owner.principal, ground.database, revoked.id)
    async with ground.database.connection() as connection:
        await connection.execute("UPDATE application_tokens SET active = false WHERE id = $1", inactive.id)
    for token in (revoked, expired, inactive):
        async with unchanged(ground.database):
            answer = await ask(ground.anonymous.as_(f"Bearer {token.secret}"), route, arranged)
        assert_refused(route, answer, 401, "Unauthorized", "Invalid access token")
    await assert_open(ground, route, arranged)


@every_route
async def test_a_key_opens_what_takes_keys_until_it_is_revoked(ground: Ground, route: Route) -> None:
    key = await make_key(ground.owner)
    arranged = await arrange(route, ground.owner)
    raw = ground.anonymous.as_(key.secret)
    as_token = ground.anonymous.as_(f"Bearer {key.secret}")
    async with unchanged(ground.database):
        answers = [await ask(as_token, route, arranged)]
        if route.dialect is Dialect.LOSANT:
            answers.append(await ask(raw, route, arranged))
    if route.dialect is Dialect.NATIVE:
        assert (await ask(raw, route, arranged)).status == route.success
    assert await access.revoke_key(ground.owner.principal, ground.database, key.id)
    async with unchanged(ground.database):
        answers.append(await ask(raw, route, arranged))
    for answer in answers:
        assert_refused(route, answer, 401, "Unauthorized", "Invalid access token")


def admitting(route: Route) -> set[str]:
    """The scopes that open a route by Losant's endpoint table, said here once more on its own.

    Routes without a scope of their own are about jobs: they are open to whoever may enqueue one.
    """
    alls = ("all.Application", "all.Organization", "all.User")
    named = [route.need.scope] if route.need else ["flowVersions.delete", "flow.delete"]
    opening = {name for scope in named for name in (scope, scope.partition(".")[0] + ".*")}
    opening |= {f"{name}{suffix}" for name in alls for suffix in ("", ".bounded")}
    if route.need and route.need.reads:
        opening |= {f"{name}.read" for name in alls}
    return opening


@every_route
async def test_a_token_without_the_scope_is_refused(ground: Ground, route: Route) -> None:
    """Even one that holds every other scope there is."""
    arranged = await arrange(route, ground.owner)
    token = await ground.owner.make_token(*(SCOPES - admitting(route)))
    async with unchanged(ground.database):
        answer = await ask(ground.anonymous.as_(f"Bearer {token.secret}"), route, arranged)
    assert_refused(route, answer, 403, "Forbidden", "The token's scope does not include this operation.")
    await assert_open(ground, route, arranged)


@every_route_with_a_need
async def test_each_scope_that_opens_a_route_opens_it_alone(ground: Ground, route: Route) -> None:
    assert admitting(route) <= SCOPES
    for scope in sorted(admitting(route)):
        token = await ground.owner.make_token(scope)
        arranged = await arrange(route, ground.owner)
        answer = await ask(ground.anonymous.as_(f"Bearer {token.secret}"), route, arranged)
        assert answer.status == route.success, (scope, answer.raw)


# Whose ids it knows


@every_route_with_ids
@pytest.mark.parametrize("kin", ["stranger", "sibling"])
async def test_a_foreign_id_answers_like_an_unknown_one(ground: Ground, route: Route, kin: str) -> None:
    """Another company's and, in the same company, another application's: one by one, and all at once."""
    other: Tenant = getattr(ground, kin)
    caller = ground.as_(other)
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


@every_route_with_ids
async def test_a_foreign_id_is_unknown_to_a_key_too(ground: Ground, route: Route) -> None:
    if not route.dialect.takes_keys:
        return
    owned = await arrange(route, ground.owner)
    caller = ground.anonymous.as_(ground.stranger.key)
    async with unchanged(ground.database):
        foreign = await ask(caller, route, owned)
        unknown = await ask(caller, route, owned, **{name: UNKNOWN[name] for name in names_of(route)})
    assert (foreign.status, foreign.raw) == (404, unknown.raw)
    assert (await ask(ground.anonymous.as_(ground.owner.key), route, owned)).status == route.success


@every_route_with_ids
async def test_an_id_of_another_parent_answers_like_an_unknown_one(ground: Ground, route: Route) -> None:
    """A version of another flow of the same application, under this flow."""
    name = names_of(route)[-1]
    if name != "flowVersionId":
        return
    own, other = await arrange(route, ground.owner), await arrange(route, ground.owner)
    async with unchanged(ground.database):
        misplaced = await ask(ground.api, route, own, **{name: other.ids[name]})
        unknown = await ask(ground.api, route, own, **{name: UNKNOWN[name]})
    assert (misplaced.status, misplaced.raw) == (404, unknown.raw)
    await assert_open(ground, route, other)


@every_route_with_ids
async def test_a_malformed_id_answers_like_an_unknown_one(ground: Ground, route: Route) -> None:
    arranged = await arrange(route, ground.owner)
    async with unchanged(ground.database):
        for name in names_of(route):
            unknown = await ask(ground.api, route, arranged, **{name: UNKNOWN[name]})
            assert unknown.status == 404
            for title, segment in MALFORMED.items():
                path = arranged.path(route, **{name: "~"}).replace("~", segment)
                answer = await ground.api.send(route.method, path, arranged.body)
                assert (answer.status, answer.raw) == (404, unknown.raw), (name, title)
    await assert_open(ground, route, arranged)


# What it reads


def assert_invalid(route: Route, answer: Reply, path: str) -> None:
    """A refusal of what was sent, in the dialect's shape, that names the path."""
    body = answer.json
    if route.dialect is Dialect.LOSANT:
        assert (answer.status, set(body), body["type"]) == (400, {"type", "message"}, "Validation"), answer.raw
    else:
        assert (answer.status, set(body), list(body["errors"])) == (422, {"message", "errors"}, [path]), answer.raw
    assert body["message"].startswith(f"{path}: "), answer.raw


@every_route_with_a_body
@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"  \n", id="blank"),
        pytest.param(b"{", id="cut"),
        pytest.param(b"{'a': 1}", id="single quotes"),
        pytest.param(b'{"a": 1,}', id="comma at the end"),
        pytest.param(b"{} {}", id="two objects"),
        pytest.param(b"// no\n{}", id="comment"),
        pytest.param(b"[]", id="list"),
        pytest.param(b'"text"', id="text"),
        pytest.param(b"1", id="number"),
        pytest.param(b"true", id="true"),
        pytest.param(b"null", id="null"),
        pytest.param(b"\xef\xbb\xbf{}", id="byte order mark"),
        pytest.param(b'{"a": "\xff"}', id="no UTF-8"),
        pytest.param('{"a": "b"}'.encode("utf-16"), id="UTF-16"),
        pytest.param(b"a=b&c=d", id="form"),
    ],
)
async def test_a_body_that_is_no_json_object_is_refused(ground: Ground, route: Route, raw: bytes) -> None:
    arranged = await arrange(route, ground.owner)
    async with unchanged(ground.database):
        answer = await ground.api.send(route.method, arranged.path(route), raw=raw)
    status, body = answer.status, answer.json
    assert status == (400 if route.dialect is Dialect.LOSANT else 422)
    assert body["message"].startswith("the body ")
    assert ("type" in body) == (route.dialect is Dialect.LOSANT)
    await assert_open(ground, route, arranged)


KINDS: dict[str, list[object]] = {
    "text": ["nonsense"],
    "number": [1, 0, -1, 1.5],
    "flag": [True, False],
    "list": [[], [1]],
    "object": [{}, {"a": 1}],
    "null": [None],
}
"""Everything JSON can say, by kind."""

ACCEPTED: dict[type[fields.Field[Any]], str | None] = {
    Text: "text",
    Flag: "flag",
    Mapped: "object",
    Objects: None,
    HexId: None,
    Word: None,
}
"""The kind each kind of field reads; None where not even every value of that kind will do."""


def wrong_values(field: fields.Field[Any]) -> Iterator[object]:
    """What a field must not take: every other kind, and its own outside of its bounds."""
    for kind, values in KINDS.items():
        if kind == ACCEPTED[type(field)] or (kind == "null" and field.allow_none):
            continue
        yield from (value for value in values if not (isinstance(field, Objects) and value == []))
    for validator in field.validators:
        assert isinstance(validator, validate.Length)
        assert validator.max is not None, "a text needs a bound"
        yield "x" * (validator.max + 1)
        if validator.min:
            yield "x" * (validator.min - 1)
    if isinstance(field, Objects) and field.most is not None:
        yield [{}] * (field.most + 1)
    if isinstance(field, HexId):
        yield from ("1" * 23, "1" * 25, "\u0661" * 24, "0" * 23 + "1\n")
    if isinstance(field, Word):
        yield from (word.upper() for word in field.words)


@every_route_with_a_body
async def test_a_field_that_is_wrong_is_named(ground: Ground, route: Route) -> None:
    assert route.body is not None
    arranged = await arrange(route, ground.owner)
    assert arranged.body is not None
    tried = 0
    async with unchanged(ground.database):
        for field in route.body().fields.values():
            name = field.data_key or field.name
            for value in wrong_values(field):
                answer = await ground.api.send(route.method, arranged.path(route), {**arranged.body, name: value})
                assert_invalid(route, answer, f"{name}[0]" if value == [1] and isinstance(field, Objects) else name)
                tried += 1
            if field.required:
                without = {key: entry for key, entry in arranged.body.items() if key != name}
                answer = await ground.api.send(route.method, arranged.path(route), without)
                assert_invalid(route, answer, name)
                assert answer.json["message"] == f"{name}: is required"
    assert tried > 0
    await assert_open(ground, route, arranged)


@every_route_with_a_body
@pytest.mark.parametrize("key", ["surprise", "_id", "constructor", "\u00e4\u0661", "x" * 5000, "$where", "a.b", " "])
async def test_a_key_that_is_unknown_is_named(ground: Ground, route: Route, key: str) -> None:
    arranged = await arrange(route, ground.owner)
    assert arranged.body is not None
    async with unchanged(ground.database):
        answer = await ground.api.send(route.method, arranged.path(route), {**arranged.body, key: 1})
    assert_invalid(route, answer, key[:64])
    assert len(answer.raw) < 1000, "a long key must not come back whole"
    await assert_open(ground, route, arranged)


HOSTILE = {
    "NUL": (b'"a\\u0000b"', "must not contain NUL"),
    "half a pair, high": (b'"\\ud800"', "must not contain half of a surrogate pair"),
    "half a pair, low": (b'"x\\udfff"', "must not contain half of a surrogate pair"),
    "1e400": (b"1e400", "is too large a number"),
    "-1e400": (b"-1e400", "is too large a number"),
    "NaN": (b"NaN", "NaN is not a JSON number"),
    "Infinity": (b"Infinity", "Infinity is not a JSON number"),
    "-Infinity": (b"-Infinity", "-Infinity is not a JSON number"),
    "5,000 digits": (b"1" * 5000, "has more than 64 digits"),
    "65 digits": (b"-" + b"9" * 65, "has more than 64 digits"),
}
"""Values that are refused wherever they stand, and how."""


@every_route_with_a_body
@pytest.mark.parametrize("title", HOSTILE)
async def test_a_value_that_could_be_read_in_two_ways_is_refused(ground: Ground, route: Route, title: str) -> None:
    value, problem = HOSTILE[title]
    arranged = await arrange(route, ground.owner)
    async with unchanged(ground.database):
        for raw, path in (
            (b'{"given":%s}' % value, "given"),
            (b'{"given":[{"a":1},{"deep":[%s]}]}' % value, "given[1].deep[0]"),
        ):
            answer = await ground.api.send(route.method, arranged.path(route), raw=raw)
            assert_invalid(route, answer, path)
            assert answer.json["message"] == f"{path}: {problem}"
    await assert_open(ground, route, arranged)


@every_route_with_a_body
@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b'{"given":1,"given":1}', "given"),
        (b'{"given":1,"giv\\u0065n":2}', "given"),
        (b'{"given":{"a":[{"b":1,"c":2,"b":1}]}}', "given.a[0].b"),
        (b'{"given":{"":1,"":2}}', "given."),
    ],
)
async def test_a_key_given_twice_is_refused(ground: Ground, route: Route, raw: bytes, path: str) -> None:
    arranged = await arrange(route, ground.owner)
    async with unchanged(ground.database):
        answer = await ground.api.send(route.method, arranged.path(route), raw=raw)
    assert_invalid(route, answer, path)
    assert answer.json["message"] == f"{path}: is given twice"


@every_route_with_a_body
@pytest.mark.parametrize("depth", [65, 1_000, 10_000, 200_000])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")], ids=["lists", "objects"])
async def test_a_body_nested_too_deep_is_refused(
    ground: Ground, route: Route, depth: int, opening: bytes, closing: bytes
) -> None:
    """The body itself is the first level."""
    arranged = await arrange(route, ground.owner)
    inner = depth - 1
    raw = b'{"given":' + opening * inner + b"1" + closing * inner + b"}"
    async with unchanged(ground.database):
        answer = await send_large(ground.api, route, arranged, raw)
    assert answer.status == (400 if route.dialect is Dialect.LOSANT else 422)
    assert answer.json["message"].endswith("is nested more than 64 deep")
    assert len(answer.raw) < 1000


@every_route_with_a_body
async def test_a_body_over_8_megabytes_is_refused(ground: Ground, route: Route) -> None:
    arranged = await arrange(route, ground.owner)
    raw = orjson.dumps({**(arranged.body or {}), "given": "x" * 9_000_000})
    async with unchanged(ground.database):
        answer = await send_large(ground.api, route, arranged, raw)
    assert_refused(route, answer, 413, "PayloadTooLarge", "The request body is too large.")
    await assert_open(ground, route, arranged)


@every_route_with_a_body
@pytest.mark.parametrize("packed", [True, False], ids=["packed", "only said to be"])
async def test_a_compressed_body_is_refused(ground: Ground, route: Route, packed: bool) -> None:
    """A few bytes can unpack to gigabytes, and no client of either dialect compresses what it sends."""
    arranged = await arrange(route, ground.owner)
    raw = orjson.dumps(arranged.body)
    data = gzip.compress(raw) if packed else raw
    async with unchanged(ground.database):
        answer = await ground.api.send(
            route.method, arranged.path(route), raw=data, headers={"Content-Encoding": "gzip"}
        )
    assert answer.status == (400 if route.dialect is Dialect.LOSANT else 422)
    assert answer.json["message"] == "the body must not be compressed"


@every_route
async def test_what_the_official_clients_send_along_does_no_harm(ground: Ground, route: Route) -> None:
    arranged = await arrange(route, ground.owner)
    path = arranged.path(route) + "?_actions=false&_links=true&_embedded=true&unheard=of"
    headers = {"Accept": "application/json", "Accept-Version": "^99.0.0", "losantdomain": "x"}
    answer = await ground.api.send(route.method, path, arranged.body, headers=headers)
    assert answer.status == route.success, answer.raw


@every_route
async def test_every_answer_is_json_that_nobody_keeps_or_guesses(ground: Ground, route: Route) -> None:
    arranged = await arrange(route, ground.owner)
    for answer in (
        await ask(ground.anonymous, route, arranged),
        await ask(ground.api, route, arranged),
    ):
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["Cache-Control"] == "no-cache"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert isinstance(answer.json, dict)
