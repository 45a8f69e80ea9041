"""Where deletes and undos are measured: a company with a flow to empty, and one to leave alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg

from bench.servers import Servers
from bench.tenants import Tenant, make_tenant, write_documents
from core.store.database import Connection, Database, open_database


@dataclass(frozen=True, slots=True)
class Ground:
    servers: Servers
    database: Database
    connection: Connection
    tenant: Tenant
    flow_id: int
    other_flow_id: int

    @property
    def url(self) -> str:
        assert self.servers.settings.database_url is not None
        return self.servers.settings.database_url


@asynccontextmanager
async def open_ground(servers: Servers, *, seed: int) -> AsyncIterator[Ground]:
    """The flows are empty; the documents for them, made from `seed`, are written."""
    connection = await asyncpg.connect(servers.settings.database_url)
    try:
        async with open_database(servers.settings, role="bench", size=2) as database:
            tenant = await make_tenant(database, "Bench")
            emptied, left = [await tenant.make_flow(database, name) for name in ("Emptied", "Left alone")]
            await write_documents(connection, seed=seed)
            yield Ground(servers, database, connection, tenant, emptied, left)
    finally:
        await connection.close()
