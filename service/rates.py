"""How many requests a company has made in the last minute, counted in Valkey for all processes together.

A count is no fact: without Valkey everybody is admitted.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

import structlog
from aiohttp import web
from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import NoScriptError, RedisError

WINDOW_SECONDS = 60
"""A window begins with a company's first request and ends a minute later."""

ANSWER_SECONDS = 0.25
"""What a connection may take, and then an answer: some hundred times what they need. Only the requests that are under
way when Valkey goes away wait for it, and one a second while it is."""

PAUSE_SECONDS = 1.0
"""How long nobody asks after Valkey gave no answer."""

MOST_CONNECTIONS = 16
"""Counts on their way at the same time. One takes a fraction of a millisecond, so the next waits hardly longer."""

_COUNT = """
local made = tonumber(redis.call('GET', KEYS[1]) or '0')
if made >= tonumber(ARGV[1]) then
    return {-1, redis.call('PTTL', KEYS[1])}
end
made = redis.call('INCR', KEYS[1])
if made == 1 then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return {made, 0}
"""
"""One call decides and counts. A refused request is not counted: whoever keeps asking is not kept out for longer."""

_SHA = hashlib.sha1(_COUNT.encode(), usedforsecurity=False).hexdigest()

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a company stands after a request; `retry_after` in whole seconds, None if the request was admitted."""

    limit: int
    remaining: int
    retry_after: int | None


STANDING = web.RequestKey("standing", Standing)
"""Where a request keeps it, for the headers of its answer."""


class Rates:
    """`uncounted` is how many requests this process has admitted without a count, for whoever gathers figures."""

    def __init__(self, redis: Redis) -> None:
        self.uncounted = 0
        self._redis = redis
        self._away_until: float | None = None
        self._missed = 0

    async def count(self, company_id: int, limit: int) -> Standing | None:
        """Counts one request of a company that may make `limit` a minute; None if nobody could count it."""
        now = asyncio.get_running_loop().time()
        if self._away_until is not None and now < self._away_until:
            self._miss()
            return None
        try:
            made, milliseconds = await self._ask(f"penstock:rate:{company_id}", limit)
        except (RedisError, OSError, TimeoutError) as error:
            self._lose(error, now)
            return None
        self._find()
        if made < 0:
            return Standing(limit, 0, max(1, -(-milliseconds // 1_000)))
        return Standing(limit, limit - made, None)

    async def _ask(self, key: str, limit: int) -> tuple[int, int]:
        arguments = (1, key, str(limit), str(WINDOW_SECONDS * 1_000))
        try:
            answer = self._redis.evalsha(_SHA, *arguments)
            made, milliseconds = await cast(Awaitable[list[int]], answer)
        except NoScriptError:
            made, milliseconds = await cast(Awaitable[list[int]], self._redis.eval(_COUNT, *arguments))
        return made, milliseconds

    def _lose(self, error: Exception, now: float) -> None:
        if self._away_until is None:
            _log.warning("Requests are admitted without being counted: Redis gives no answer.", cause=repr(error))
        self._away_until = now + PAUSE_SECONDS
        self._miss()

    def _miss(self) -> None:
        self.uncounted += 1
        self._missed += 1

    def _find(self) -> None:
        if self._away_until is not None:
            _log.info("Requests are counted again.", uncounted=self._missed)
            self._away_until, self._missed = None, 0


async def show_standing(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Puts the headers on every answer to a counted request, refusals and streams included."""
    standing = request.get(STANDING)
    if standing is not None:
        response.headers["X-RateLimit-Limit"] = str(standing.limit)
        response.headers["X-RateLimit-Remaining"] = str(standing.remaining)


@asynccontextmanager
async def open_rates(redis_url: str) -> AsyncIterator[Rates]:
    pool = BlockingConnectionPool.from_url(
        redis_url,
        max_connections=MOST_CONNECTIONS,
        timeout=ANSWER_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=ANSWER_SECONDS,
    )
    redis = Redis.from_pool(pool)
    try:
        yield Rates(redis)
    finally:
        await redis.aclose()
