"""What a caller can ask of a flow's storage. Each function is one transaction.

A change locks the flow first, like any change of what belongs to it. Overwriting a value is what a storage is for and
leaves only an audit event; what is deleted goes to the trash.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from core.domain.access import Principal
from core.domain.errors import NotFound
from core.domain.etags import ANY, Etag
from core.domain.storage import DeletedStorage, Entry, Restored, Storage, StorageUse
from core.operations.flows import FLOW_UNKNOWN
from core.operations.undo import ENTRY_UNKNOWN
from core.store import audit_events, flows
from core.store import flow_storages as store
from core.store.database import Connection, Database


async def read_storage(principal: Principal, database: Database, application_id: int, flow_id: int) -> Storage:
    """Everything a flow keeps. Raises NotFound."""
    async with database.connection() as connection:
        found = await store.read(connection, principal.company_id, application_id, flow_id)
    if found is None:
        raise NotFound(FLOW_UNKNOWN)
    return found


async def read_storage_use(principal: Principal, database: Database, application_id: int, flow_id: int) -> StorageUse:
    """How much a flow keeps. Raises NotFound."""
    async with database.connection() as connection:
        found = await store.read_use(connection, principal.company_id, application_id, flow_id)
    if found is None:
        raise NotFound(FLOW_UNKNOWN)
    return found


async def set_entry(
    principal: Principal, database: Database, application_id: int, flow_id: int, entry: Entry, *, etag: Etag = ANY
) -> int:
    """Keeps a value under a key, in place of what was there; returns the storage's new revision.

    Raises NotFound, PreconditionFailed, and Conflict for a storage that is full.
    """

    async def work(connection: Connection) -> int:
        await _lock(connection, principal, application_id, flow_id)
        before = await store.read_before_change(connection, principal.company_id, flow_id, entry.key)
        etag.require(before.use.revision)
        after = before.use.with_more(int(before.size is None), entry.size - (before.size or 0))
        revision = await store.set_entry(connection, principal.company_id, flow_id, entry, after)
        await audit_events.record(
            connection,
            principal,
            "storage.set",
            ("flow", flow_id),
            before=before.digest,
            after=entry.digest,
            details={"key": entry.key},
        )
        return revision

    return await database.transaction(work)


async def delete_entry(
    principal: Principal,
    database: Database,
    application_id: int,
    flow_id: int,
    key: str,
    *,
    keep: timedelta,
    etag: Etag = ANY,
) -> int:
    """Moves one value to the trash for `keep`; returns the storage's revision.

    A key that is not there is as good as deleted. Raises NotFound, PreconditionFailed.
    """

    async def work(connection: Connection) -> int:
        await _lock(connection, principal, application_id, flow_id)
        before = await store.read_before_change(connection, principal.company_id, flow_id, key)
        etag.require(before.use.revision)
        deletion = await store.delete_entries(
            connection, principal.company_id, flow_id, [key], reason="deleted", keep=keep
        )
        details = {"key": key, "entry": deletion.id if deletion else None}
        await audit_events.record(
            connection, principal, "storage.delete", ("flow", flow_id), before=before.digest, details=details
        )
        return deletion.revision if deletion else before.use.revision

    return await database.transaction(work)


async def clear_storage(
    principal: Principal,
    database: Database,
    application_id: int,
    flow_id: int,
    *,
    keep: timedelta,
    etag: Etag = ANY,
) -> int:
    """Moves everything a flow keeps to the trash for `keep`, as one entry; returns the storage's revision.

    An empty storage leaves no entry. Raises NotFound, PreconditionFailed.
    """

    async def work(connection: Connection) -> int:
        await _lock(connection, principal, application_id, flow_id)
        before = await store.read_before_change(connection, principal.company_id, flow_id)
        etag.require(before.use.revision)
        deletion = await store.delete_entries(
            connection, principal.company_id, flow_id, None, reason="cleared", keep=keep
        )
        details = {"keys": before.use.keys_count, "entry": deletion.id if deletion else None}
        await audit_events.record(connection, principal, "storage.clear", ("flow", flow_id), details=details)
        return deletion.revision if deletion else before.use.revision

    return await database.transaction(work)


async def list_deleted_storage(
    principal: Principal, database: Database, flow_id: int, *, limit: int, offset: int
) -> tuple[list[DeletedStorage], int]:
    """A page of what was deleted from a flow's storage, newest first, and how many entries there are.

    Raises NotFound.
    """
    async with database.connection() as connection:
        if not await flows.is_visible(connection, principal.company_id, flow_id, principal.application_id):
            raise NotFound(FLOW_UNKNOWN)
        return await store.list_deleted(connection, principal.company_id, flow_id, limit=limit, offset=offset)


async def restore_storage(
    principal: Principal, database: Database, flow_id: int, entry_id: int, *, keep: timedelta
) -> Restored:
    """Gives every key of one deletion its old value again; newer values go to the trash for `keep` in their turn.

    Raises NotFound, and Conflict when the storage cannot hold them.
    """

    async def work(connection: Connection) -> Restored:
        if await flows.lock_of_company(connection, principal.company_id, flow_id, principal.application_id) is None:
            raise NotFound(FLOW_UNKNOWN)
        entry = await store.lock_deleted(connection, principal.company_id, flow_id, entry_id)
        if entry is None:
            raise NotFound(ENTRY_UNKNOWN)
        replaced = await _make_way(connection, principal, flow_id, entry["keys"], keep)
        before = await store.read_before_change(connection, principal.company_id, flow_id)
        before.use.with_more(entry["keys_count"], entry["memory_used"])
        await store.put_back(connection, principal.company_id, entry_id)
        details = {"keys": entry["keys_count"], "replaced": replaced, "entry": entry_id}
        await audit_events.record(connection, principal, "storage.restore", ("flow", flow_id), details=details)
        return Restored(entry["keys_count"], replaced)

    return await database.transaction(work)


async def _make_way(
    connection: Connection, principal: Principal, flow_id: int, keys: Sequence[str], keep: timedelta
) -> int:
    """Moves the newer values of these keys to the trash; returns how many there were."""
    moved = await store.delete_entries(connection, principal.company_id, flow_id, keys, reason="replaced", keep=keep)
    return moved.keys_count if moved else 0


async def _lock(connection: Connection, principal: Principal, application_id: int, flow_id: int) -> None:
    if await flows.lock(connection, principal.company_id, application_id, flow_id) is None:
        raise NotFound(FLOW_UNKNOWN)
