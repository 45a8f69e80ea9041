"""The trash, made to be past its time."""

from __future__ import annotations

from core.operations.undo import purge_trash
from core.store.database import Database


async def empty_trash(database: Database) -> None:
    """As if the time in which anything can be undone were over, and the pruner had come by."""
    async with database.connection() as connection:
        await connection.execute("UPDATE jobs SET undo_until = clock_timestamp() WHERE undo_until IS NOT NULL")
        await connection.execute("UPDATE deleted_versions SET purge_after = clock_timestamp() WHERE job_id IS NULL")
        await connection.execute("UPDATE deleted_storages SET purge_after = clock_timestamp() WHERE job_id IS NULL")
        left = await connection.fetchval("SELECT count(*) FROM jobs WHERE undo_until IS NOT NULL AND purged_at IS NULL")
    for _ in range(left + 1):
        await purge_trash(database, 10_000)
