"""Rows of every kind there is a list of, with what finds those that meet a query: what random queries are tried on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from core.domain import languages
from core.domain.languages import Language
from core.domain.query import Combination
from core.store import flow_versions, flows, jobs
from core.store.database import Connection, Database
from core.store.lists import Order
from core.store.predicates import compile_query
from schemas.losant import SHOWN_VERSION
from tests.support.evaluator import Row
from tests.support.front import CONSTANTS
from tests.support.queries import JOB_NAMES, insert_flows, insert_job_log, insert_namesakes, insert_rows
from tests.support.tenants import Tenant

WHOLE = Order("id", descending=False, limit=1_000, offset=0)


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
        found, _ = await flows.list_page(connection, tenant.company_id, tenant.application_id, query, WHOLE)
        return [flow.id for flow in found]

    return Ground(rows, find)


async def make_namesakes(database: Database, tenant: Tenant) -> Ground:
    async with database.connection() as connection:
        rows = await insert_namesakes(connection, tenant, "v1")

    async def find(connection: Connection, query: Combination) -> list[int]:
        at = (tenant.company_id, tenant.application_id, "v1", query, WHOLE)
        found, _ = await flow_versions.show_namesakes(connection, *at, SHOWN_VERSION)
        return [row["id"] for row in found]

    return Ground(rows, find)


async def make_job_log(database: Database, tenant: Tenant) -> Ground:
    async with database.connection() as connection:
        rows = await insert_job_log(connection, tenant)

    async def find(connection: Connection, query: Combination) -> list[int]:
        at = (tenant.company_id, tenant.application_id, list(JOB_NAMES), query, WHOLE)
        found, _ = await jobs.list_log(connection, *at)
        return [job.id for job in found]

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
