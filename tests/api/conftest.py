"""One API over one database for a whole module of generated cases, each of which arranges its own rows."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

import asyncpg
import pytest

from core.settings import Settings, read_settings
from core.store.database import Database, open_database
from service.routes import Route
from tests.support.api import Api, open_api
from tests.support.arrangements import make_sibling
from tests.support.databases import named
from tests.support.people import make_robot
from tests.support.servers import RunningServer
from tests.support.tenants import Tenant, make_tenant

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Ground:
    """Two companies, the first with two applications, and the API without any credential.

    Jobs accepted here are never run; they go with the database.
    """

    settings: Settings
    database: Database
    anonymous: Api
    owner: Tenant
    sibling: Tenant
    stranger: Tenant
    administrators: Mapping[int, str]
    """Of each company, the Authorization header of somebody who may do everything in it."""

    @property
    def api(self) -> Api:
        """The API as the owner's token."""
        return self.as_(self.owner)

    def as_(self, tenant: Tenant) -> Api:
        return self.anonymous.as_(f"Bearer {tenant.token}")

    def opening(self, route: Route, tenant: Tenant | None = None) -> Api:
        """The API as somebody of the tenant, the owner if none is given, to whom the route is open: a token if it may,
        since a token sees least."""
        whose = tenant or self.owner
        return self.anonymous.as_(self.administrators[whose.company_id]) if route.for_people else self.as_(whose)


@pytest.fixture(scope="module")
async def ground(
    postgres: RunningServer, pooler: str | None, valkey: RunningServer, template: str
) -> AsyncIterator[Ground]:
    name = f"ground_{next(_numbers)}"
    async with AsyncExitStack() as stack:
        administration = await asyncpg.connect(postgres.url)
        stack.push_async_callback(administration.close)
        await administration.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        stack.push_async_callback(administration.execute, f"DROP DATABASE {name}" + (" WITH (FORCE)" if pooler else ""))
        direct = named(postgres.url, name)
        settings = read_settings(
            {
                "DATABASE_URL": named(pooler, name) if pooler else direct,
                "DATABASE_DIRECT_URL": direct if pooler else "",
                "REDIS_URL": valkey.url,
                "PENSTOCK_PORT": "0",
                "PENSTOCK_RATE_LIMIT": "0",
                "PENSTOCK_PUBLIC_URL": "http://penstock.example",
            }
        )
        database = await stack.enter_async_context(open_database(settings, role="test", size=4))
        anonymous = await stack.enter_async_context(open_api(settings))
        owner = await make_tenant(database)
        stranger = await make_tenant(database, "Stranger")
        yield Ground(
            settings,
            database,
            anonymous,
            owner,
            await make_sibling(owner),
            stranger,
            {tenant.company_id: (await make_robot(tenant)) for tenant in (owner, stranger)},
        )
