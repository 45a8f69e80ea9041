"""What is asked most is one statement: who asks, what is asked for, and how much of it there is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from asyncpg.connection import LoggedQuery

from core.domain.documents import parse_document
from core.domain.flows import Flow
from core.domain.listings import Listing
from core.domain.query import EVERYTHING, Selection, parse_query
from core.domain.versions import NewVersion
from core.operations import catalogue, flows, jobs, lifecycle, versions
from core.store.lists import Order
from schemas import patchworks
from schemas.losant import SHOWN_FLOW, SHOWN_JOB_LOG, SHOWN_VERSION, content_of
from tests.support.machinery import Machinery
from tests.support.tenants import Tenant

FIRST = Order("id", descending=False, limit=1, offset=0)
"""A page that does not tell how long the list is."""

QUERY = parse_query({"$and": [{"enabled": True}, {"$or": [{"version": {"$startsWith": "v"}}, {"id": None}]}]})


def _list(selection: Selection) -> Callable[[Tenant, Flow], Awaitable[object]]:
    return lambda tenant, flow: versions.show_versions(
        tenant.claim("flowVersions.get"), tenant.database, flow.id, selection, FIRST, SHOWN_VERSION
    )


ASKED: dict[str, Callable[[Tenant, Flow], Awaitable[object]]] = {
    "a flow": lambda tenant, flow: flows.show_flow(tenant.claim("flow.get"), tenant.database, flow.id, SHOWN_FLOW),
    "flows": lambda tenant, _: flows.show_flows(
        tenant.claim("flows.get"), tenant.database, EVERYTHING, FIRST, SHOWN_FLOW
    ),
    "a version": lambda tenant, flow: versions.show_version(
        tenant.claim("flowVersion.get"), tenant.database, flow.id, "v1", SHOWN_VERSION
    ),
    "versions": _list(EVERYTHING),
    "versions with a query": _list(QUERY),
    "versions of one name": lambda tenant, _: versions.show_namesakes(
        tenant.claim("flows.getByVersion"), tenant.database, "v1", EVERYTHING, FIRST, SHOWN_VERSION
    ),
    "the job log": lambda tenant, _: jobs.show_job_log(
        tenant.claim("applicationJobLogs.get"), tenant.database, EVERYTHING, FIRST, SHOWN_JOB_LOG
    ),
    "a flow of the company": lambda tenant, flow: catalogue.show_company_flow(
        tenant.visitor("flow.get"), tenant.database, flow.id, patchworks.SHOWN_FLOW
    ),
    "flows of the company": lambda tenant, _: catalogue.show_company_flows(
        tenant.visitor("flows.get"), tenant.database, Listing(1, 0), patchworks.SHOWN_FLOW
    ),
    "versions and the Draft": lambda tenant, flow: lifecycle.show_flow_versions(
        tenant.visitor("flowVersions.get"), tenant.database, flow.id, Listing(1, 0), patchworks.SHOWN_FLOW_VERSION
    ),
    "a new version": lambda tenant, flow: versions.create_version(
        tenant.claim("flowVersions.post", reads=False), tenant.database, flow.id,
        NewVersion("new", True, None, content_of(parse_document(b"{}"))), SHOWN_VERSION,
    ),
}  # fmt: skip


async def statements(tenant: Tenant, work: Callable[[], Awaitable[object]]) -> list[str]:
    """What is sent to PostgreSQL meanwhile. The connection that was used last is the next one to be used."""
    sent: list[str] = []

    def note(query: LoggedQuery) -> None:
        sent.append(query.query)

    async with tenant.database.connection() as connection:
        await connection.execute("SELECT $1::bigint[], $2::text[]", [], [])  # asyncpg asks once what an array is
        connection.add_query_logger(note)
    await work()
    await asyncio.sleep(0)  # asyncpg leaves the note of the last statement to the loop's next turn
    async with tenant.database.connection() as connection:
        connection.remove_query_logger(note)
    return sent


@pytest.mark.leaves_jobs
@pytest.mark.parametrize("title", ASKED)
async def test_it_takes_one_statement(tenant: Tenant, title: str) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 3)
    await tenant.make_version(await tenant.make_flow(), "v1")
    for _ in range(2):
        await tenant.ask_deletion(flow)
    sent = await statements(tenant, lambda: ASKED[title](tenant, flow))
    assert len(sent) == 1, sent


async def test_so_does_an_entry_of_the_job_log(tenant: Tenant, machinery: Machinery) -> None:
    public_id = await tenant.ask_deletion(await tenant.make_flow())
    await machinery.drain()
    claim = tenant.claim("applicationJobLog.get")
    sent = await statements(tenant, lambda: jobs.show_job_log_entry(claim, tenant.database, public_id, SHOWN_JOB_LOG))
    assert len(sent) == 1, sent


async def test_so_does_a_version_under_api_v1(tenant: Tenant) -> None:
    flow = await tenant.make_flow()
    version = await tenant.make_version(flow, "v1")
    place = (tenant.visitor("flowVersion.get"), tenant.database, flow.id, version.id)
    sent = await statements(tenant, lambda: lifecycle.show_flow_version(*place, patchworks.SHOWN_FLOW_VERSION))
    assert len(sent) == 1, sent


@pytest.mark.parametrize("count", [1, 12])
async def test_whatever_comes_along_with_flows_takes_two_more(tenant: Tenant, count: int) -> None:
    flow_ids = []
    for number in range(count):
        flow = await tenant.make_flow(f"Flow {number}")
        await tenant.make_versions(flow, 3)
        flow_ids.append(flow.id)
    along = catalogue.Along(versions=True, latest=True, deployed=True, counted=True, existing=True)
    asked = (tenant.principal, tenant.database, flow_ids, along, patchworks.SHOWN_FLOW_VERSION)
    sent = await statements(tenant, lambda: catalogue.show_related(*asked))
    assert len(sent) == 2, sent
    related = await catalogue.show_related(*asked)
    assert [len(related[flow_id].versions) for flow_id in flow_ids] == [3] * count


async def test_a_control_that_asks_for_the_flow_s_own_fields_takes_more(tenant: Tenant) -> None:
    """They are decided before the versions are looked for."""
    flow = await tenant.make_flow()
    sent = await statements(tenant, lambda: _list(parse_query({"flowClass": "cloud"}))(tenant, flow))
    assert len(sent) == 2, sent
