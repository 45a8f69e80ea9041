"""Who of a company's people may do what, and that nobody of another company may do anything: roles by routes.

Generated from the route table. What a role may not do would succeed but for the role, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from core.domain.access import Role
from service.dialects.patchworks.schedules import preview_schedule
from service.native import marketplace as native_marketplace
from service.routes import Dialect, Route
from tests.api.cases import arrange, ask, assert_open, assert_refused, every, names_of
from tests.api.conftest import Ground
from tests.support.api import Api
from tests.support.arrangements import UNKNOWN, Arranged
from tests.support.contents import unchanged
from tests.support.people import Person, client_token, make_client, make_person
from tests.support.tenants import Tenant, make_tenant

LEAST = {
    "GET /api/v1/jobs": Role.READ_ONLY,
    "GET /api/v1/jobs/{job}": Role.READ_ONLY,
    "POST /api/v1/jobs/{job}/cancel": Role.MANAGER,
    "POST /api/v1/jobs/{job}/undo": Role.MANAGER,
    "GET /api/v1/jobs/{job}/results": Role.READ_ONLY,
    "GET /api/v1/jobs/{job}/events": Role.READ_ONLY,
    "GET /api/v1/flows/{flow}/trash": Role.READ_ONLY,
    "POST /api/v1/flows/{flow}/trash/{entry}/restore": Role.MANAGER,
    "GET /api/v1/flows": Role.READ_ONLY,
    "POST /api/v1/flows": Role.MANAGER,
    "GET /api/v1/flows/{flow}": Role.READ_ONLY,
    "PUT /api/v1/flows/{flow}": Role.MANAGER,
    "PATCH /api/v1/flows/{flow}": Role.MANAGER,
    "DELETE /api/v1/flows/{flow}": Role.MANAGER,
    "GET /api/v1/flows/{flow}/versions": Role.READ_ONLY,
    "POST /api/v1/flows/{flow}/versions": Role.MANAGER,
    "GET /api/v1/flows/{flow}/versions/{version}": Role.READ_ONLY,
    "GET /api/v1/flows/{flow}/version-metrics": Role.READ_ONLY,
    "PUT /api/v1/flows/{flow}/versions/{version}": Role.MANAGER,
    "DELETE /api/v1/flows/{flow}/versions/{version}": Role.MANAGER,
    "POST /api/v1/flows/{flow}/versions/{version}/copy": Role.MANAGER,
    "GET /api/v1/flows/{flow}/storage/trash": Role.READ_ONLY,
    "POST /api/v1/flows/{flow}/storage/trash/{entry}/restore": Role.MANAGER,
    "GET /api/v1/flow-versions/{flow_version}/schedules": Role.READ_ONLY,
    "POST /api/v1/flow-versions/{flow_version}/schedules": Role.MANAGER,
    "PUT /api/v1/flow-versions/{flow_version}/schedules/{schedule}": Role.MANAGER,
    "DELETE /api/v1/flow-versions/{flow_version}/schedules/{schedule}": Role.MANAGER,
    "POST /api/v1/schedules/preview": Role.READ_ONLY,
    "POST /api/v1/flow-versions/{flow_version}/upload": Role.ADMINISTRATOR,
    "GET /api/v1/marketplace/flows": Role.READ_ONLY,
    "GET /api/v1/marketplace/flows/{item}": Role.READ_ONLY,
    "GET /api/v1/marketplace/flows/{item}/versions": Role.READ_ONLY,
    "GET /api/v1/marketplace/flows/{item}/artifact": Role.READ_ONLY,
    "POST /api/v1/marketplace/flows/{item}/install": Role.MANAGER,
    "POST /api/v1/marketplace/flows/{item}/yank": Role.ADMINISTRATOR,
    "GET /api/v1/marketplace/log": Role.READ_ONLY,
    "GET /api/v1/flows/{flow}/versions/{version}/export": Role.READ_ONLY,
    "GET /api/v1/flows/{flow}/versions/{a}/compare/{b}": Role.READ_ONLY,
    "POST /api/v1/flows/import": Role.MANAGER,
    "GET /api/v1/audit-events": Role.ADMINISTRATOR,
    "GET /api/v1/company": Role.READ_ONLY,
    "PUT /api/v1/company": Role.MANAGER,
    "GET /api/v1/company/webhook-secrets": Role.ADMINISTRATOR,
    "GET /api/v1/flow-runs": Role.READ_ONLY,
    "GET /api/v1/flow-runs/{run}": Role.READ_ONLY,
    "GET /api/v1/schedules/{schedule}/gaps": Role.READ_ONLY,
    "GET /api/v1/schedules/{schedule}/calendar": Role.READ_ONLY,
    "POST /api/v1/schedules/{schedule}/repair": Role.MANAGER,
    "POST /api/v1/flows/{flow}/start": Role.USER,
    "POST /api/v1/flows/{flow}/start/{version}": Role.USER,
    "POST /api/v1/flows/{flow}/start/raw": Role.USER,
    "POST /api/v1/flows/{flow}/start/raw/{version}": Role.USER,
    "POST /api/v1/flow-runs/{run}/retry": Role.USER,
    "POST /api/v1/flow-runs/{run}/stop": Role.USER,
    "POST /api/v1/flow-runs/{run}/report": Role.USER,
    "GET /api/v1/flow-runs/{run}/flow-run-logs": Role.READ_ONLY,
}
"""The least role of each route, said here once more on its own: anybody reads but what is secret, only some change."""

SHARED = {
    native_marketplace.list_items,
    native_marketplace.read_item,
    native_marketplace.list_versions,
    native_marketplace.download_artifact,
    native_marketplace.install_item,
    native_marketplace.yank_item,
    native_marketplace.list_log,
}
"""What companies of one family share, which no generated test can know: test_marketplace_family.py has the table."""

every_route_for_people = every(lambda route: route.dialect.takes_people and not route.is_open, market=True)
every_route_to_own = every(
    lambda route: route.dialect.takes_people and not route.is_open and route.handler not in {*SHARED, preview_schedule},
    market=True,
)
"""Those that are about something a company has; a preview is arithmetic."""
every_route_for_applications = every(lambda route: route.dialect is Dialect.LOSANT)


def least(route: Route) -> Role:
    return LEAST[f"{route.method} {route.path}"]


@dataclass(frozen=True)
class Cast:
    """Everybody who could ask: the owner's people by role, and administrators of the companies around it."""

    people: Mapping[Role, Person]
    robots: Mapping[Role, str]
    """Tokens of OAuth clients by the role of the user they act for."""
    others: Mapping[str, Person]


@pytest.fixture(scope="module")
async def family(ground: Ground) -> tuple[Tenant, Tenant, Tenant]:
    """A child company with things of its own, its parent, and a sibling."""
    parent = await make_tenant(ground.database, "Parent")
    child = await make_tenant(ground.database, "Child", parent=parent)
    return child, parent, await make_tenant(ground.database, "Sibling", parent=parent)


@pytest.fixture(scope="module")
async def cast(ground: Ground, family: tuple[Tenant, Tenant, Tenant]) -> Cast:
    child, parent, sibling = family
    people = {role: await make_person(ground.owner, role) for role in Role}
    robots = {
        role: await client_token(ground.database, await make_client(person.user, ground.database))
        for role, person in people.items()
    }
    companies = {"foreign": ground.stranger, "child": child, "parent": parent, "sibling": sibling}
    others = {name: await make_person(tenant, Role.ADMINISTRATOR) for name, tenant in companies.items()}
    return Cast(people, robots, others)


@every_route_for_people
def test_every_route_says_whom_it_takes(route: Route) -> None:
    assert route.role is least(route)


@every(lambda route: route.role is not None, market=True)
def test_only_routes_for_people_have_a_role(route: Route) -> None:
    assert route.dialect.takes_people


@every_route_for_people
@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("who", ["person", "robot"])
async def test_a_role_may_do_what_it_may_and_no_more(
    ground: Ground, cast: Cast, route: Route, role: Role, who: str
) -> None:
    credential = cast.people[role].credential if who == "person" else f"Bearer {cast.robots[role]}"
    caller = ground.anonymous.as_(credential)
    arranged = await arrange(route, ground.owner)
    if role.includes(least(route)):
        answer = await ask(caller, route, arranged)
        assert answer.status == route.success, answer.raw
        return
    async with unchanged(ground.database):
        answer = await ask(caller, route, arranged)
    assert_refused(route, answer, 403, "Forbidden", f"This takes the role {least(route)}; yours is {role}.")
    await assert_open(ground, route, arranged)


@every_route_for_people
async def test_a_key_acts_as_a_manager(ground: Ground, route: Route) -> None:
    arranged = await arrange(route, ground.owner)
    answer = await ask(ground.anonymous.as_(ground.owner.key), route, arranged)
    assert answer.status == (route.success if Role.MANAGER.includes(least(route)) else 403)


@every_route_to_own
@pytest.mark.parametrize("who", ["foreign", "parent", "child", "sibling"])
async def test_another_company_is_unknown_to_its_kin_too(
    ground: Ground, cast: Cast, family: tuple[Tenant, Tenant, Tenant], route: Route, who: str
) -> None:
    """A child's things to its parent, a parent's to its child, a child's to another one, and anybody's to strangers."""
    child, parent, _ = family
    owner, name = (parent, "parent") if who == "child" else (child, "child")
    owned = await arrange(route, owner)
    caller = ground.anonymous.as_(cast.others[who].credential)
    owners = ground.anonymous.as_(cast.others[name].credential)
    if route.method == "POST" and not names_of(route):
        await assert_theirs_alone(ground, caller, route, owned, owner)
        return
    if names_of(route):
        async with unchanged(ground.database):
            answer = await ask(caller, route, owned)
            unknown = await ask(caller, route, owned, **{name: UNKNOWN[name] for name in names_of(route)})
        assert (answer.status, answer.raw) == (404, unknown.raw)
    else:
        await tenant_job(owner)
        theirs = await shown(owners, route)
        seen = await shown(caller, route, owned)
        assert theirs
        assert not seen.keys() & theirs.keys(), "a list shows the caller's own and nothing else"
        assert await shown(owners, route) == theirs, "what the caller changes is its own"
    assert (await ask(owners, route, owned)).status == route.success


async def assert_theirs_alone(ground: Ground, caller: Api, route: Route, arranged: Arranged, owner: Tenant) -> None:
    """What is made at an address that names nobody becomes the caller's: the list at the same address tells."""
    made = (await ask(caller, route, arranged)).json["data"]["id"]
    path = route.path.removesuffix("/import")
    seen, unseen = [await api.send("GET", f"{path}?filter[id]={made}") for api in (caller, ground.as_(owner))]
    assert ([row["id"] for row in seen.json["data"]], unseen.json["data"]) == ([made], [])


async def tenant_job(tenant: Tenant) -> None:
    await tenant.ask_deletion(await tenant.make_flow())


async def shown(api: Api, route: Route, arranged: Arranged | None = None) -> dict[str, object]:
    """By id, what an address shows of the company that asks; with `arranged`, after what that changes."""
    if arranged is not None:
        assert (await ask(api, route, arranged)).status == route.success
    data = (await api.get(route.path)).json["data"]
    return {row["id"]: row for row in (data if isinstance(data, list) else [data])}


@every_route_for_applications
@pytest.mark.parametrize("who", ["person", "robot", "raw"])
async def test_an_applications_route_takes_nobody_but_its_tokens(
    ground: Ground, cast: Cast, route: Route, who: str
) -> None:
    person = cast.people[Role.ADMINISTRATOR]
    credentials = {
        "person": person.credential,
        "robot": f"Bearer {cast.robots[Role.ADMINISTRATOR]}",
        "raw": person.token,
    }
    arranged = await arrange(route, ground.owner)
    async with unchanged(ground.database):
        answer = await ask(ground.anonymous.as_(credentials[who]), route, arranged)
    assert_refused(route, answer, 401, "Unauthorized", "Invalid access token")
    await assert_open(ground, route, arranged)
