"""`make schema`: writes core/store/schema.sql from the migrations."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg

import core.store
from core.store.migrate import migrate
from tests.support.schema import describe
from tests.support.servers import open_folder, running_postgres

SCHEMA = Path(core.store.__file__).with_name("schema.sql")


async def write() -> None:
    with open_folder() as folder:
        async with running_postgres(folder) as url:
            connection = await asyncpg.connect(url)
            await migrate(connection)
            SCHEMA.write_text(await describe(connection))
            await connection.close()


if __name__ == "__main__":
    asyncio.run(write())
