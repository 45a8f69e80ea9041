"""arq as Penstock uses it: a way to hand over `{job}:{attempt}`, and nothing else.

No data travels and no result is kept; the serializer is JSON, because arq's default, pickle, lets whoever can write to
Redis run code in a worker.
"""

from __future__ import annotations

from typing import Any

import orjson
from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix, job_key_prefix, retry_key_prefix
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import BusyLoadingError, ConnectionError, TimeoutError  # noqa: A004 - redis-py's own names

from core.store.jobs import Delivery

FUNCTION = "run_job"
"""The one function arq knows."""

MOST_CONNECTIONS = 32
"""A relay sends this many at once; more would wait in line rather than fail."""

REDIS_SECONDS = 2.0
"""How long one command may take. Redis answers in well under a millisecond or is not there."""


def queue_name(queue: str) -> str:
    return f"penstock:{queue}"


def wake_channel(queue: str) -> str:
    """Where the relay tells a queue's workers to look."""
    return f"penstock:wake:{queue}"


def patient() -> dict[str, Any]:
    """Connection settings that survive a restart of Redis: without them an outage of 0.5 s ends an arq worker.

    Twelve tries, 0.05 s doubling to 1 s, span about 8 s; a longer outage ends the process and its supervisor starts
    another.
    """
    return {
        "retry": Retry(ExponentialBackoff(cap=1, base=0.05), 12),
        "retry_on_error": [ConnectionError, TimeoutError, BusyLoadingError, OSError],
    }


def connect(redis_url: str, **settings: Any) -> ArqRedis:
    """A client with a bounded pool, which waits for a free connection instead of failing."""
    pool = BlockingConnectionPool.from_url(
        redis_url,
        max_connections=MOST_CONNECTIONS,
        timeout=REDIS_SECONDS,
        socket_timeout=REDIS_SECONDS,
        socket_connect_timeout=REDIS_SECONDS,
        **settings,
    )
    redis = ArqRedis(pool_or_conn=pool, job_serializer=orjson.dumps, job_deserializer=orjson.loads)
    redis.auto_close_connection_pool = True  # redis-py leaves a pool it was given open, but nobody else has this one
    return redis


def connect_listener(redis_url: str) -> Redis:
    """A client for pub/sub: it may wait for a message as long as it likes."""
    redis: Redis = Redis.from_url(redis_url, socket_connect_timeout=REDIS_SECONDS, health_check_interval=10)
    return redis


async def send(redis: ArqRedis, delivery: Delivery) -> None:
    """Hands one delivery over. Sending it twice is the same as once: arq refuses an id it still has."""
    await redis.enqueue_job(FUNCTION, _job_id=delivery.name, _queue_name=queue_name(delivery.queue))


async def missing(redis: ArqRedis, deliveries: list[Delivery]) -> list[Delivery]:
    """Those that Redis no longer has, each wiped of remains that would make arq refuse it when it is sent again."""
    async with redis.pipeline(transaction=False) as pipe:
        for delivery in deliveries:
            pipe.exists(job_key_prefix + delivery.name)
            pipe.zscore(queue_name(delivery.queue), delivery.name)
        answers = await pipe.execute()
    lost = [
        delivery
        for delivery, kept, score in zip(deliveries, answers[::2], answers[1::2], strict=True)
        if not kept or score is None
    ]
    if lost:
        remains = [
            prefix + delivery.name
            for delivery in lost
            for prefix in (job_key_prefix, retry_key_prefix, in_progress_key_prefix)
        ]
        await redis.delete(*remains)
    return lost
