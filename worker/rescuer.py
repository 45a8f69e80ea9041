"""Brings back jobs that were dropped: leases that ran out, deliveries Redis forgot or a dead worker had taken."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from arq.connections import ArqRedis

from core.operations.jobs import rescue_jobs
from core.operations.settling import Terms
from core.store import deliveries
from core.store.database import Connection, Database
from worker.transport import missing

BATCH = 500
"""Jobs looked at in one round of each kind."""

FORGOTTEN_AFTER = timedelta(seconds=3)
"""A delivery is picked up in milliseconds; one that waits longer is worth a look into Redis."""


@dataclass(frozen=True, slots=True)
class Rescued:
    """What one round found."""

    expired: int
    forgotten: int

    def __bool__(self) -> bool:
        return bool(self.expired or self.forgotten)


class Rescuer:
    def __init__(self, database: Database, redis: ArqRedis, terms: Terms) -> None:
        self._database = database
        self._redis = redis
        self._terms = terms

    async def run_once(self) -> Rescued:
        """One round. Raises RedisError if Redis cannot be asked; expired leases have been seen to by then."""
        expired = await rescue_jobs(self._database, BATCH, self._terms)
        async with self._database.connection() as connection:
            waiting = await deliveries.find_undelivered(connection, older_than=FORGOTTEN_AFTER, limit=BATCH)
        forgotten = await missing(self._redis, waiting) if waiting else []
        if forgotten:

            async def work(connection: Connection) -> None:
                await deliveries.stage_again(connection, forgotten)

            await self._database.transaction(work)
        return Rescued(expired, len(forgotten))
