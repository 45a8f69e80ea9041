"""The trash: what was deleted or replaced, brought back or ended."""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg

from core.domain.jobs import FailedItem, Reason
from core.domain.versions import Content, NewVersion, TrashEntry
from core.store.database import Connection
from core.store.queries import query
from core.store.rows import build

_PURGE = query("deleted_versions.purge_versions")
_LOCK_PURGEABLE = query("deleted_versions.lock_purgeable_job")
_IS_BEING_UNDONE = query("deleted_versions.is_being_undone")
_PURGE_JOB = query("deleted_versions.purge_job")
_PURGE_FLOW = query("deleted_versions.purge_flow_of_job")
_MARK_PURGED = query("deleted_versions.mark_purged")
_COUNT_OF_JOB = query("deleted_versions.count_job_trash")
_RESTORE_BATCH = query("deleted_versions.restore_batch")
_LIST = query("deleted_versions.list_trash")
_COUNT = query("deleted_versions.count_trash")
_TAKE = query("deleted_versions.take_entry")
_INSERT_RESTORED = query("deleted_versions.insert_restored")


@dataclass(frozen=True, slots=True)
class Restored:
    """What one batch of an undo did: how many entries it looked at, the last of them, and what stayed."""

    items: int
    last: int
    left: list[FailedItem]


async def restore_batch(connection: Connection, job_id: int, after: int, limit: int) -> Restored:
    """Brings back up to `limit` versions the job deleted, those after the version `after` in id order."""
    row = await connection.fetchrow(_RESTORE_BATCH, job_id, after, limit)
    pairs = zip(row["left_ids"] or [], row["left_names"] or [], strict=True)
    return Restored(
        row["items"], row["last"] or after, [FailedItem(number, name, Reason.NAME_TAKEN) for number, name in pairs]
    )


async def count_of_job(connection: Connection, job_id: int) -> int:
    number: int = await connection.fetchval(_COUNT_OF_JOB, job_id)
    return number


async def list_page(
    connection: Connection, company_id: int, flow_id: int, *, limit: int, offset: int
) -> tuple[list[TrashEntry], int]:
    """A page of a flow's trash, newest first, and how many entries there are."""
    rows = await connection.fetch(_LIST, company_id, flow_id, limit, offset)
    total: int = await connection.fetchval(_COUNT, company_id, flow_id)
    return [build(TrashEntry, row) for row in rows], total


async def take(connection: Connection, company_id: int, flow_id: int, entry_id: int) -> asyncpg.Record | None:
    """Takes an entry out of the trash for this transaction to put somewhere; None if there is none to be had."""
    return await connection.fetchrow(_TAKE, company_id, flow_id, entry_id)


def content_of(row: asyncpg.Record) -> NewVersion:
    """What a taken entry holds, as a replacement takes it."""
    return NewVersion(row["name"], row["enabled"], row["notes"], Content(row["body"], row["digest"]))


async def insert_restored(connection: Connection, row: asyncpg.Record) -> int:
    """Puts a taken entry back as a version. Raises AlreadyExists, through the constraint, for a taken name."""
    restored = await connection.fetchrow(
        _INSERT_RESTORED,
        row["version_id"],
        row["company_id"],
        row["flow_id"],
        row["iteration"],
        row["name"],
        row["name_folded"],
        row["enabled"],
        row["notes"],
        row["body"],
        row["digest"],
        row["revision"],
        row["last_deployed_at"],
        row["created_at"],
        row["created_by_type"],
        row["created_by_id"],
        row["updated_by_type"],
        row["updated_by_id"],
    )
    version_id: int = restored["id"]
    return version_id


async def purge(connection: Connection, limit: int) -> int:
    """Ends up to `limit` single entries whose time is over; returns how many."""
    return _affected(await connection.execute(_PURGE, limit))


async def lock_purgeable(connection: Connection) -> int | None:
    """Holds one job whose versions can be ended; None if there is none."""
    job_id: int | None = await connection.fetchval(_LOCK_PURGEABLE)
    if job_id is None or await connection.fetchval(_IS_BEING_UNDONE, job_id):
        return None
    return job_id


async def purge_of_job(connection: Connection, job_id: int, limit: int) -> int:
    """Ends up to `limit` of what a held job deleted; after the last, the flow it removed goes too."""
    purged = _affected(await connection.execute(_PURGE_JOB, job_id, limit))
    if purged < limit:
        await connection.execute(_PURGE_FLOW, job_id)
        await connection.execute(_MARK_PURGED, job_id)
    return purged


def _affected(tag: str) -> int:
    return int(tag.rpartition(" ")[2])
