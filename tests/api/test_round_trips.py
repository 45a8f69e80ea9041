"""What is asked most takes one round trip to PostgreSQL: counted on the line, for every route that says so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from core.domain.templates import Form, Hole, Template
from core.operations import versions
from core.settings import Settings
from core.store.database import Database, open_database
from service.app import open_service
from service.routes import Route
from tests.api.cases import arrange, every, send
from tests.api.conftest import Ground
from tests.support.api import Api, open_api
from tests.support.statements import Census
from tests.support.tenants import Tenant
from tests.support.wire import Wire


@dataclass(frozen=True)
class Watched:
    """An API whose every word to PostgreSQL is counted."""

    ground: Ground
    anonymous: Api
    census: Census
    pooled: bool

    async def ask(self, route: Route, query: str = "") -> list[str]:
        """The statements that one request takes, on a connection that has answered such a one before."""
        credential = self.ground.opening(route).credential
        for _ in range(2):
            arranged = await arrange(route, self.ground.owner)
            self.census.forget()
            answer = await send(self.anonymous.as_(credential), route, arranged.path(route) + query, arranged.body)
            assert answer.status == route.success, answer.raw
        return list(self.census.statements)


@pytest.fixture(scope="module")
async def watched(ground: Ground) -> AsyncIterator[Watched]:
    url = ground.settings.database_url
    assert url is not None
    census = Census()
    async with Wire(url, census) as wire, open_api(replace(ground.settings, database_url=wire.url)) as api:
        yield Watched(ground, api, census, pooled=ground.settings.database_direct_url is not None)


every_claim = every(lambda route: route.claims)


@every_claim
async def test_a_claim_is_looked_up_and_answered_by_one_statement(watched: Watched, route: Route) -> None:
    statements = await watched.ask(route)
    assert len(statements) == 1, statements
    assert "open_token" in statements[0]
    if not watched.pooled:
        assert watched.census.trips == 1, "it was prepared before"


@every(lambda route: not route.claims and not route.is_open)
async def test_a_control_that_asks_who_is_there_first_takes_more(watched: Watched, route: Route) -> None:
    """So that a silent line could not pass for a short talk."""
    statements = await watched.ask(route)
    assert len(statements) > 1, statements
    assert watched.census.trips >= len(statements)


@every(lambda route: route.claims and route.method == "GET")
async def test_a_control_that_asks_for_more_takes_more(watched: Watched, route: Route) -> None:
    """The very routes above, where an answer cannot come from one statement."""
    assert len(await watched.ask(route, "?includeCustomNodes=true&filter=v*")) > 1


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
