"""Wrong logins of late, by account and by address."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from core.store.database import Connection
from core.store.queries import query

_FIND_BLOCK = query("login_failures.find_block")
_COUNT = query("login_failures.count_failure")
_FORGET = query("login_failures.forget_account")
_PRUNE = query("login_failures.prune_failures")


@dataclass(frozen=True, slots=True)
class Subjects:
    """The digests of the name that was typed and of the address it came from."""

    account: bytes
    address: bytes


@dataclass(frozen=True, slots=True)
class Patience:
    """How many wrong logins an account and an address may have within one window."""

    account: int
    address: int
    window: timedelta


async def find_block(connection: Connection, subjects: Subjects, patience: Patience) -> float | None:
    """Seconds until both may try again; None: now."""
    seconds: float | None = await connection.fetchval(
        _FIND_BLOCK, subjects.account, subjects.address, patience.window, patience.account, patience.address
    )
    return seconds if seconds is not None and seconds > 0 else None


async def count(connection: Connection, subjects: Subjects, patience: Patience) -> bool:
    """One failure more. Whether there were as many as either may have before it."""
    rows = await connection.fetch(_COUNT, subjects.account, subjects.address, patience.window)
    failures = {row["kind"]: row["failures"] for row in rows}
    return bool(failures["account"] > patience.account or failures["address"] > patience.address)


async def forget_account(connection: Connection, account: bytes) -> None:
    await connection.execute(_FORGET, account)


async def prune(connection: Connection, window: timedelta) -> None:
    await connection.execute(_PRUNE, window)
