"""How many requests a company has made in the last minute, counted in Valkey for all processes together.

A count is no fact: without Valkey everybody is admitted.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
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

_COUNT = """
local made = tonumber(redis.call('GET', KEYS[1]) or '0')
local admitted = math.max(0, math.min(tonumber(ARGV[1]), tonumber(ARGV[2]) - made))
if admitted > 0 and redis.call('INCRBY', KEYS[1], admitted) == admitted then
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return {made, admitted, redis.call('PTTL', KEYS[1])}
"""
"""One call decides on some requests of a company and counts those it admits. A refused one is not counted: whoever
keeps asking is not kept out for longer."""

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


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    """One that waits to be counted, and where its standing goes; None if nobody could count it."""

    company_id: int
    limit: int
    standing: asyncio.Future[Standing | None]


class Rates:
    """`uncounted` is how many requests this process has admitted without a count, for whoever gathers figures.

    What comes while a count is on its way goes with the next one, together: under load a call to Valkey, which costs as
    much as all the rest of a short request, is shared by many.
    """

    def __init__(self, redis: Redis) -> None:
        self.uncounted = 0
        self._redis = redis
        self._waiting: list[_Request] = []
        self._counting: asyncio.Task[None] | None = None
        self._away_until: float | None = None
        self._missed = 0

    async def count(self, company_id: int, limit: int) -> Standing | None:
        """Counts one request of a company that may make `limit` a minute; None if nobody could count it."""
        loop = asyncio.get_running_loop()
        if self._away_until is not None and loop.time() < self._away_until:
            self._miss(1)
            return None
        request = _Request(company_id, limit, loop.create_future())
        self._waiting.append(request)
        if self._counting is None:
            self._counting = asyncio.create_task(self._count_waiting())
        return await request.standing

    async def _count_waiting(self) -> None:
        try:
            while self._waiting:
                together, self._waiting = self._waiting, []
                await self._count_together(together)
        finally:
            self._counting = None

    async def _count_together(self, requests: Sequence[_Request]) -> None:
        groups: dict[tuple[int, int], list[_Request]] = {}
        for request in requests:
            groups.setdefault((request.company_id, request.limit), []).append(request)
        standings: dict[_Request, Standing] = {}
        try:
            for (company_id, limit), group in groups.items():
                asked = await self._ask(f"penstock:rate:{company_id}", limit, len(group))
                standings |= zip(group, _standings(limit, len(group), *asked), strict=True)
        except (RedisError, OSError, TimeoutError) as error:
            self._lose(error, len(requests) - len(standings))
        else:
            self._find()
        for request in requests:
            if not request.standing.done():  # whoever asked may have gone
                request.standing.set_result(standings.get(request))

    async def _ask(self, key: str, limit: int, requests: int) -> tuple[int, int, int]:
        """How many were made before, how many of these are admitted, and how many milliseconds the window lasts."""
        arguments = (1, key, str(requests), str(limit), str(WINDOW_SECONDS * 1_000))
        try:
            answer = self._redis.evalsha(_SHA, *arguments)
            made, admitted, milliseconds = await cast(Awaitable[list[int]], answer)
        except NoScriptError:
            made, admitted, milliseconds = await cast(Awaitable[list[int]], self._redis.eval(_COUNT, *arguments))
        return made, admitted, milliseconds

    def _lose(self, error: Exception, requests: int) -> None:
        if self._away_until is None:
            _log.warning("Requests are admitted without being counted: Redis gives no answer.", cause=repr(error))
        self._away_until = asyncio.get_running_loop().time() + PAUSE_SECONDS
        self._miss(requests)

    def _miss(self, requests: int) -> None:
        self.uncounted += requests
        self._missed += requests

    def _find(self) -> None:
        if self._away_until is not None:
            _log.info("Requests are counted again.", uncounted=self._missed)
            self._away_until, self._missed = None, 0


def _standings(limit: int, requests: int, made: int, admitted: int, milliseconds: int) -> Iterator[Standing]:
    """Of each request in turn, after so many that were made before."""
    for number in range(1, requests + 1):
        if number <= admitted:
            yield Standing(limit, limit - made - number, None)
        else:
            yield Standing(limit, 0, max(1, -(-milliseconds // 1_000)))


async def show_standing(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Puts the headers on every answer to a counted request, refusals and streams included."""
    standing = request.get(STANDING)
    if standing is not None:
        response.headers["X-RateLimit-Limit"] = str(standing.limit)
        response.headers["X-RateLimit-Remaining"] = str(standing.remaining)


@asynccontextmanager
async def open_rates(redis_url: str, answer_seconds: float = ANSWER_SECONDS) -> AsyncIterator[Rates]:
    pool = BlockingConnectionPool.from_url(
        redis_url,
        max_connections=1,
        timeout=answer_seconds,
        socket_timeout=answer_seconds,
        socket_connect_timeout=answer_seconds,
    )
    redis = Redis.from_pool(pool)
    try:
        yield Rates(redis)
    finally:
        await redis.aclose()
