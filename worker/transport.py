"""arq as Penstock uses it: a way to hand over `{job}:{attempt}`, and nothing else.

No data travels and no result is kept; the serializer is JSON, because arq's default, pickle, lets whoever can write to
Redis run code in a worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix, job_key_prefix, retry_key_prefix
from arq.jobs import serialize_job
from arq.utils import timestamp_ms
from redis.asyncio import BlockingConnectionPool, Connection, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import BusyLoadingError, ConnectionError, TimeoutError  # noqa: A004 - redis-py's own names

from core.store.deliveries import Delivery

FUNCTION = "run_job"
"""The one function arq knows."""

ARQ_SECONDS = 50.0
"""arq's own limit for a job. The runner's deadline of 45 s comes first, so nothing ever reaches it."""

TAKEN_SECONDS = ARQ_SECONDS + 10.0
"""How long arq holds a delivery for running once a worker has taken it: its limit, and ten seconds that it adds."""

UNCLAIMED_SECONDS = 10.0
"""A worker claims in milliseconds what it has taken. One that has not by now died in between or lost the database; if
it claims after all, the row still goes to one of the two only."""

_ABANDONED_MS = (TAKEN_SECONDS - UNCLAIMED_SECONDS) * 1000
"""What is left of the life of arq's mark on a delivery that was taken UNCLAIMED_SECONDS ago."""

MOST_CONNECTIONS = 32
"""A relay sends this many at once; more would wait in line rather than fail."""

REDIS_SECONDS = 2.0
"""How long one command may take. Redis answers in well under a millisecond or is not there."""


def queue_name(queue: str) -> str:
    return f"penstock:{queue}"


def wake_channel(queue: str) -> str:
    """Where the relay tells a queue's workers to look."""
    return f"penstock:wake:{queue}"


class _TrustedConnection(Connection):
    """A connection that is used without a look at it first.

    To learn whether the server has hung up, redis-py reads from it before each use, and mostly in vain: a tenth of a
    millisecond, half a dozen times on the way of every job. A command on one that was closed fails, and every client
    here tries it again on a new one.
    """

    async def can_read_destructive(self) -> bool:
        return False


def patient() -> dict[str, Any]:
    """Connection settings that survive a restart of Redis: without them an outage of 0.5 s ends an arq worker.

    Twelve tries, 0.05 s doubling to 1 s, span about 8 s; a longer outage ends the process and its supervisor starts
    another.
    """
    return {
        "retry": Retry(ExponentialBackoff(cap=1, base=0.05), 12),
        "retry_on_error": [ConnectionError, TimeoutError, BusyLoadingError, OSError],
    }


def _once_more() -> dict[str, Any]:
    return {"retry": Retry(NoBackoff(), 1), "retry_on_error": [ConnectionError]}


def connect(redis_url: str, **settings: Any) -> ArqRedis:
    """A client with a bounded pool, which waits for a free connection instead of failing.

    What fails on a connection that the server has closed meanwhile is tried once more; `settings` may say more often.
    """
    pool = BlockingConnectionPool.from_url(
        redis_url,
        connection_class=_TrustedConnection,
        max_connections=MOST_CONNECTIONS,
        timeout=REDIS_SECONDS,
        socket_timeout=REDIS_SECONDS,
        socket_connect_timeout=REDIS_SECONDS,
        **{**_once_more(), **settings},
    )
    redis = ArqRedis(pool_or_conn=pool, job_serializer=orjson.dumps, job_deserializer=orjson.loads)
    redis.auto_close_connection_pool = True  # redis-py leaves a pool it was given open, but nobody else has this one
    return redis


def connect_listener(redis_url: str) -> Redis:
    """A client for pub/sub: it may wait for a message as long as it likes."""
    redis: Redis = Redis.from_url(redis_url, socket_connect_timeout=REDIS_SECONDS, health_check_interval=10)
    return redis


async def send(redis: ArqRedis, deliveries: Sequence[Delivery]) -> None:
    """Hands deliveries over and tells their workers to look, all of it or nothing, in one round trip.

    arq's own call takes four for each. What it writes is written here in the same form; sending something twice is the
    same as once, since what is still there is left as it is.
    """
    now = timestamp_ms()
    order = serialize_job(FUNCTION, (), {}, None, now, serializer=redis.job_serializer)
    async with redis.pipeline(transaction=True) as pipe:
        for delivery in deliveries:
            pipe.set(job_key_prefix + delivery.name, order, px=redis.expires_extra_ms, nx=True)
            pipe.zadd(queue_name(delivery.queue), {delivery.name: now}, nx=True)
        for queue in {delivery.queue for delivery in deliveries}:
            pipe.publish(wake_channel(queue), b"")
        await pipe.execute()


async def missing(redis: ArqRedis, deliveries: list[Delivery]) -> list[Delivery]:
    """Of deliveries nobody has claimed, those that Redis no longer has, or that were taken by a worker which is gone.

    Each is wiped of remains that would make arq refuse it when it is sent again.
    """
    async with redis.pipeline(transaction=False) as pipe:
        for delivery in deliveries:
            pipe.exists(job_key_prefix + delivery.name)
            pipe.zscore(queue_name(delivery.queue), delivery.name)
            pipe.pttl(in_progress_key_prefix + delivery.name)
        answers = await pipe.execute()
    lost = [
        delivery
        for delivery, kept, score, taken in zip(deliveries, answers[::3], answers[1::3], answers[2::3], strict=True)
        if not kept or score is None or 0 <= taken < _ABANDONED_MS
    ]
    if lost:
        remains = [
            prefix + delivery.name
            for delivery in lost
            for prefix in (job_key_prefix, retry_key_prefix, in_progress_key_prefix)
        ]
        await redis.delete(*remains)
    return lost
