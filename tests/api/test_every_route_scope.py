"""Which scope opens which route: every route there is, with every scope of its kind, one by one.

The table and the rule are Losant's, written down here on their own; neither comes from the route table.
"""

from __future__ import annotations

import pytest

from core.domain.scopes import SCOPES
from service.routes import ROUTES, Route
from tests.api.cases import (
    arrange,
    ask,
    assert_open,
    assert_refused,
    every_closed_route,
    every_route_with_ids,
    is_market,
    titles,
)
from tests.api.conftest import Ground
from tests.support.api import Api
from tests.support.contents import unchanged

OPERATIONS = """
GET    A/flows                                          flows.get                       R
GET    A/flows/version                                  flows.getByVersion              R
GET    A/flows/palette                                  flows.palette                   R
POST   A/flows                                          flows.post                      W
GET    A/flows/{flowId}                                 flow.get                        R
PATCH  A/flows/{flowId}                                 flow.patch                      W
DELETE A/flows/{flowId}                                 flow.delete                     W
GET    A/flows/{flowId}/errors                          flow.errors                     R
GET    A/flows/{flowId}/logs                            flow.log                        R
GET    A/flows/{flowId}/stats                           flow.stats                      R
POST   A/flows/{flowId}/virtualButton                   flow.pressVirtualButton         W
GET    A/flows/{flowId}/storage                         flow.getStorageEntries          R
PATCH  A/flows/{flowId}/storage                         flow.setStorageEntry            W
DELETE A/flows/{flowId}/storage                         flow.clearStorageEntries        W
GET    A/flows/{flowId}/storage-metadata                flow.getStorageEntriesMetadata  R
GET    A/flows/{flowId}/versions                        flowVersions.get                R
POST   A/flows/{flowId}/versions                        flowVersions.post               W
POST   A/flows/{flowId}/versions/delete                 flowVersions.delete             W
GET    A/flows/{flowId}/versions/{flowVersionId}        flowVersion.get                 R
PATCH  A/flows/{flowId}/versions/{flowVersionId}        flowVersion.patch               W
DELETE A/flows/{flowId}/versions/{flowVersionId}        flowVersion.delete              W
GET    A/flows/{flowId}/versions/{flowVersionId}/errors flowVersion.errors              R
GET    A/flows/{flowId}/versions/{flowVersionId}/logs   flowVersion.log                 R
GET    A/flows/{flowId}/versions/{flowVersionId}/stats  flowVersion.stats               R
GET    A/jobLogs                                        applicationJobLogs.get          R
GET    A/jobLogs/{jobId}                                applicationJobLog.get           R
GET    N/jobs                                           deleting                        -
GET    N/jobs/{job}                                     deleting                        -
POST   N/jobs/{job}/cancel                              deleting                        -
POST   N/jobs/{job}/undo                                deleting                        -
GET    N/jobs/{job}/results                             deleting                        -
GET    N/jobs/{job}/events                              deleting                        -
GET    N/flows/{flow}/trash                             flowVersions.get                R
POST   N/flows/{flow}/trash/{entry}/restore             flowVersions.post               W
GET    N/flows                                          flows.get                       R
POST   N/flows                                          flows.post                      W
GET    N/flows/{flow}                                   flow.get                        R
PUT    N/flows/{flow}                                   flow.patch                      W
PATCH  N/flows/{flow}                                   flow.patch                      W
DELETE N/flows/{flow}                                   flow.delete                     W
GET    N/flows/{flow}/versions                          flowVersions.get                R
POST   N/flows/{flow}/versions                          flow.patch                      W
GET    N/flows/{flow}/versions/{version}                flowVersion.get                 R
PUT    N/flows/{flow}/versions/{version}                flow.patch                      W
DELETE N/flows/{flow}/versions/{version}                flowVersion.delete              W
POST   N/flows/{flow}/versions/{version}/copy           flow.patch                      W
GET    N/flows/{flow}/storage/trash                     flow.getStorageEntries          R
POST   N/flows/{flow}/storage/trash/{entry}/restore     flow.setStorageEntry            W
GET    N/flow-versions/{flow_version}/schedules         flowVersion.get                 R
POST   N/flow-versions/{flow_version}/schedules         flowVersion.patch               W
PUT    N/flow-versions/{flow_version}/schedules/{schedule} flowVersion.patch            W
DELETE N/flow-versions/{flow_version}/schedules/{schedule} flowVersion.patch            W
POST   N/schedules/preview                              flowVersion.get                 R
GET    N/flows/{flow}/versions/{version}/export         flowVersion.get                 R
GET    N/flows/{flow}/versions/{a}/compare/{b}          flowVersion.get                 R
POST   N/flows/import                                   flows.post                      W
GET    N/audit-events                                   nothing                         -
GET    N/company                                        nothing                         -
PUT    N/company                                        nothing                         -
GET    N/company/webhook-secrets                        nothing                         -
POST   N/flows/{flow}/start                             flow.pressVirtualButton         W
POST   N/flows/{flow}/start/{version}                   flow.pressVirtualButton         W
POST   N/flows/{flow}/start/raw                         flow.pressVirtualButton         W
POST   N/flows/{flow}/start/raw/{version}               flow.pressVirtualButton         W
POST   N/flow-runs/{run}/retry                          flow.pressVirtualButton         W
POST   N/flow-runs/{run}/stop                           flow.pressVirtualButton         W
POST   N/flow-runs/{run}/report                         flow.pressVirtualButton         W
GET    N/flow-runs/{run}/flow-run-logs                  flow.log                        R
GET    N/flows/{flow}/version-metrics                   flowVersion.stats               R
GET    N/flow-runs                                      flow.log                        R
GET    N/flow-runs/{run}                                flow.log                        R
GET    N/schedules/{schedule}/gaps                      flow.log                        R
GET    N/schedules/{schedule}/calendar                  flowVersion.get                 R
POST   N/schedules/{schedule}/repair                    flow.pressVirtualButton         W
"""
"""Method, address, what a token needs, and whether that reads or writes.

The first part is Losant's endpoint table, with operations that are not served yet; the second says what a token may
use of ours. Whatever is about jobs is open to whoever may enqueue a deletion, of versions or of a flow; what is about
the whole company is open to no token.
"""

NEEDS = {
    (method, path.replace("A/", "/applications/{applicationId}/").replace("N/", "/api/v1/")): (operation, kind)
    for method, path, operation, kind in map(str.split, OPERATIONS.strip().splitlines())
}

CLOSED = [route for route in ROUTES if not route.is_open and not is_market(route)]
"""Those that ask for a credential at all, and take a token's."""

EVERYTHING = ("all.Application", "all.Organization", "all.User")
DELETIONS = ("flowVersions.delete", "flow.delete")

OURS = {"all", "flow", "flows", "flowVersion", "flowVersions", "applicationJobLog", "applicationJobLogs"}
"""The resources that are served, and so the scopes that could be mistaken for one another."""

ASKED = sorted(
    {scope for scope in SCOPES if scope.partition(".")[0] in OURS} | {"resourceJobs.*", "application.*", "device.get"}
)


def opening(route: Route) -> set[str]:
    """Every scope that opens a route, by the table above and by this rule."""
    operation, kind = NEEDS[route.method, route.path]
    if operation == "nothing":
        return set()
    named = DELETIONS if operation == "deleting" else (operation,)
    opens = {*named, *(f"{name.split('.')[0]}.*" for name in named)}
    opens |= {*EVERYTHING, *(f"{name}.bounded" for name in EVERYTHING)}
    return opens | ({f"{name}.read" for name in EVERYTHING} if kind == "R" else set())


@pytest.fixture(scope="module")
async def callers(ground: Ground) -> dict[str, Api]:
    """The API as a token of each scope alone."""
    made = {scope: await ground.owner.make_token(scope) for scope in ASKED}
    return {scope: ground.anonymous.as_(f"Bearer {token.secret}") for scope, token in made.items()}


def test_every_route_is_in_the_table() -> None:
    missing = [titles(route) for route in CLOSED if (route.method, route.path) not in NEEDS]
    assert missing == [], "say above what opens these"


def test_every_scope_that_opens_something_is_asked() -> None:
    assert set().union(*(opening(route) for route in CLOSED)) <= set(ASKED)
    assert len(ASKED) == 11 + 12 + 1 + 5 + 1 + 6 + 1 + 3 + 1 + 2 + 2 + 3, "all, flow, flows, versions, logs, others"


@every_closed_route
async def test_every_other_scope_is_refused(ground: Ground, callers: dict[str, Api], route: Route) -> None:
    arranged = await arrange(route, ground.owner)
    async with unchanged(ground.database):
        for scope in set(ASKED) - opening(route):
            answer = await ask(callers[scope], route, arranged)
            assert answer.status == 403, (scope, answer.raw)
            assert_refused(route, answer, 403, "Forbidden", "The token's scope does not include this operation.")
    await assert_open(ground, route, arranged)


@every_closed_route
async def test_every_scope_that_should_opens_it_alone(ground: Ground, callers: dict[str, Api], route: Route) -> None:
    """Where it is about one job, a token that may delete only flows sees no deletion of versions: that is unknown."""
    other_kind = {"flow.delete", "flow.*"} if "{job}" in route.path else set()
    for scope in sorted(opening(route)):
        arranged = await arrange(route, ground.owner)
        answer = await ask(callers[scope], route, arranged)
        assert answer.status == (404 if scope in other_kind else route.success), (scope, answer.raw)


@every_closed_route
async def test_one_scope_among_many_that_do_not_suffices(ground: Ground, route: Route) -> None:
    """Among all there are."""
    others = SCOPES - opening(route)
    arranged = await arrange(route, ground.owner)
    closed = await ground.owner.make_token(*others)
    async with unchanged(ground.database):
        answer = await ask(ground.anonymous.as_(f"Bearer {closed.secret}"), route, arranged)
    assert answer.status == 403, answer.raw
    if not opening(route):
        return
    opened = await ground.owner.make_token(*others, "all.User.bounded")
    answer = await ask(ground.anonymous.as_(f"Bearer {opened.secret}"), route, arranged)
    assert answer.status == route.success, answer.raw


@every_route_with_ids
async def test_no_scope_opens_another_application(ground: Ground, callers: dict[str, Api], route: Route) -> None:
    """Not even those that Losant means for an organisation or a user: a token is of one application."""
    arranged = await arrange(route, ground.sibling)
    async with unchanged(ground.database):
        for scope in sorted(set(ASKED) & {*EVERYTHING, *(f"{name}.bounded" for name in EVERYTHING)}):
            answer = await ask(callers[scope], route, arranged)
            assert answer.status == 404, (scope, answer.raw)
