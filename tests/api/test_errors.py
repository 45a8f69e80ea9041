"""How a refusal looks: every error in both dialects, and addresses and methods there are not."""

from __future__ import annotations

import inspect
import re

import orjson
import pytest

from core.domain import errors
from core.domain.errors import Invalid, PenstockError, TooManyRequests, Unavailable
from service.calls import Answer
from service.dialects.losant import envelope as losant
from service.dialects.oauth import envelope as oauth
from service.dialects.patchworks import envelope as patchworks
from service.routes import ROUTES, Dialect, Route
from tests.api.cases import assert_refused
from tests.api.conftest import Ground
from tests.support.arrangements import UNKNOWN
from tests.support.contents import unchanged

EVERY_ERROR = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, PenstockError) and kind is not PenstockError
]

EXPECTED = {
    "Unauthenticated": (401, 401, 401),
    "LoginFailed": (401, 401, 401),
    "Forbidden": (403, 403, 403),
    "NotFound": (404, 404, 404),
    "Gone": (410, 410, 410),
    "MethodNotAllowed": (405, 405, 405),
    "Invalid": (400, 422, 400),
    "NotAllowed": (400, 400, 400),
    "UnsupportedGrant": (400, 422, 400),
    "InvalidScope": (400, 422, 400),
    "TooLarge": (413, 413, 413),
    "AlreadyExists": (400, 409, 409),
    "Conflict": (400, 409, 409),
    "VersionProtected": (400, 409, 409),
    "PreconditionFailed": (412, 412, 412),
    "IdempotencyMismatch": (422, 422, 422),
    "TooManyRequests": (429, 429, 429),
    "Unavailable": (503, 503, 503),
    "TooSlow": (503, 503, 503),
}
"""Every error's status under Losant's paths, under /api/v1 and under /oauth."""

SHAPES = ({"type", "message"}, {"message"}, {"error", "error_description"})


def test_every_table_covers_every_error() -> None:
    named = {kind.__name__ for kind in EVERY_ERROR}
    for envelope in (losant, patchworks, oauth):
        assert {kind.__name__ for kind in envelope.STATUSES} == named
    assert set(EXPECTED) == named


def descendants(kind: type[PenstockError]) -> set[type[PenstockError]]:
    return {kind}.union(*(descendants(child) for child in kind.__subclasses__()))


def test_no_error_is_defined_elsewhere() -> None:
    """The tables are looked up by the very class, so a stray subclass would end as a 500."""
    assert descendants(PenstockError) - {PenstockError} == set(EVERY_ERROR)


@pytest.mark.parametrize("kind", EVERY_ERROR)
def test_an_error_renders_in_every_shape(kind: type[PenstockError]) -> None:
    error = kind()
    answers = [envelope.render_error(error) for envelope in (losant, patchworks, oauth)]
    assert tuple(answer.status for answer in answers) == EXPECTED[kind.__name__]
    for answer, shape in zip(answers, SHAPES, strict=True):
        assert set(answer.body) == shape
        assert all(text.strip() for text in answer.body.values())
        again = kind in (Unavailable, TooManyRequests)
        assert ("Retry-After" in answer.headers) == again, "again helps only where time does"


@pytest.mark.parametrize("kind", EVERY_ERROR)
def test_every_error_says_something_by_itself(kind: type[PenstockError]) -> None:
    assert kind().message
    assert kind("so and so").message == "so and so"


def test_a_path_is_named_in_both_shapes() -> None:
    error = Invalid("must be text", "query.$and[0].version")
    assert losant.render_error(error).body["message"] == "query.$and[0].version: must be text"
    assert patchworks.render_error(error).body == {
        "message": "query.$and[0].version: must be text",
        "errors": {"query.$and[0].version": ["must be text"]},
    }


@pytest.mark.parametrize(
    ("answer", "name"),
    [(losant.INTERNAL, "message"), (patchworks.INTERNAL, "message"), (oauth.INTERNAL, "error_description")],
)
def test_our_own_failures_say_nothing_about_us(answer: Answer, name: str) -> None:
    assert answer.status == 500
    assert name in answer.body


# Addresses and methods there are not

NOWHERE = "There is nothing at this address."


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/", {"type": "NotFound", "message": NOWHERE}),
        ("/nothing", {"type": "NotFound", "message": NOWHERE}),
        ("/applications", {"type": "NotFound", "message": NOWHERE}),
        ("/applications/", {"type": "NotFound", "message": NOWHERE}),
        ("/apiary/v1/jobs", {"type": "NotFound", "message": NOWHERE}),
        (f"/applications/{UNKNOWN['applicationId']}/resource-jobs", {"type": "NotFound", "message": NOWHERE}),
        ("/%00", {"type": "NotFound", "message": NOWHERE}),
        ("/%", {"type": "NotFound", "message": NOWHERE}),
        ("/api/", {"message": NOWHERE}),
        ("/api/v1", {"message": NOWHERE}),
        ("/api/v1/nothing", {"message": NOWHERE}),
        ("/api/v1/jobs/", {"message": NOWHERE}),
        ("/api/v2/jobs", {"message": NOWHERE}),
        ("//api/v1/nothing", {"message": NOWHERE}),
        ("//nothing", {"type": "NotFound", "message": NOWHERE}),
        ("/fabric/api", {"message": NOWHERE}),
        ("/fabric/api/login/", {"message": NOWHERE}),
        ("/fabricated", {"type": "NotFound", "message": NOWHERE}),
        ("/oauth", {"error": "invalid_request", "error_description": NOWHERE}),
        ("/oauth/tokens", {"error": "invalid_request", "error_description": NOWHERE}),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_an_unknown_address_is_404_in_its_dialect(
    ground: Ground, method: str, path: str, body: dict[str, str]
) -> None:
    for caller in (ground.anonymous, ground.api):
        answer = await caller.send(method, path)
        assert (answer.status, answer.json) == (404, body)


def methods_of(path: str) -> set[str]:
    """The methods of every route an address of this path belongs to; a word in the place of an id could be one."""
    by_id = path.replace("/versions/delete", "/versions/{flowVersionId}")
    by_id = re.sub("/flows/(version|palette)$", "/flows/{flowId}", by_id)
    return {route.method for route in ROUTES if route.path in (path, by_id)}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_a_method_that_is_not_there_is_405_and_says_which_are(ground: Ground, route: Route) -> None:
    path = route.path.format(**UNKNOWN)
    allowed = methods_of(route.path)
    for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - allowed:
        async with unchanged(ground.database):
            answer = await ground.anonymous.send(method, path)
        assert answer.status == 405
        assert answer.headers["Allow"] == ", ".join(sorted(allowed))
        if method == "HEAD":
            continue
        assert_refused(route, answer, 405, "MethodNotAllowed", f"{method} is not allowed here.")


async def test_a_slash_too_many_at_the_beginning_is_forgiven(ground: Ground) -> None:
    """A base URL with a slash at its end gives `//applications`: both official clients join plain text."""
    base = f"/applications/{ground.owner.application}/flows"
    for slashes in ("/", "//", "///"):
        path = slashes + base.lstrip("/")
        made = await ground.api.post(path, {"name": f"By {len(slashes)} slashes"})
        assert made.status == 201
        flow = made.json["flowId"]
        assert (await ground.api.get(f"{path}/{flow}?_embedded=true")).json == made.json
        listed = await ground.api.get(f"{path}?perPage=1")
        assert (listed.status, listed.json["perPage"]) == (200, 1)
        refused = await ground.api.send("PUT", path, {})
        assert (refused.status, refused.headers["Allow"]) == (405, "GET, POST")
        assert (await ground.anonymous.get(path)).status == 401
    assert (await ground.api.get("//api/v1/jobs")).status == 200
    assert (await ground.anonymous.get("//api/v1/jobs")).json == {"message": "Unauthenticated."}
    assert (await ground.anonymous.get("//healthz")).json == {"status": "ok"}


async def test_a_slash_too_many_elsewhere_is_an_unknown_address(ground: Ground) -> None:
    """Nothing joins text there, and an empty segment must not become an id."""
    application = ground.owner.application
    for path in (f"/applications//{application}/flows", f"/applications/{application}//flows", "/api//v1/jobs"):
        assert (await ground.api.get(path)).status == 404


async def test_an_unexpected_error_is_500_and_logged_without_what_was_sent(ground: Ground) -> None:
    """Not provoked: no input is known to do it. Its two answers are JSON of their dialect all the same."""
    for dialect in Dialect:
        assert orjson.loads(dialect.internal.response().body) == dialect.internal.body  # type: ignore[arg-type]
