"""The peer of the bulk delete: nothing but DELETE in batches, by ctid, each with a progress UPDATE and a commit.

    python -m bench.raw_delete FLOW

It keeps no trash, no account and no audit, takes no fence and cannot be cancelled. Its table has the columns, checks
and indexes of flow_versions, and a foreign key from schedules that is checked per deleted row through an index.
"""

from __future__ import annotations

import asyncio
import sys

import asyncpg
import uvloop

from bench.children import obey
from core.settings import read_settings

TABLE = "raw_versions"
BATCH = 5_000

LAY_OUT = f"""
CREATE TABLE {TABLE} (LIKE flow_versions INCLUDING ALL);
CREATE TABLE raw_schedules (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version_id bigint NOT NULL REFERENCES {TABLE},
    cron_string text NOT NULL
);
CREATE INDEX raw_schedules_version_index ON raw_schedules (version_id);
CREATE TABLE raw_jobs (id integer PRIMARY KEY, done integer NOT NULL, updated_at timestamptz NOT NULL);
INSERT INTO raw_jobs VALUES (1, 0, clock_timestamp());
"""

DELETE = f"""
DELETE FROM {TABLE} WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM {TABLE} WHERE flow_id = $1 AND status = 'Inactive' LIMIT {BATCH}
))
"""

ADVANCE = "UPDATE raw_jobs SET done = done + $1, updated_at = clock_timestamp() WHERE id = 1"


async def main(flow_id: int) -> None:
    connection = await asyncpg.connect(read_settings().database_url)
    try:

        async def work() -> None:
            while await _delete(connection, flow_id) == BATCH:
                pass

        await obey(work)
    finally:
        await connection.close()


async def _delete(connection: asyncpg.Connection[asyncpg.Record], flow_id: int) -> int:
    async with connection.transaction():
        deleted = int((await connection.execute(DELETE, flow_id)).rpartition(" ")[2])
        await connection.execute(ADVANCE, deleted)
    return deleted


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1])))
