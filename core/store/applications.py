"""Losant's containers of flows."""

from __future__ import annotations

import asyncpg

from core.store.database import Connection
from core.store.queries import query

_CREATE = query("applications.create_application")
_LIST = query("applications.list_applications")
_FIND_DEFAULT = query("applications.find_default_application")
_FIND_COMPANY = query("applications.find_application_company")


async def create(connection: Connection, company_id: int, name: str, *, is_default: bool = False) -> int:
    application_id: int = await connection.fetchval(_CREATE, company_id, name, is_default)
    return application_id


async def list_of(connection: Connection, company_id: int) -> list[asyncpg.Record]:
    """A company's applications: id, company_id, name, is_default, created_at."""
    rows: list[asyncpg.Record] = await connection.fetch(_LIST, company_id)
    return rows


async def find_default(connection: Connection, company_id: int) -> int | None:
    application_id: int | None = await connection.fetchval(_FIND_DEFAULT, company_id)
    return application_id


async def find_company(connection: Connection, application_id: int) -> int | None:
    company_id: int | None = await connection.fetchval(_FIND_COMPANY, application_id)
    return company_id
