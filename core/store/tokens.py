"""Application tokens and company API keys, by digest."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import asyncpg

from core.store.database import Connection
from core.store.queries import query

_CREATE_TOKEN = query("tokens.create_application_token")
_LIST_TOKENS = query("tokens.list_application_tokens")
_REVOKE_TOKEN = query("tokens.revoke_application_token")
_REVOKE_TOKENS = query("tokens.revoke_application_tokens")
_SET_ACTIVE = query("tokens.set_token_active")
_CREATE_KEY = query("tokens.create_api_key")
_LIST_KEYS = query("tokens.list_api_keys")
_REVOKE_KEY = query("tokens.revoke_api_key")
_REVOKE_KEYS = query("tokens.revoke_api_keys")
_NOTE_KEY_USE = query("tokens.note_key_use")
_FIND_CALLER = query("tokens.find_caller")


async def create_token(
    connection: Connection,
    *,
    company_id: int,
    application_id: int,
    name: str,
    prefix: str,
    digest: bytes,
    scopes: Collection[str],
    expires_at: datetime | None,
) -> int:
    token_id: int = await connection.fetchval(
        _CREATE_TOKEN, company_id, application_id, name, prefix, digest, sorted(scopes), expires_at
    )
    return token_id


async def list_tokens(connection: Connection, application_id: int) -> list[asyncpg.Record]:
    """An application's tokens: id, name, prefix, scopes, active, expires_at, created_at, revoked_at."""
    rows: list[asyncpg.Record] = await connection.fetch(_LIST_TOKENS, application_id)
    return rows


async def revoke_token(connection: Connection, token_id: int) -> int | None:
    """The company whose token it was; None if there is no such token, or it was revoked before."""
    company_id: int | None = await connection.fetchval(_REVOKE_TOKEN, token_id)
    return company_id


async def revoke_tokens(connection: Connection, company_id: int, application_id: int | None) -> int:
    """Revokes all of an application, or of a company; returns how many were open."""
    return len(await connection.fetch(_REVOKE_TOKENS, company_id, application_id))


async def set_active(connection: Connection, token_id: int, *, active: bool) -> int | None:
    """The company whose token it is; None if there is no such token, or it was revoked."""
    company_id: int | None = await connection.fetchval(_SET_ACTIVE, token_id, active)
    return company_id


async def create_key(connection: Connection, *, company_id: int, name: str, prefix: str, digest: bytes) -> int:
    key_id: int = await connection.fetchval(_CREATE_KEY, company_id, name, prefix, digest)
    return key_id


async def list_keys(connection: Connection, company_id: int) -> list[asyncpg.Record]:
    """A company's keys: id, name, prefix, created_at, last_used_at, revoked_at."""
    rows: list[asyncpg.Record] = await connection.fetch(_LIST_KEYS, company_id)
    return rows


async def revoke_key(connection: Connection, key_id: int) -> int | None:
    """The company whose key it was; None if there is no such key, or it was revoked before."""
    company_id: int | None = await connection.fetchval(_REVOKE_KEY, key_id)
    return company_id


async def revoke_keys(connection: Connection, company_id: int) -> int:
    """Revokes all of a company; returns how many were open."""
    return len(await connection.fetch(_REVOKE_KEYS, company_id))


async def note_key_use(connection: Connection, company_id: int, key_id: int) -> None:
    """Notes that the key was used just now, unless that was noted within the last minute."""
    await connection.execute(_NOTE_KEY_USE, company_id, key_id)


async def find_caller(connection: Connection, digest: bytes, *, is_key: bool) -> asyncpg.Record | None:
    """Whose a token or a key is, if it opens anything: caller_id, company_id and the company's rate_limit; of a token
    application_id and scopes; whether the use of a key should be noted."""
    return await connection.fetchrow(_FIND_CALLER, digest, is_key)
