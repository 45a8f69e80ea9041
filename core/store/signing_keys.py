"""What signs login tokens, and who shows one. Keys belong to the installation, not to a company."""

from __future__ import annotations

from datetime import datetime, timedelta

import asyncpg

from core.domain.bearer import Bearer, SigningKey
from core.store.database import Connection
from core.store.queries import query

_CREATE = query("signing_keys.create_signing_key")
_FIND_NEWEST = query("signing_keys.find_newest_key")
_LIST = query("signing_keys.list_signing_keys")
_DELETE = query("signing_keys.delete_signing_key")
_PRUNE = query("signing_keys.prune_signing_keys")
_FIND_BEARER = query("signing_keys.find_bearer")


async def create(connection: Connection, key: SigningKey) -> int:
    key_id: int = await connection.fetchval(_CREATE, key.name, key.secret)
    return key_id


async def find_newest(connection: Connection) -> tuple[SigningKey, datetime] | None:
    """What signs now, and PostgreSQL's time; None before the first key was made."""
    row = await connection.fetchrow(_FIND_NEWEST)
    return None if row is None else (SigningKey(row["kid"], row["secret"]), row["now"])


async def list_all(connection: Connection) -> list[asyncpg.Record]:
    """Newest first: id, kid, created_at."""
    rows: list[asyncpg.Record] = await connection.fetch(_LIST)
    return rows


async def delete(connection: Connection, key_id: int) -> bool:
    """Whether there was such a key."""
    return await connection.fetchval(_DELETE, key_id) is not None


async def prune(connection: Connection, keep: timedelta) -> None:
    await connection.execute(_PRUNE, keep)


async def find_bearer(connection: Connection, key_name: str, bearer: Bearer) -> asyncpg.Record | None:
    """secret, now, company_id, role, client_id and rate_limit; None for an unknown key."""
    return await connection.fetchrow(_FIND_BEARER, key_name, bearer.user_id, bearer.epoch, bearer.client_id)
