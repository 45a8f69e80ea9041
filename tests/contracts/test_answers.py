"""Every answer that the vendor's clients got, and all of a generated run, against the contract's JSON Schemas.

`make test-clients` has left the clients' answers in the folder that PENSTOCK_RECORDED names.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from core.domain.flow_classes import FLOW_CLASSES
from core.domain.identifiers import hex_id
from service.routes import ROUTES, Dialect, Route
from service.told import TOLD
from tests.api.cases import arrange, ask, every, names_of
from tests.api.conftest import Ground, ground
from tests.api.test_every_route_input import right_parameters, wrong_parameters, wrong_values
from tests.contracts.contract import fault_of
from tests.contracts.tally import VALID
from tests.support.api import Api, Reply
from tests.support.arrangements import UNKNOWN
from tests.support.recordings import Recorded, recorded

__all__ = ["ground"]
"""A fixture, shared with the generated tests of the API."""

LOSANTS = [route for route in ROUTES if route.dialect is Dialect.LOSANT]

CLIENTS = ("python", "node")

LEFT_OUT = {"node": {"flows.palette", "applicationJobLogs.get", "applicationJobLog.get"}}
"""Operations that a client's release does not have."""

ALONG = {"_actions": "false", "_links": "true", "_embedded": "true"}
"""What both clients send with every request."""

every_losant_route = every(lambda route: route.dialect is Dialect.LOSANT)


def operation_of(route: Route) -> str:
    assert route.need is not None, "Losant's operations go by their scopes"
    return route.need.scope


def exchanges_of(client: str) -> list[Recorded]:
    file = Path(os.environ["PENSTOCK_RECORDED"]) / f"{client}.jsonl"
    assert file.exists(), f"{file} is missing; run `make test-clients` first"
    return list(recorded(file))


# What the clients got


@pytest.mark.parametrize("client", CLIENTS)
def test_every_answer_to_a_client_is_valid(client: str) -> None:
    found = exchanges_of(client)
    faults = []
    for exchange in found:
        name, fault = fault_of(exchange.operation, exchange.status, exchange.said.encode())
        if fault is None:
            VALID[name, client] += 1
        else:
            faults.append(f"{exchange.method} {exchange.path} {exchange.status}, as {name}: {fault}")
    assert faults == []
    assert found


@pytest.mark.parametrize("client", CLIENTS)
def test_every_operation_was_asked_for_by_each_client(client: str) -> None:
    """And answered with its success, as well as refused."""
    exchanges = exchanges_of(client)
    wanted = {(operation_of(route), route.success) for route in LOSANTS}
    answered = {(exchange.operation, exchange.status) for exchange in exchanges}
    missing = {operation for operation, _ in wanted - answered} - LEFT_OUT.get(client, set())
    assert missing == set()
    for status in (400, 401, 403, 404):
        assert status in {refused for _, refused in answered}


# What a generated run gets


class Judge:
    """Sends requests of one operation and holds each answer against the contract."""

    def __init__(self, api: Api, route: Route) -> None:
        self.api = api
        self.route = route
        self.statuses: set[int] = set()

    def of(self, answer: Reply) -> Reply:
        name, fault = fault_of(operation_of(self.route), answer.status, answer.raw)
        assert fault is None, (answer.status, name, fault, answer.raw[:300])
        VALID[name, "generated"] += 1
        self.statuses.add(answer.status)
        return answer

    async def send(self, path: str, body: object = None, **options: Any) -> Reply:
        return self.of(await self.api.send(self.route.method, path, body, **options))


@every_losant_route
async def test_every_success_is_valid(ground: Ground, route: Route) -> None:
    """With each parameter that an operation takes, and as both clients ask."""
    judge = Judge(ground.api, route)
    asked: list[dict[str, str]] = [{}, ALONG]
    for field in route.query().fields.values():
        asked += [{str(field.data_key or field.name): value} for value in right_parameters(field)]
    for parameters in asked:
        if parameters.get("dryRun", "false").lower() in ("true", "1"):
            continue  # an answer of our own, of which the contract knows nothing
        arranged = await arrange(route, ground.owner)
        await judge.send(arranged.path(route, parameters), arranged.body)
    assert judge.statuses == {route.success}


@every_losant_route
async def test_every_refusal_is_valid(ground: Ground, route: Route) -> None:
    arranged = await arrange(route, ground.owner)
    judge = Judge(ground.api, route)
    for caller in (ground.anonymous, ground.as_(ground.stranger), await narrow(ground, route)):
        judge.of(await ask(caller, route, arranged))
    for name in names_of(route):
        await judge.send(arranged.path(route, **{name: UNKNOWN[name]}), arranged.body)
    for field in route.query().fields.values():
        for value in wrong_parameters(field):
            await judge.send(arranged.path(route, {str(field.data_key or field.name): value}), arranged.body)
    for body in wrong_bodies(route, arranged.body or {}):
        await judge.send(arranged.path(route), body)
    if "If-Match" in TOLD[route.handler].reads:
        await judge.send(arranged.path(route), arranged.body, headers={"If-Match": '"another"'})
    assert {401, 403, 404} <= judge.statuses
    assert (400 in judge.statuses) == bool(route.body or route.query().fields)
    assert (412 in judge.statuses) == ("If-Match" in TOLD[route.handler].reads)


async def narrow(ground: Ground, route: Route) -> Api:
    """A caller whose token opens something else."""
    other = "flow.get" if operation_of(route) != "flow.get" else "flows.get"
    token = await ground.owner.make_token(other)
    return ground.anonymous.as_(f"Bearer {token.secret}")


def wrong_bodies(route: Route, right: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if route.body is None:
        return
    yield {**right, "surprise": 1}
    for field in route.body().fields.values():
        name = str(field.data_key or field.name)
        yield from ({**right, name: value} for value in wrong_values(field))
        if field.required:
            yield {key: value for key, value in right.items() if key != name}


@pytest.mark.parametrize("flow_class", FLOW_CLASSES)
async def test_flows_of_every_class_and_their_versions_are_valid(ground: Ground, flow_class: str) -> None:
    """A version without its class would fit two shapes at once, which is one too many."""
    judges = {operation_of(route): Judge(ground.api, route) for route in LOSANTS}
    flows = f"/applications/{ground.owner.application}/flows"
    made = await judges["flows.post"].send(flows, {"name": "Pump control", "flowClass": flow_class})
    assert made.json["flowClass"] == flow_class
    flow = f"{flows}/{made.json['id']}"
    await judges["flow.patch"].send(flow, {"description": "Checked", "enabled": False})
    await judges["flow.get"].send(flow)
    posted = await judges["flowVersions.post"].send(f"{flow}/versions", {"version": "v1", "notes": "first"})
    if posted.status == 201:
        assert posted.json["flowClass"] == flow_class
        await judges["flowVersion.get"].send(f"{flow}/versions/v1")
        await judges["flowVersion.patch"].send(f"{flow}/versions/v1", {"enabled": False})
    listed = await judges["flowVersions.get"].send(f"{flow}/versions")
    assert listed.json["totalCount"] == int(posted.status == 201)
    await judges["flowVersion.delete"].send(f"{flow}/versions/v1")
    await judges["flow.delete"].send(flow)


async def test_a_deleted_flow_leaves_a_valid_entry_in_the_log(ground: Ground) -> None:
    flow = await ground.owner.make_flow()
    await ground.api.delete(f"/applications/{ground.owner.application}/flows/{hex_id(flow.id)}")
    (route,) = (route for route in LOSANTS if operation_of(route) == "applicationJobLogs.get")
    log = await Judge(ground.api, route).send(f"/applications/{ground.owner.application}/jobLogs")
    assert log.json["totalCount"] > 0


# The control


GOOD = {"id": "0" * 24, "flowId": "0" * 24, "name": "a", "creationDate": "2026-11-21T10:00:00.000Z"}


@pytest.mark.parametrize(
    ("operation", "status", "body", "fault"),
    [
        pytest.param("flow.get", 404, {}, "an error has", id="empty error"),
        pytest.param("flow.get", 404, {"type": "NotFound", "message": ""}, "too little", id="error without words"),
        pytest.param("flow.delete", 200, {}, "not", id="empty success"),
        pytest.param("flow.get", 200, {**GOOD, "description": None}, "description", id="null"),
        pytest.param("flow.get", 200, {**GOOD, "flowId": "1" * 24}, "differ", id="two ids"),
        pytest.param("flow.get", 200, {**GOOD, "creationDate": "2026-11-21 10:00"}, "date", id="no date-time"),
        pytest.param("flow.get", 200, {**GOOD, "creationDate": "2026-11-21T10:00:00Z"}, "date", id="no milliseconds"),
        pytest.param("flowVersion.get", 200, {"id": "0" * 24, "flowVersionId": "0" * 24}, "valid", id="no class"),
        pytest.param("flowVersions.delete", 202, {"success": True, "jobQueued": True}, "is", id="no job id"),
        pytest.param("flowVersions.delete", 200, {"removed": 1}, "has", id="one number"),
    ],
)
def test_an_answer_that_is_not_right_is_noticed(operation: str, status: int, body: object, fault: str) -> None:
    _, found = fault_of(operation, status, orjson.dumps(body))
    assert found is not None
    assert fault in found
