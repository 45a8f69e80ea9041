"""Carries staged jobs to Redis. The only code that enqueues.

Claim in a transaction, send outside of any, settle exactly what was claimed. A relay that dies in between has at worst
sent something that will be sent again, and a second delivery starts nothing.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog
from arq.connections import ArqRedis
from redis.exceptions import RedisError

from core.store import jobs
from core.store.database import Connection, Database
from core.store.jobs import Delivery
from worker.transport import send, wake_channel

BATCH = 200
"""Deliveries of one claim: about 30 ms of sending, far below the lease."""

LEASE = timedelta(seconds=10)
"""How long other relays leave a claim alone: longer than sending a batch can take, timeouts included."""

BULK_CAP = 2
"""Bulk jobs of one company that run at once, so that one company's thousand deletions leave room for the next one's."""

_log = structlog.get_logger()


class Relay:
    def __init__(self, database: Database, redis: ArqRedis) -> None:
        self._database = database
        self._redis = redis

    async def run_once(self) -> int:
        """Delivers what is due, up to one batch, and returns how many that was. Raises RedisError if Redis is away."""
        claimed = await self._database.transaction(self._claim)
        if not claimed:
            return 0
        results = await asyncio.gather(*(send(self._redis, delivery) for delivery in claimed), return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        sent = [delivery for delivery, result in zip(claimed, results, strict=True) if result is None]
        await self._wake({delivery.queue for delivery in sent})
        await self._settle(sent, [delivery for delivery in claimed if delivery not in sent])
        if failures:
            raise failures[0]
        return len(sent)

    async def due_in(self) -> float | None:
        """Seconds until something staged for later becomes due; None if nothing is."""
        async with self._database.connection() as connection:
            return await jobs.next_delivery_in(connection)

    async def _claim(self, connection: Connection) -> list[Delivery]:
        return await jobs.claim_staged(connection, limit=BATCH, lease=LEASE, bulk_cap=BULK_CAP)

    async def _wake(self, queues: set[str]) -> None:
        try:
            for queue in queues:
                await self._redis.publish(wake_channel(queue), b"")
        except (RedisError, OSError, TimeoutError) as error:
            _log.warning("Workers could not be woken; they look by themselves.", cause=type(error).__name__)

    async def _settle(self, sent: list[Delivery], unsent: list[Delivery]) -> None:
        async def work(connection: Connection) -> None:
            if sent:
                await jobs.mark_delivered(connection, sent)
            if unsent:
                await jobs.release_staged(connection, unsent)

        await self._database.transaction(work)
