"""Tenants and what signs their callbacks."""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg

from core.domain.companies import Company, WebhookSecret
from core.store.database import Connection
from core.store.queries import query
from core.store.rows import build

_CREATE = query("companies.create_company")
_LIST = query("companies.list_companies")
_FIND = query("companies.find_company_by_name")
_SET_RATE_LIMIT = query("companies.set_rate_limit")
_CREATE_SECRET = query("companies.create_webhook_secret")
_LIST_SECRETS = query("companies.list_webhook_secrets")
_READ_NAMES = query("companies.read_names")
_READ = query("companies.read_company")
_LOCK = query("companies.lock_company")
_SET_RUNNER = query("companies.set_runner")


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


async def list_secrets(connection: Connection, company_id: int) -> list[WebhookSecret]:
    """The same with their ids and ages."""
    return [build(WebhookSecret, row) for row in await connection.fetch(_LIST_SECRETS, company_id)]


async def read(connection: Connection, company_id: int) -> Company | None:
    return _company(await connection.fetchrow(_READ, company_id))


async def lock(connection: Connection, company_id: int) -> Company | None:
    return _company(await connection.fetchrow(_LOCK, company_id))


async def set_runner(connection: Connection, company_id: int, url: str | None) -> Company:
    """The company must be locked; returns it as it then is."""
    return build(Company, await connection.fetchrow(_SET_RUNNER, company_id, url))


def _company(row: asyncpg.Record | None) -> Company | None:
    return None if row is None else build(Company, row)


async def read_names(connection: Connection, company_id: int, flow_id: int | None) -> Names:
    row = await connection.fetchrow(_READ_NAMES, company_id, flow_id)
    return Names(row["company"], row["flow"])
