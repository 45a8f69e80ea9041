"""Every operation of the Losant dialect, asked for by each client that has it: generated from the route table."""

from __future__ import annotations

from typing import Any

import pytest

from service.routes import Dialect, Route
from service.told import TOLD
from tests.api.cases import arrange, every, names_of
from tests.api.conftest import Ground
from tests.clients.conftest import Client
from tests.clients.speakers import BODIES, NotThere, Refused
from tests.support.arrangements import UNKNOWN, Arranged

every_operation = every(lambda route: route.dialect is Dialect.LOSANT)
every_operation_with_a_body = every(lambda route: route.dialect is Dialect.LOSANT and route.body)


METHODS = {"flow.log": "flow.getLogEntries", "flowVersion.log": "flowVersion.getLogEntries"}
"""What the clients call differently from the scope it takes."""


def name_of(route: Route) -> str:
    assert route.need is not None, "Losant's operations go by their scopes"
    return METHODS.get(route.need.scope, route.need.scope)


def params_of(route: Route, arranged: Arranged) -> dict[str, Any]:
    """What a caller would write: ids, parameters, and the body under the name the clients have for it."""
    body = {} if arranged.body is None else {BODIES[name_of(route)]: dict(arranged.body)}
    return {**arranged.ids, **arranged.parameters, **body}


def assert_error(client: Client, error: Refused, status: int, kind: str) -> None:
    """What the caller gets is what was answered, in Losant's own shape."""
    assert client.last.status == error.status == status
    assert client.last.json == error.body
    assert error.body == {"type": kind, "message": error.body["message"]}
    assert error.body["message"]


async def is_there(client: Client, route: Route) -> bool:
    """Whether this client's release has the operation; it must be known here if not."""
    name = name_of(route)
    if name not in client.speaker.missing:
        return True
    with pytest.raises(NotThere):
        await client.call(name)
    return False


@every_operation
async def test_an_operation_is_answered(client: Client, ground: Ground, route: Route) -> None:
    if not await is_there(client, route):
        return
    arranged = await arrange(route, ground.owner)
    answer = await client.call(name_of(route), **params_of(route, arranged))
    assert (client.last.method, client.last.status) == (route.method, route.success)
    assert answer == client.last.json
    assert isinstance(answer, list if TOLD[route.handler].many else dict)


@every_operation
async def test_a_refusal_is_an_error_with_status_and_body(client: Client, ground: Ground, route: Route) -> None:
    """No token, a wrong one, one that opens something else, and ids that nobody has."""
    if not await is_there(client, route):
        return
    arranged = await arrange(route, ground.owner)
    name, params = name_of(route), params_of(route, arranged)
    other = "flow.get" if name != "flow.get" else "flows.get"
    narrow = await ground.owner.make_token(other)
    for token in (None, "nonsense"):
        assert_error(client, await client.as_(token).refused(name, **params), 401, "Unauthorized")
    assert_error(client, await client.as_(narrow.secret).refused(name, **params), 403, "Forbidden")
    for parameter in names_of(route):
        unknown = {**params, parameter: UNKNOWN[parameter]}
        assert_error(client, await client.refused(name, **unknown), 404, "NotFound")


@every_operation_with_a_body
async def test_a_body_that_is_wrong_is_an_error(client: Client, ground: Ground, route: Route) -> None:
    arranged = await arrange(route, ground.owner)
    wrong = {**params_of(route, arranged), BODIES[name_of(route)]: {"surprise": True}}
    error = await client.refused(name_of(route), **wrong)
    assert_error(client, error, 400, "Validation")
    assert error.body["message"].startswith("surprise: ")
