"""Programs that fetch tokens for one user each."""

from __future__ import annotations

import asyncpg

from core.domain.people import OAuthClient
from core.store.database import Connection
from core.store.queries import query
from core.store.rows import build

_CREATE = query("oauth_clients.create_client")
_LIST = query("oauth_clients.list_clients")
_REVOKE = query("oauth_clients.revoke_client")
_REVOKE_ALL = query("oauth_clients.revoke_clients")
_FIND = query("oauth_clients.find_client")
_NOTE_USE = query("oauth_clients.note_client_use")


async def create(
    connection: Connection, company_id: int, user_id: int, *, name: str, client_id: str, digest: bytes
) -> OAuthClient | None:
    """None: the company has no such user."""
    row = await connection.fetchrow(_CREATE, company_id, user_id, name, client_id, digest)
    return None if row is None else build(OAuthClient, row)


async def list_of(connection: Connection, company_id: int) -> list[OAuthClient]:
    return [build(OAuthClient, row) for row in await connection.fetch(_LIST, company_id)]


async def revoke(connection: Connection, number: int) -> int | None:
    """The company whose client it was; None if there is no such client, or it was revoked before."""
    company_id: int | None = await connection.fetchval(_REVOKE, number)
    return company_id


async def revoke_all(connection: Connection, company_id: int) -> int:
    """How many were open until now."""
    return len(await connection.fetch(_REVOKE_ALL, company_id))


async def find(connection: Connection, client_id: str) -> asyncpg.Record | None:
    """id, company_id, digest, user_id and the user's epoch, unless client or user are closed."""
    return await connection.fetchrow(_FIND, client_id)


async def note_use(connection: Connection, company_id: int, number: int) -> None:
    await connection.execute(_NOTE_USE, company_id, number)
