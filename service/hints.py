"""Tells the relay that something was staged, so that it need not find out by itself.

Only a hint: it may be lost, it may come twice, and the answer to the caller never waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.domain.jobs import STAGED_CHANNEL

_log = structlog.get_logger()


class Hints:
    """One background task publishes; any number of requests ask, and those that come together share a message."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()

    def staged(self) -> None:
        """Call after the commit."""
        self._asked.set()

    async def run(self, redis: Redis) -> None:
        reachable = True
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                await redis.publish(STAGED_CHANNEL, b"")
            except (RedisError, OSError, TimeoutError) as error:
                if reachable:
                    _log.warning(
                        "Redis cannot be reached; staged jobs wait for the relay's own beat.", cause=str(error)
                    )
                reachable = False
            else:
                reachable = True


@asynccontextmanager
async def open_hints(redis_url: str) -> AsyncIterator[Hints]:
    hints = Hints()
    redis = Redis.from_url(redis_url, socket_timeout=1, socket_connect_timeout=1)
    task = asyncio.create_task(hints.run(redis))
    try:
        yield hints
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await redis.aclose()
