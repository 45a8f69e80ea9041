"""The peer of the queue: arq as it comes, whose worker looks into its queue every so many seconds.

    python -m bench.stock_arq POLL_SECONDS

A job does nothing but note how long after its sending it began. It is in Redis only: arq's accepting writes nothing
to a disk, ours commits to PostgreSQL, and that is part of the comparison.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from arq import create_pool
from arq.connections import ArqRedis, RedisSettings
from arq.worker import Worker, func

from bench.servers import Servers
from cli.embedded.launch import Launch
from core.settings import read_settings

DEFAULT_POLL = 0.5
"""arq's own."""

DRAIN_SECONDS = 60

_FUNCTION = "note_start"


class StockQueue:
    """The sending side, and what the worker noted."""

    def __init__(self, redis: ArqRedis, poll: float) -> None:
        self._redis = redis
        self._poll = poll

    async def send(self) -> None:
        await self._redis.enqueue_job(_FUNCTION, time.time(), _queue_name=_queue(self._poll))

    async def lags(self, count: int) -> list[float]:
        return [await self._next_lag() for _ in range(count)]

    async def _next_lag(self) -> float:
        popped = cast(Awaitable[Sequence[bytes] | None], self._redis.blpop([_notes(self._poll)], DRAIN_SECONDS))
        noted = await popped
        if noted is None:
            raise TimeoutError
        return float(noted[1])


@asynccontextmanager
async def running_stock(servers: Servers, poll: float) -> AsyncIterator[StockQueue]:
    """One worker process for the life of the block; it ends with the servers."""
    log = servers.folder / "logs" / f"arq-{poll}.log"
    command = (sys.executable, "-m", "bench.stock_arq", str(poll))
    process = await servers.ward.spawn(Launch(f"arq-{poll}", command, servers.environment, log=log))
    redis = await create_pool(_redis_settings(servers.settings.redis_url))
    try:
        yield StockQueue(redis, poll)
    finally:
        await redis.aclose()
        process.terminate()
        await process.wait()


async def _note_start(ctx: dict[Any, Any], *arguments: float, **_: Any) -> None:
    lag = time.time() - arguments[0]
    await ctx["redis"].rpush(_notes(ctx["poll"]), lag)


def _queue(poll: float) -> str:
    return f"stock:{poll}"


def _notes(poll: float) -> str:
    return f"stock:{poll}:lags"


def _redis_settings(url: str | None) -> RedisSettings:
    assert url is not None
    return RedisSettings.from_dsn(url)


async def _work(poll: float) -> None:
    """Everything as arq has it, but for how often it looks."""
    worker = Worker(
        functions=[func(_note_start, name=_FUNCTION)],
        redis_settings=_redis_settings(read_settings().redis_url),
        queue_name=_queue(poll),
        poll_delay=poll,
        ctx={"poll": poll},
    )
    await worker.async_run()


if __name__ == "__main__":
    asyncio.run(_work(float(sys.argv[1])))
