"""Keys callers send so that a repeated request finds the first one's job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from core.store.database import Connection
from core.store.queries import query

_TAKE = query("idempotency_keys.take_key")
_DROP_OLD = query("idempotency_keys.drop_old_key")
_READ = query("idempotency_keys.read_key")
_BIND = query("idempotency_keys.bind_key")
_PRUNE = query("idempotency_keys.prune_keys")


@dataclass(frozen=True, slots=True)
class Key:
    """A caller's key and what it was sent with: the SHA-256 of method, path and body."""

    company_id: int
    owner: str
    text: str
    digest: bytes


async def take(connection: Connection, key: Key, window: timedelta) -> tuple[bytes, int] | None:
    """Takes the key and returns None, or returns (digest, job) of the request that has it.

    While a rival request with the same key is being accepted this waits for its commit.
    """
    await connection.execute(_DROP_OLD, key.company_id, key.owner, key.text, window)
    if await connection.fetchval(_TAKE, key.company_id, key.owner, key.text, key.digest) is not None:
        return None
    row = await connection.fetchrow(_READ, key.company_id, key.owner, key.text)
    return row["digest"], row["job_id"]


async def bind(connection: Connection, key: Key, job_id: int) -> None:
    await connection.execute(_BIND, key.company_id, key.owner, key.text, job_id)


async def prune(connection: Connection, window: timedelta) -> None:
    await connection.execute(_PRUNE, window)
