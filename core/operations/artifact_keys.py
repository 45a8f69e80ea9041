"""The keys of this installation: what signs artifacts and the log, and which other installations' signatures count."""

from __future__ import annotations

from collections.abc import Callable

from core.domain.access import Principal
from core.domain.signing import Keys, PublicKey, SecretKey, new_key
from core.store import artifact_keys as store
from core.store import audit_events
from core.store.artifact_keys import StoredKey
from core.store.database import Connection, Database

RandomBytes = Callable[[int], bytes]


async def list_artifact_keys(database: Database) -> list[StoredKey]:
    """Newest first, without their secrets."""
    async with database.connection() as connection:
        return await store.list_all(connection)


async def read_public_keys(database: Database) -> list[PublicKey]:
    """What verifies everything this installation has signed, newest first."""
    return [key.shown for key in await list_artifact_keys(database) if key.origin == "own"]


async def rotate_artifact_key(principal: Principal, database: Database, random_bytes: RandomBytes) -> int:
    """Another key, which signs from this commit on. The secret of the one before is forgotten, its public half kept."""

    async def work(connection: Connection) -> int:
        return await _make(connection, principal, random_bytes)

    return await database.transaction(work)


async def revoke_artifact_key(principal: Principal, database: Database, key_id: int) -> bool:
    """Nothing this key has signed can be installed or brought in from this commit on; False if there is no such key, or
    it was revoked before. If it was the one that signs, the next signature makes another."""

    async def work(connection: Connection) -> bool:
        if not await store.revoke(connection, key_id):
            return False
        await audit_events.record(connection, principal, "artifact_key.revoke", ("artifact_key", key_id))
        return True

    return await database.transaction(work)


async def trust_artifact_keys(principal: Principal, database: Database, keys: Keys) -> list[int]:
    """Lets files of other installations be brought in; returns the numbers of the keys that were not known before."""

    async def work(connection: Connection) -> list[int]:
        added = []
        for key in keys.values():
            number = None if key.revoked else await store.trust(connection, key)
            if number is not None:
                await audit_events.record(connection, principal, "artifact_key.trust", ("artifact_key", number))
                added.append(number)
        return added

    return await database.transaction(work)


async def signing_key(connection: Connection, principal: Principal, random_bytes: RandomBytes) -> SecretKey:
    """What signs now; made where there is none yet, which is at the beginning of an installation."""
    key = await store.find_signing(connection)
    if key is None:
        await _make(connection, principal, random_bytes)
        key = await store.find_signing(connection)
    assert key is not None, "one was made just now"
    return key


async def _make(connection: Connection, principal: Principal, random_bytes: RandomBytes) -> int:
    made = new_key(random_bytes)
    number = await store.create(connection, made)
    await audit_events.record(connection, principal, "artifact_key.create", ("artifact_key", number))
    return number
