"""`penstock migrate`: brings the database up to date, and makes the key that signs, if there is none. Safe to run from
many places at once."""

from __future__ import annotations

import os

import asyncpg
import structlog

from cli.errors import StartError
from core.domain.access import ActorType, Principal
from core.operations.artifact_keys import signing_key
from core.settings import Settings
from core.store.migrate import MigrationError
from core.store.migrate import migrate as apply_missing

OLDEST_SERVER = 15

_log = structlog.get_logger()


async def migrate(settings: Settings) -> None:
    """Applies what is missing. Raises StartError when the server is too old or the schema is not ours to change."""
    url = settings.database_direct_url or settings.database_url
    if url is None:
        raise StartError("DATABASE_URL is not set; name a PostgreSQL database, or use `make run`.")
    try:
        connection = await asyncpg.connect(url)
    except (OSError, asyncpg.PostgresError) as error:
        raise StartError(f"DATABASE_URL cannot be reached: {error}") from error
    try:
        major = connection.get_server_version().major
        if major < OLDEST_SERVER:
            raise StartError(f"DATABASE_URL is PostgreSQL {major}; Penstock needs {OLDEST_SERVER} or newer.")
        applied = await apply_missing(connection)
        async with connection.transaction():
            await signing_key(connection, Principal(0, ActorType.CLI, None), os.urandom)
    except MigrationError as error:
        raise StartError(str(error)) from error
    finally:
        await connection.close()
    if applied:
        _log.info("The database was brought up to date.", applied=applied)
