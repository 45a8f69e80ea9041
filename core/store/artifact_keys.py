"""What signs artifacts, and whose signatures are taken."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.domain.signing import Keys, NewKey, PublicKey, SecretKey
from core.store.database import Connection
from core.store.queries import query
from core.store.rows import build

_CREATE = query("artifact_keys.create_own_key")
_FORGET = query("artifact_keys.forget_secrets")
_TRUST = query("artifact_keys.trust_key")
_FIND_SIGNING = query("artifact_keys.find_signing_key")
_LIST = query("artifact_keys.list_artifact_keys")
_REVOKE = query("artifact_keys.revoke_artifact_key")


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as operators see it. `origin` is `own` or `trusted`."""

    id: int
    kid: str
    origin: str
    public: bytes
    signs: bool
    created_at: datetime
    revoked_at: datetime | None

    @property
    def shown(self) -> PublicKey:
        return PublicKey(self.kid, self.public, self.revoked_at is not None)


async def create(connection: Connection, key: NewKey) -> int:
    """Makes a key the one that signs; the ones before forget their secrets."""
    number: int = await connection.fetchval(_CREATE, key.key_id, key.public, key.seed)
    await connection.execute(_FORGET, number)
    return number


async def trust(connection: Connection, key: PublicKey) -> int | None:
    """None if the key is known already."""
    number: int | None = await connection.fetchval(_TRUST, key.key_id, key.public)
    return number


async def find_signing(connection: Connection) -> SecretKey | None:
    row = await connection.fetchrow(_FIND_SIGNING)
    return SecretKey(row["kid"], row["secret"]) if row else None


async def list_all(connection: Connection) -> list[StoredKey]:
    return [build(StoredKey, row) for row in await connection.fetch(_LIST)]


async def known(connection: Connection) -> Keys:
    """Every key whose signatures are looked at, the revoked ones among them."""
    return {key.kid: key.shown for key in await list_all(connection)}


async def revoke(connection: Connection, key_id: int) -> bool:
    return await connection.fetchval(_REVOKE, key_id) is not None
