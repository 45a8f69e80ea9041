"""Tenants and what signs their callbacks."""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg

from core.store.database import Connection
from core.store.queries import query

_CREATE = query("companies.create_company")
_LIST = query("companies.list_companies")
_FIND = query("companies.find_company_by_name")
_SET_RATE_LIMIT = query("companies.set_rate_limit")
_CREATE_SECRET = query("companies.create_webhook_secret")
_LIST_SECRETS = query("companies.list_webhook_secrets")
_READ_NAMES = query("companies.read_names")


@dataclass(frozen=True, slots=True)
class Names:
    """What to call a company and one of its flows; the flow's is None when it is long gone."""

    company: str
    flow: str | None


async def create(connection: Connection, name: str, parent_id: int | None) -> int:
    company_id: int = await connection.fetchval(_CREATE, name, parent_id)
    return company_id


async def list_all(connection: Connection) -> list[asyncpg.Record]:
    """Every company: id, parent_id, name, rate_limit, created_at."""
    rows: list[asyncpg.Record] = await connection.fetch(_LIST)
    return rows


async def find_by_name(connection: Connection, name: str) -> int | None:
    company_id: int | None = await connection.fetchval(_FIND, name)
    return company_id


async def set_rate_limit(connection: Connection, company_id: int, requests: int | None) -> bool:
    """Whether there is such a company."""
    return await connection.fetchval(_SET_RATE_LIMIT, company_id, requests) is not None


async def create_secret(connection: Connection, company_id: int, secret: str) -> None:
    await connection.fetchval(_CREATE_SECRET, company_id, secret)


async def secrets(connection: Connection, company_id: int) -> list[str]:
    """The secrets that sign now, newest first, at most two: an old one stays valid while receivers change over."""
    return [row["secret"] for row in await connection.fetch(_LIST_SECRETS, company_id)]


async def read_names(connection: Connection, company_id: int, flow_id: int | None) -> Names:
    row = await connection.fetchrow(_READ_NAMES, company_id, flow_id)
    return Names(row["company"], row["flow"])
