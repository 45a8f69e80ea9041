"""Which database the command line works on: DATABASE_URL, or the one `penstock up` runs in PENSTOCK_HOME."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import asyncpg

from cli.credentials import read_credentials
from cli.errors import StartError
from core.domain.access import ActorType, Principal
from core.domain.errors import PenstockError
from core.settings import Settings, read_settings
from core.store.database import UNREACHABLE, Database, open_database

Result = TypeVar("Result")


def with_database(work: Callable[[Database, Settings], Awaitable[Result]]) -> Result:
    """Runs `work` and returns what it returned. Refusals and an absent database become one line."""
    return asyncio.run(_run(work, _resolved(read_settings())))


def operator(company_id: int) -> Principal:
    """Whoever sits at the command line, acting for a company."""
    return Principal(company_id, ActorType.CLI, None)


def _resolved(settings: Settings) -> Settings:
    if settings.database_url is not None:
        return settings
    known = read_credentials(settings.home)
    if "PENSTOCK_DATABASE_URL" not in known:
        raise StartError("DATABASE_URL is not set and nothing runs here; set it, or start `make run` first.")
    return replace(settings, database_url=known["PENSTOCK_DATABASE_URL"])


async def _run(work: Callable[[Database, Settings], Awaitable[Result]], settings: Settings) -> Result:
    try:
        async with open_database(settings, role="command line", size=2) as database:
            return await work(database, settings)
    except PenstockError as error:
        raise StartError(error.message) from error
    except UNREACHABLE as error:
        raise StartError(f"the database went away: {error}") from error
    except asyncpg.UndefinedTableError as error:
        raise StartError("The database has no Penstock schema; run `penstock migrate`.") from error
