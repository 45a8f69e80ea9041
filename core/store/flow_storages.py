"""What flows keep between their runs, and the trash of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import asyncpg

from core.domain.storage import FIRST_KEYS, DeletedStorage, Entry, Storage, StorageUse
from core.store.database import Connection
from core.store.queries import query
from core.store.rows import build

_READ = query("flow_storages.read_storage")
_READ_USE = query("flow_storages.read_use")
_READ_BEFORE = query("flow_storages.read_before_change")
_SET = query("flow_storages.set_entry")
_DELETE = query("flow_storages.delete_entries")
_MOVE = query("flow_storages.move_storage_of_flow")
_LOCK_DELETED = query("flow_storages.lock_deleted")
_PUT_BACK = query("flow_storages.put_back")
_LIST_DELETED = query("flow_storages.list_deleted")
_COUNT_DELETED = query("flow_storages.count_deleted")
_PURGE = query("flow_storages.purge_deleted")
_PURGE_OF_JOB = query("flow_storages.purge_storage_of_job")


@dataclass(frozen=True, slots=True)
class Before:
    """A storage that this transaction is about to change; `size` and `digest` are of the value that is there now."""

    use: StorageUse
    size: int | None
    digest: bytes | None


@dataclass(frozen=True, slots=True)
class Deletion:
    """A deletion's entry in the trash, how many keys it took, and the storage's revision after it."""

    id: int
    keys_count: int
    revision: int


async def read(connection: Connection, company_id: int, application_id: int, flow_id: int) -> Storage | None:
    """Everything the flow keeps; None if the caller has no such flow."""
    row = await connection.fetchrow(_READ, company_id, application_id, flow_id)
    return build(Storage, row) if row else None


async def read_use(connection: Connection, company_id: int, application_id: int, flow_id: int) -> StorageUse | None:
    row = await connection.fetchrow(_READ_USE, company_id, application_id, flow_id)
    return build(StorageUse, row) if row else None


async def read_before_change(connection: Connection, company_id: int, flow_id: int, key: str | None = None) -> Before:
    """The storage of a flow this transaction has locked."""
    row = await connection.fetchrow(_READ_BEFORE, company_id, flow_id, key)
    if row is None:
        return Before(StorageUse(0, 0, 0), None, None)
    return Before(build(StorageUse, row), row["size"], row["digest"])


async def set_entry(connection: Connection, company_id: int, flow_id: int, entry: Entry, after: StorageUse) -> int:
    """Keeps a value; returns the storage's new revision."""
    revision: int = await connection.fetchval(
        _SET, company_id, flow_id, entry.key, entry.value, after.keys_count, after.memory_used
    )
    return revision


async def delete_entries(
    connection: Connection, company_id: int, flow_id: int, keys: Sequence[str] | None, *, reason: str, keep: timedelta
) -> Deletion | None:
    """Moves these keys, or all, to the trash for `keep`; None if there was none of them."""
    row = await connection.fetchrow(_DELETE, company_id, flow_id, keys, FIRST_KEYS, reason, keep)
    return build(Deletion, row) if row else None


async def move_to_trash(connection: Connection, company_id: int, flow_id: int, job_id: int) -> None:
    """The storage of a flow that a job removes goes with it."""
    await connection.execute(_MOVE, company_id, flow_id, job_id, FIRST_KEYS)


async def restore_of_job(connection: Connection, company_id: int, job_id: int) -> None:
    """Brings back what went with a removed flow; nothing happens if it is back already."""
    await connection.execute(_PUT_BACK, company_id, None, job_id)


async def lock_deleted(connection: Connection, company_id: int, flow_id: int, deleted_id: int) -> asyncpg.Record | None:
    """Holds a deletion that is to be taken back: its `keys`, `keys_count`, `memory_used`; None if there is none."""
    return await connection.fetchrow(_LOCK_DELETED, company_id, flow_id, deleted_id)


async def put_back(connection: Connection, company_id: int, deleted_id: int) -> None:
    """Brings back what a deletion took, under keys that are free, and ends the deletion."""
    await connection.execute(_PUT_BACK, company_id, deleted_id, None)


async def list_deleted(
    connection: Connection, company_id: int, flow_id: int, *, limit: int, offset: int
) -> tuple[list[DeletedStorage], int]:
    """A page of deletions, newest first, and how many there are."""
    rows = await connection.fetch(_LIST_DELETED, company_id, flow_id, limit, offset)
    total: int = await connection.fetchval(_COUNT_DELETED, company_id, flow_id)
    return [build(DeletedStorage, row) for row in rows], total


async def purge(connection: Connection, limit: int) -> int:
    """Ends up to `limit` deletions whose time is over; returns how many."""
    tag: str = await connection.execute(_PURGE, limit)
    return int(tag.rpartition(" ")[2])


async def purge_of_job(connection: Connection, job_id: int) -> None:
    """Ends what went with the flow that this job removed."""
    await connection.execute(_PURGE_OF_JOB, job_id)
