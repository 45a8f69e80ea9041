"""People who may log in."""

from __future__ import annotations

import asyncpg

from core.domain.access import Role
from core.domain.people import User
from core.store.database import Connection
from core.store.queries import query
from core.store.rows import build

_CREATE = query("users.create_user")
_LIST = query("users.list_users")
_FIND = query("users.find_user")
_FIND_BY_EMAIL = query("users.find_user_by_email")
_SET_PASSWORD = query("users.set_password")
_SET_ROLE = query("users.set_role")
_CLOSE = query("users.close_user")
_CLOSE_ALL = query("users.close_users")
_REOPEN = query("users.reopen_user")
_DELETE = query("users.delete_user")
_FIND_LOGIN = query("users.find_login")
_IS_STILL_OPEN = query("users.is_still_open")
_RENEW_HASH = query("users.renew_hash")


async def create(
    connection: Connection, company_id: int, *, email: str, email_folded: str, name: str, role: Role, password_hash: str
) -> User:
    return _user(await connection.fetchrow(_CREATE, company_id, email, email_folded, name, role, password_hash))


async def list_of(connection: Connection, company_id: int) -> list[User]:
    return [_user(row) for row in await connection.fetch(_LIST, company_id)]


async def find(connection: Connection, user_id: int) -> User | None:
    row = await connection.fetchrow(_FIND, user_id)
    return None if row is None else _user(row)


async def find_by_email(connection: Connection, company_id: int, email_folded: str) -> User | None:
    row = await connection.fetchrow(_FIND_BY_EMAIL, company_id, email_folded)
    return None if row is None else _user(row)


async def set_password(connection: Connection, company_id: int, user_id: int, password_hash: str) -> bool:
    """Whether there is such a user; the same for the changes below."""
    return await connection.fetchval(_SET_PASSWORD, company_id, user_id, password_hash) is not None


async def set_role(connection: Connection, company_id: int, user_id: int, role: Role) -> bool:
    return await connection.fetchval(_SET_ROLE, company_id, user_id, role) is not None


async def close(connection: Connection, company_id: int, user_id: int) -> bool:
    return await connection.fetchval(_CLOSE, company_id, user_id) is not None


async def close_all(connection: Connection, company_id: int) -> int:
    """How many could log in until now."""
    return len(await connection.fetch(_CLOSE_ALL, company_id))


async def reopen(connection: Connection, company_id: int, user_id: int) -> bool:
    return await connection.fetchval(_REOPEN, company_id, user_id) is not None


async def delete(connection: Connection, company_id: int, user_id: int) -> bool:
    return await connection.fetchval(_DELETE, company_id, user_id) is not None


async def find_login(connection: Connection, email_folded: str) -> asyncpg.Record | None:
    """id, company_id, password_hash and epoch of whoever may log in by this name."""
    return await connection.fetchrow(_FIND_LOGIN, email_folded)


async def is_still_open(connection: Connection, company_id: int, user_id: int, epoch: int) -> bool:
    """Whether neither the password was changed nor the access closed since the epoch was read."""
    still: bool = await connection.fetchval(_IS_STILL_OPEN, company_id, user_id, epoch)
    return still


async def renew_hash(connection: Connection, company_id: int, user_id: int, epoch: int, password_hash: str) -> None:
    await connection.execute(_RENEW_HASH, company_id, user_id, epoch, password_hash)


def _user(row: asyncpg.Record) -> User:
    return build(User, row, role=Role(row["role"]))
