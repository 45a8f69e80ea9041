"""Rows of every kind there is a list of, with what finds those that meet a query: what random queries are tried on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import asyncpg
import orjson

from core.domain import job_log, languages
from core.domain.identifiers import parse_hex_id
from core.domain.languages import Language
from core.domain.query import Combination, Selection
from core.operations.shown import Page
from core.store import flow_versions, flows, job_logs
from core.store.database import Connection, Database
from core.store.lists import Order
from core.store.predicates import compile_query
from schemas.losant import SHOWN_FLOW, SHOWN_JOB_LOG, SHOWN_VERSION
from tests.support.evaluator import Row
from tests.support.front import CONSTANTS
from tests.support.queries import insert_flows, insert_job_log, insert_namesakes, insert_rows
from tests.support.tenants import Tenant

WHOLE = Order("id", descending=False, limit=1_000, offset=0)


async def page_of_flows(
    connection: Connection, tenant: Tenant, selection: Selection, order: Order = WHOLE, *, all_versions: bool = False
) -> Page:
    claim = tenant.claim("flows.get")
    row = await flows.show_page(connection, claim, selection, order, SHOWN_FLOW, all_versions=all_versions)
    return _page(row)


async def page_of_namesakes(
    connection: Connection, tenant: Tenant, name: str, selection: Selection, order: Order = WHOLE
) -> Page:
    claim = tenant.claim("flows.getByVersion")
    return _page(await flow_versions.show_namesakes(connection, claim, name, selection, order, SHOWN_VERSION))


async def page_of_job_log(connection: Connection, tenant: Tenant, selection: Selection, order: Order = WHOLE) -> Page:
    claim = tenant.claim("applicationJobLogs.get")
    return _page(await job_logs.show_page(connection, claim, job_log.NAMES, selection, order, SHOWN_JOB_LOG))


def _page(row: asyncpg.Record | None) -> Page:
    """What is shown are the things that are named, in their order."""
    assert row is not None, "the token opens something"
    page = Page.of(row)
    shown = orjson.loads(b"[" + page.items + b"]")
    assert [parse_hex_id(item["id"]) for item in shown] == list(page.ids)
    return page


@dataclass(frozen=True)
class Ground:
    """All the rows of one kind that a tenant has, and the ids of those that the database finds."""

    rows: list[Row]
    find: Callable[[Connection, Combination], Awaitable[list[int]]]


async def make_versions(database: Database, tenant: Tenant) -> Ground:
    """Of one flow. Only their predicate is tried: their list is asked for by a token."""
    flow = await tenant.make_flow()
    async with database.connection() as connection:
        rows = await insert_rows(connection, tenant.company_id, flow.id)

    async def find(connection: Connection, query: Combination) -> list[int]:
        predicate = compile_query(query, first=2, constants=CONSTANTS)
        sql = f"SELECT id FROM flow_versions v WHERE v.flow_id = $1 AND {predicate.sql}"
        return [row["id"] for row in await connection.fetch(sql, flow.id, *predicate.parameters)]

    return Ground(rows, find)


async def make_flows(database: Database, tenant: Tenant) -> Ground:
    async with database.connection() as connection:
        rows = await insert_flows(connection, tenant)

    async def find(connection: Connection, query: Combination) -> list[int]:
        return list((await page_of_flows(connection, tenant, query)).ids)

    return Ground(rows, find)


async def make_namesakes(database: Database, tenant: Tenant) -> Ground:
    async with database.connection() as connection:
        rows = await insert_namesakes(connection, tenant, "v1")

    async def find(connection: Connection, query: Combination) -> list[int]:
        return list((await page_of_namesakes(connection, tenant, "v1", query)).ids)

    return Ground(rows, find)


async def make_job_log(database: Database, tenant: Tenant) -> Ground:
    async with database.connection() as connection:
        rows = await insert_job_log(connection, tenant)

    async def find(connection: Connection, query: Combination) -> list[int]:
        return list((await page_of_job_log(connection, tenant, query)).ids)

    return Ground(rows, find)


@dataclass(frozen=True)
class Kind:
    """One kind of row: what can be asked of it, and what makes some."""

    language: Language
    make: Callable[[Database, Tenant], Awaitable[Ground]]


KINDS: Mapping[str, Kind] = {
    "versions": Kind(languages.VERSIONS, make_versions),
    "flows": Kind(languages.FLOWS, make_flows),
    "namesakes": Kind(languages.NAMESAKES, make_namesakes),
    "job log": Kind(languages.JOB_LOGS, make_job_log),
}
