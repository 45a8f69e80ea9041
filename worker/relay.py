"""Carries staged jobs to Redis. The only code that enqueues.

Claim in one statement, send outside of any, settle exactly what was claimed. A relay that dies in between has at worst
sent something that will be sent again, and a second delivery starts nothing.
"""

from __future__ import annotations

from datetime import timedelta

from arq.connections import ArqRedis
from redis.exceptions import RedisError

from core.domain.dispatch import MOST_IN_FLIGHT
from core.store import deliveries
from core.store.database import Connection, Database
from core.store.deliveries import Delivery
from worker.transport import send

BATCH = 200
"""Deliveries of one claim: some milliseconds of sending, far below the lease."""

LEASE = timedelta(seconds=10)
"""How long other relays leave a claim alone: longer than sending a batch can take, timeouts included."""

BULK_CAP = 2
"""Bulk jobs of one company that run at once, so that one company's thousand deletions leave room for the next one's."""


class Relay:
    def __init__(self, database: Database, redis: ArqRedis) -> None:
        self._database = database
        self._redis = redis

    async def run_once(self) -> int:
        """Delivers what is due, up to one batch, and returns how many that was. Raises RedisError if Redis is away."""
        claimed = await self._database.statement(self._claim)
        if not claimed:
            return 0
        try:
            await send(self._redis, claimed)
        except (RedisError, OSError, TimeoutError):
            await self._database.statement(lambda connection: deliveries.release_staged(connection, claimed))
            raise
        await self._database.statement(lambda connection: deliveries.mark_delivered(connection, claimed))
        return len(claimed)

    async def due_in(self) -> float | None:
        """Seconds until something staged for later becomes due; None if nothing is."""
        async with self._database.connection() as connection:
            return await deliveries.next_delivery_in(connection)

    async def _claim(self, connection: Connection) -> list[Delivery]:
        return await deliveries.claim_staged(
            connection, limit=BATCH, lease=LEASE, bulk_cap=BULK_CAP, dispatch_cap=MOST_IN_FLIGHT
        )
