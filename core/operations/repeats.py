"""Requests that may be sent again: under one key and for one request there is one job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

from core.domain.access import Principal
from core.domain.errors import IdempotencyMismatch
from core.store import idempotency_keys, jobs
from core.store.database import Connection
from core.store.idempotency_keys import Key

IDEMPOTENCY_WINDOW = timedelta(hours=48)
"""A client that was down over a night and a day can still repeat its request without a second job."""


async def accept_once(
    connection: Connection, principal: Principal, key: Key | None, accept: Callable[[], Awaitable[tuple[int, str]]]
) -> str:
    """The public id of the job that `accept` stages, which returns its number and that id; or of the job that this key
    was used for before. Raises IdempotencyMismatch for a key that came with another request."""
    if key is None:
        return (await accept())[1]
    taken = await idempotency_keys.take(connection, key, IDEMPOTENCY_WINDOW)
    if taken is None:
        number, public_id = await accept()
        await idempotency_keys.bind(connection, key, number)
        return public_id
    return await repeat(connection, principal, key, taken)


async def repeat(connection: Connection, principal: Principal, key: Key, taken: tuple[bytes, int]) -> str:
    """The public id of the job that a key stands for, which `taken` says. Raises IdempotencyMismatch."""
    digest, number = taken
    if digest != key.digest:
        raise IdempotencyMismatch
    job = await jobs.read_by_number(connection, principal.company_id, number)
    assert job is not None, "a key refers to its job and goes with it"
    return job.public_id
