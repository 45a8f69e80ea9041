"""Tells the relay that something was staged, so that it need not find out by itself.

Only a hint: it may be lost, it may come twice, and the answer to the caller never waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.domain.jobs import STAGED_CHANNEL

_log = structlog.get_logger()


class Hints:
    """One background task publishes; any number of requests ask, and those that come together share a message."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self._closing = False

    def staged(self) -> None:
        """Call after the commit."""
        self._asked.set()

    def close(self) -> None:
        """Lets `run` end. A message on its way is waited for, as long as its own timeouts allow.

        Cancelling would not do: inside of its `timeout(0)` the Redis client can swallow a cancellation, and whoever
        waits for the task then waits for ever.
        """
        self._closing = True
        self._asked.set()

    async def run(self, redis: Redis) -> None:
        reachable = True
        while True:
            await self._asked.wait()
            self._asked.clear()
            if self._closing:
                return
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
        hints.close()
        await task
        await redis.aclose()
