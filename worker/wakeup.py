"""One way for every loop to wait: until the next due instant, five seconds, or a hint, whichever comes first.

Hints come over Redis and over PostgreSQL's NOTIFY. Both may be lost and both may come for nothing, so a loop that wakes
looks for itself, and no loop relies on being woken.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import asyncpg
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.store.database import UNREACHABLE

LONGEST_SLEEP_SECONDS = 5.0
"""What a lost hint can cost."""

_RECONNECT_SECONDS = 1.0

_log = structlog.get_logger()


class Wakeup:
    """Held by one loop, woken by any number of sources."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def hint(self) -> None:
        """Something may have become due."""
        self._event.set()

    async def wait(self, seconds: float | None = None) -> None:
        """Sleeps until a hint, or for `seconds` (the time to the next due instant), never over five."""
        limit = LONGEST_SLEEP_SECONDS if seconds is None else min(max(seconds, 0.0), LONGEST_SLEEP_SECONDS)
        with suppress(TimeoutError):
            async with asyncio.timeout(limit):
                await self._event.wait()
        self._event.clear()


async def hint_from_redis(wakeup: Wakeup, redis: Redis, channel: str) -> None:
    """Passes on every message of a channel, for ever; after each reconnection one more, for what was missed.

    That one is the server's word that it listens: whatever is published later arrives.
    """
    outage = _Outage("Hints over Redis are interrupted.", channel)
    while True:
        try:
            async with redis.pubsub() as messages:
                await messages.subscribe(channel)
                async for message in messages.listen():
                    if message["type"] == "subscribe":
                        outage.end()
                    wakeup.hint()
        except (RedisError, OSError, TimeoutError) as error:
            outage.note(error)
            await asyncio.sleep(_RECONNECT_SECONDS)


async def hint_from_postgres(wakeup: Wakeup, url: str, channel: str) -> None:
    """The same for LISTEN, which needs a connection of its own and no pooler in between."""
    outage = _Outage("Hints over PostgreSQL are interrupted.", channel)
    while True:
        try:
            await _listen(wakeup, url, channel, outage)
        except (*UNREACHABLE, asyncpg.PostgresError) as error:
            outage.note(error)
        await asyncio.sleep(_RECONNECT_SECONDS)


class _Outage:
    """Says once that a source of hints is away, however often it is tried."""

    def __init__(self, sentence: str, channel: str) -> None:
        self._sentence = sentence
        self._channel = channel
        self._lasting = False

    def note(self, error: Exception) -> None:
        if not self._lasting:
            _log.warning(self._sentence, channel=self._channel, cause=type(error).__name__)
        self._lasting = True

    def end(self) -> None:
        self._lasting = False


async def _listen(wakeup: Wakeup, url: str, channel: str, outage: _Outage) -> None:
    connection = await asyncpg.connect(url, server_settings={"application_name": "penstock hints"})
    lost = asyncio.Event()
    try:
        connection.add_termination_listener(lambda _: lost.set())
        await connection.add_listener(channel, lambda *_: wakeup.hint())
        outage.end()
        wakeup.hint()
        await lost.wait()
    finally:
        connection.terminate()
