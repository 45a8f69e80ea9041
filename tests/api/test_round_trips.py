"""What is asked most takes one round trip to PostgreSQL: counted on the line, for every route that says so."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace

import orjson
import pytest

from core.domain.templates import Form, Hole, Template
from core.operations import versions
from core.settings import Settings
from core.store.database import Database, open_database
from schemas.jobs import PageQuery as CompanyPageQuery
from schemas.lists import ContentQuery, PageQuery
from service.app import open_service
from service.dialects.losant import flows as losant_flows
from service.dialects.losant import versions as losant_versions
from service.dialects.patchworks import flows as patchworks_flows
from service.routes import Route
from tests.api.cases import arrange, every, send
from tests.api.conftest import Ground
from tests.support.api import Api, Reply, open_api
from tests.support.statements import Census
from tests.support.tenants import Tenant
from tests.support.wire import Wire

PLAIN = {"$and": [{"enabled": True}, {"$or": [{"version": {"$startsWith": "v"}}, {"id": None}]}]}
"""A query that cannot take long, whatever it is asked of."""

LONG = {"$or": [{"id": None}, *({"name": {"$startsWith": letter}} for letter in "abcd")]}
"""One that may, and is stopped then."""


@dataclass(frozen=True)
class Watched:
    """An API whose every word to PostgreSQL is counted."""

    ground: Ground
    anonymous: Api
    census: Census
    pooled: bool

    async def ask(self, route: Route, parameters: Mapping[str, str] | None = None) -> Reply:
        """One request, on a connection that has answered such a one before; the census then tells of it alone."""
        credential = self.ground.opening(route).credential
        for _ in range(2):
            arranged = await arrange(route, self.ground.owner)
            path = arranged.path(route, parameters)
            self.census.forget()
            answer = await send(self.anonymous.as_(credential), route, path, arranged.sent)
            assert answer.status == route.success, answer.raw
        return answer

    def assert_one_trip(self) -> None:
        """For one statement that looks up the token as well."""
        assert len(self.census.statements) == 1, self.census.statements
        assert any(name in self.census.statements[0] for name in ("open_token", "open_caller"))
        if not self.pooled:
            assert self.census.trips == 1, "it was prepared before"


@pytest.fixture(scope="module")
async def watched(ground: Ground) -> AsyncIterator[Watched]:
    url = ground.settings.database_url
    assert url is not None
    census = Census()
    async with Wire(url, census) as wire, open_api(replace(ground.settings, database_url=wire.url)) as api:
        yield Watched(ground, api, census, pooled=ground.settings.database_direct_url is not None)


def is_short(route: Route) -> bool:
    """A palette claims only as it stands before the address of a flow, which does: it is made of several lists."""
    return route.claims and route.handler is not losant_flows.read_palette


every_page = every(lambda route: is_short(route) and issubclass(route.query, PageQuery))


@every(is_short)
async def test_a_claim_is_looked_up_and_answered_by_one_statement(watched: Watched, route: Route) -> None:
    await watched.ask(route)
    watched.assert_one_trip()


@every_page
async def test_so_is_a_page_that_does_not_tell_how_long_the_list_is(watched: Watched, route: Route) -> None:
    page = (await watched.ask(route, {"perPage": "1"})).json
    assert len(page["items"]) == 1
    watched.assert_one_trip()


@every(lambda route: is_short(route) and issubclass(route.query, CompanyPageQuery))
async def test_so_is_one_of_a_company(watched: Watched, route: Route) -> None:
    page = (await watched.ask(route, {"per_page": "1"})).json
    assert len(page["data"]) == 1
    watched.assert_one_trip()


@every(lambda route: route.handler is patchworks_flows.list_flows)
@pytest.mark.parametrize("flows", [1, 12])
async def test_what_comes_along_takes_one_more_for_each_kind(watched: Watched, route: Route, flows: int) -> None:
    """Versions, their number, and their schedules; however many flows there are."""
    made = [await watched.ground.owner.make_flow(f"Flow {number}") for number in range(flows)]
    for flow in made:
        await watched.ground.owner.make_versions(flow, 3)
    include = "versions.schedules,latestVersion,deployedVersion,versions_count,versionsExists"
    asked = {"include": include, "filter[id]": ",".join(str(flow.id) for flow in made)}
    page = (await watched.ask(route, asked)).json
    assert [len(row["versions"]) for row in page["data"]] == [3] * flows
    assert len(watched.census.statements) == 4, watched.census.statements


@every(lambda route: route.handler is losant_versions.list_versions)
async def test_so_is_a_query_that_cannot_take_long(watched: Watched, route: Route) -> None:
    await watched.ask(route, {"query": orjson.dumps(PLAIN).decode()})
    watched.assert_one_trip()


@every(lambda route: not is_short(route) and not route.is_open)
async def test_a_control_that_asks_who_is_there_first_takes_more(watched: Watched, route: Route) -> None:
    """So that a silent line could not pass for a short talk."""
    await watched.ask(route)
    assert len(watched.census.statements) > 1
    assert watched.census.trips >= len(watched.census.statements)


@every_page
async def test_a_control_that_may_take_long_takes_more(watched: Watched, route: Route) -> None:
    """The very routes above, where the statement may be stopped, which takes others around it."""
    await watched.ask(route, {"query": orjson.dumps(LONG).decode()})
    assert len(watched.census.statements) > 1


@every(lambda route: is_short(route) and issubclass(route.query, ContentQuery))
async def test_a_control_that_asks_for_custom_nodes_takes_more(watched: Watched, route: Route) -> None:
    await watched.ask(route, {"includeCustomNodes": "true"})
    assert len(watched.census.statements) > 1


@every(lambda route: route.handler is losant_versions.list_versions)
async def test_a_control_that_asks_for_the_flows_own_fields_takes_two(watched: Watched, route: Route) -> None:
    """They are decided before the versions are looked for."""
    await watched.ask(route, {"query": '{"flowClass": "cloud"}'})
    assert len(watched.census.statements) == 2, watched.census.statements


# What makes the one statement cheap


@pytest.fixture
def direct(settings: Settings) -> Settings:
    """Without a pooler, whose connections cannot be told anything for good."""
    return replace(
        settings, database_url=settings.database_direct_url or settings.database_url, database_direct_url=None
    )


async def plan_cache_mode(database: Database) -> str:
    async with database.connection() as connection:
        mode: str = await connection.fetchval("SHOW plan_cache_mode")
    return mode


async def test_a_connection_of_the_api_plans_a_statement_once(direct: Settings) -> None:
    """And one of another role, the control, as PostgreSQL would by itself."""
    async with open_service(direct) as service:
        assert await plan_cache_mode(service.database) == "force_generic_plan"
    async with open_database(direct, role="worker") as database:
        assert await plan_cache_mode(database) == "auto"


@pytest.mark.parametrize("plan_once", [True, False])
async def test_what_is_read_again_is_not_planned_again(direct: Settings, tenant: Tenant, plan_once: bool) -> None:
    """As PostgreSQL itself has counted; where it may choose, the control, it plans the first five for their values."""
    flow = await tenant.make_flow()
    await tenant.make_version(flow, "v1")
    claim, template = tenant.claim("flowVersion.get"), Template((Hole("id", Form.HEX_ID),))
    async with open_database(direct, role="test", size=1, plan_once=plan_once) as database:
        for _ in range(5):
            await versions.show_version(claim, database, flow.id, "v1", template)
        async with database.connection() as connection:
            (plans,) = await connection.fetch(
                "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE position($1 IN statement) > 0",
                "open_token",
            )
    assert tuple(plans) == ((5, 0) if plan_once else (0, 5))
