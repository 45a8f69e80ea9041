"""Waiting: hints wake at once, a lost hint costs five seconds at most."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress

import asyncpg
import pytest
from redis.asyncio import Redis

from core.settings import Settings
from core.store.deliveries import NOTIFY_CHANNEL
from tests.support.machinery import Machinery
from tests.support.servers import RunningServer
from tests.support.waiting import now, until
from tests.support.wire import Wire
from worker.transport import connect_listener
from worker.wakeup import LONGEST_SLEEP_SECONDS, Wakeup, hint_from_postgres, hint_from_redis

CHANNEL = "penstock:test"


@asynccontextmanager
async def running(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def hinted(wakeup: Wakeup) -> bool:
    """Whether the wait ended before its time."""
    began = now()
    await wakeup.wait()
    return now() - began < LONGEST_SLEEP_SECONDS - 0.5


async def test_a_hint_before_the_wait_is_not_lost() -> None:
    wakeup = Wakeup()
    wakeup.hint()
    assert await hinted(wakeup)


@pytest.mark.parametrize("seconds", [-3.0, 0.0, 0.05])
async def test_waits_for_the_next_due_instant(seconds: float) -> None:
    began = now()
    await Wakeup().wait(seconds)
    assert max(seconds, 0) - 0.01 <= now() - began < 2


async def test_without_any_hint_it_looks_after_five_seconds() -> None:
    began = now()
    await asyncio.gather(Wakeup().wait(), Wakeup().wait(3_600))
    assert LONGEST_SLEEP_SECONDS - 0.1 <= now() - began < LONGEST_SLEEP_SECONDS + 2


async def test_redis_messages_wake_also_after_an_interruption(valkey: RunningServer, machinery: Machinery) -> None:
    wakeup = Wakeup()
    async with Wire(valkey.url) as wire:
        listener = connect_listener(wire.url)
        async with running(hint_from_redis(wakeup, listener, CHANNEL)):
            assert await hinted(wakeup), "once on connecting, for whatever was missed before"
            await _published(machinery.redis)
            assert await hinted(wakeup)
            await wire.shut()
            await _nobody_listens(machinery.redis)
            await wire.open()
            assert await hinted(wakeup), "once on reconnecting"
            await _published(machinery.redis)
            assert await hinted(wakeup)
        await listener.aclose()


async def test_notifications_wake_also_after_an_interruption(settings: Settings) -> None:
    wakeup = Wakeup()
    url = settings.database_direct_url or settings.database_url
    assert url is not None
    connection = await asyncpg.connect(url)
    async with Wire(url) as wire, running(hint_from_postgres(wakeup, wire.url, NOTIFY_CHANNEL)):
        assert await hinted(wakeup)
        await connection.execute(f"NOTIFY {NOTIFY_CHANNEL}")
        assert await hinted(wakeup)
        await wire.shut()
        await wire.open()
        assert await hinted(wakeup), "once on reconnecting"
        await connection.execute(f"NOTIFY {NOTIFY_CHANNEL}")
        assert await hinted(wakeup)
    await connection.close()


async def _published(redis: Redis) -> None:
    assert await redis.publish(CHANNEL, b"") == 1


async def _nobody_listens(redis: Redis) -> None:
    async def deserted() -> bool:
        return bool((await redis.pubsub_numsub(CHANNEL))[0][1] == 0)

    await until(deserted, "the listener is cut off")
