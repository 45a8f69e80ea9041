"""A flow's storage as a test asks for it: through operations, and compared with its own rows."""

from __future__ import annotations

from typing import Any

import orjson

from core.domain.flows import Flow
from core.domain.storage import DeletedStorage, Entry, StorageUse
from core.operations import storage
from tests.support.tenants import KEEP, Tenant


async def keep_values(tenant: Tenant, flow: Flow, **values: str) -> None:
    """Sets values, given as JSON text."""
    for key, value in values.items():
        await storage.set_entry(tenant.principal, tenant.database, tenant.application_id, flow.id, Entry(key, value))


async def delete_value(tenant: Tenant, flow: Flow, key: str) -> None:
    await storage.delete_entry(tenant.principal, tenant.database, tenant.application_id, flow.id, key, keep=KEEP)


async def clear_values(tenant: Tenant, flow: Flow) -> None:
    await storage.clear_storage(tenant.principal, tenant.database, tenant.application_id, flow.id, keep=KEEP)


async def kept(tenant: Tenant, flow: Flow) -> dict[str, Any]:
    """Everything the flow keeps, by key."""
    found = await storage.read_storage(tenant.principal, tenant.database, tenant.application_id, flow.id)
    values: dict[str, Any] = orjson.loads(found.entries)
    return values


async def use_of(tenant: Tenant, flow: Flow) -> StorageUse:
    return await storage.read_storage_use(tenant.principal, tenant.database, tenant.application_id, flow.id)


async def deletions_of(tenant: Tenant, flow: Flow) -> list[DeletedStorage]:
    """What was deleted from the storage, newest first."""
    found, _ = await storage.list_deleted_storage(tenant.principal, tenant.database, flow.id, limit=100, offset=0)
    return found


async def assert_counted(tenant: Tenant, flow: Flow) -> None:
    """The counts a storage tells are those of its rows."""
    use = await use_of(tenant, flow)
    async with tenant.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT key, value::text AS value FROM flow_storage_entries WHERE flow_id = $1", flow.id
        )
    sizes = [Entry(row["key"], row["value"]).size for row in rows]
    assert (use.keys_count, use.memory_used) == (len(sizes), sum(sizes))
