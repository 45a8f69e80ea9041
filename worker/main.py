"""The worker role: one arq worker per queue in one process, woken by the relay instead of polling."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import structlog
from arq.connections import ArqRedis
from arq.worker import Worker, func
from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.clock import SystemClock
from core.domain.jobs import QUEUES, STAGED_CHANNEL
from core.operations.settling import Terms
from core.settings import Settings, SettingsError
from core.store.database import open_database
from worker.ending import end_tasks
from worker.jobs import HANDLERS
from worker.mail.mailer import Mailer, parse_smtp_url
from worker.outbound import Outbound
from worker.runner import Runner
from worker.tools import Tools
from worker.transport import ARQ_SECONDS, FUNCTION, connect, connect_listener, patient, queue_name, wake_channel
from worker.wakeup import Wakeup, hint_from_redis

CONCURRENCY = {"bulk": 4, "outbound": 16, "market": 4, "dispatch": 32}
"""Jobs of one queue at once in one process. Bulk jobs keep PostgreSQL busy; letters mostly wait for others; uploads
keep this process busy, and each may hold some 50 MB; dispatch jobs wait for runners, one that has a single run as long
as one that has a hundred."""

READ_LIMIT = 1_000
"""Ids one look into a queue reads. arq counts those in progress elsewhere too, so it must exceed what a whole fleet
runs at once, or a worker finds nothing among others' jobs."""

GRACE_SECONDS = 6.0
"""What running jobs get after SIGTERM: a bulk job gives way at its next batch, a letter is mostly out by then. What is
cut off is rescued."""

KEEP_SECONDS = 1.0
"""How long an idle connection to a runner is worth keeping: less than any server that we know of keeps it, so that a
request does not meet the end of one."""

CONNECTIONS = 16
"""Database connections of one worker: four for bulk jobs, which keep theirs; letters and dispatch jobs share the
others, since they hold one for some milliseconds at a time."""

_log = structlog.get_logger()


class WakingWorker(Worker):
    """arq's worker, looking into its queue when it is told to, or every five seconds."""

    def __init__(self, wakeup: Wakeup, **settings: Any) -> None:
        super().__init__(**settings)
        self._wakeup = wakeup

    async def main(self) -> None:
        self.ctx["redis"] = self.pool
        while True:
            await self._poll_iteration()
            await self._wakeup.wait()


def arq_worker(queue: str, runner: Runner, redis: ArqRedis, wakeup: Wakeup) -> WakingWorker:
    """An arq worker of one queue. It knows one function, and takes from a job nothing but its name."""

    async def run_job(ctx: dict[Any, Any], *args: Any, **kwargs: Any) -> None:
        await runner.run(ctx["job_id"])
        wakeup.hint()

    return WakingWorker(
        wakeup,
        functions=[func(run_job, name=FUNCTION, timeout=ARQ_SECONDS, max_tries=1_000)],
        queue_name=queue_name(queue),
        redis_pool=redis,
        handle_signals=False,
        max_jobs=CONCURRENCY[queue],
        keep_result=0,
        queue_read_limit=READ_LIMIT,
        health_check_key=f"penstock:health:{queue}:{os.getpid()}",
        log_results=False,
        job_serializer=redis.job_serializer,
        job_deserializer=redis.job_deserializer,
    )


@asynccontextmanager
async def open_tools(settings: Settings, stopping: asyncio.Event) -> AsyncIterator[Tools]:
    """The database, the ways out, and the terms of one worker process."""
    if settings.redis_url is None:
        raise SettingsError("REDIS_URL is not set; name a Redis or Valkey, or use `make run`.")
    mailer = Mailer(parse_smtp_url(settings.smtp_url)) if settings.smtp_url else None
    redis = Redis.from_url(settings.redis_url, socket_timeout=1, socket_connect_timeout=1)

    async def staged() -> None:
        try:
            await redis.publish(STAGED_CHANNEL, b"")
        except (RedisError, OSError, TimeoutError) as error:
            _log.warning("The relay could not be told; it looks by itself.", cause=type(error).__name__)

    async with AsyncExitStack() as stack:
        stack.push_async_callback(redis.aclose)
        private = settings.allow_private_targets
        outbound = await stack.enter_async_context(Outbound(allow_private=private))
        runners = await stack.enter_async_context(Outbound(allow_private=private, keep_seconds=KEEP_SECONDS))
        database = await stack.enter_async_context(open_database(settings, role="worker", size=CONNECTIONS))
        terms = Terms.of(settings)
        yield Tools(database, settings, terms, SystemClock(), mailer, outbound, runners, stopping, staged)


@asynccontextmanager
async def working(settings: Settings, stopping: asyncio.Event) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Works all queues for the life of the context; yields tasks of which one ends only if a worker fails.

    On the way out running jobs get GRACE_SECONDS.
    """
    assert settings.redis_url is not None
    async with AsyncExitStack() as stack:
        tools = await stack.enter_async_context(open_tools(settings, stopping))
        runner = Runner(tools, HANDLERS)
        workers: list[WakingWorker] = []
        listener = connect_listener(settings.redis_url)
        stack.push_async_callback(listener.aclose)
        tasks: list[asyncio.Task[None]] = []
        for queue in QUEUES:
            redis, wakeup = connect(settings.redis_url, **patient()), Wakeup()
            stack.push_async_callback(redis.aclose)
            workers.append(arq_worker(queue, runner, redis, wakeup))
            tasks.append(asyncio.create_task(workers[-1].async_run()))
            tasks.append(asyncio.create_task(hint_from_redis(wakeup, listener, wake_channel(queue))))
        try:
            yield tasks
        finally:
            stopping.set()
            await _drain(workers)
            await end_tasks(tasks)


async def serve(settings: Settings) -> int:
    """The worker role: works until SIGTERM or SIGINT. Returns the exit code, 1 if Redis stayed away too long."""
    stop, stopping = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with working(settings, stopping) as tasks:
        _log.info("The worker is ready.", queues=list(QUEUES))
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        failed = [task for task in tasks if task.done()]
        await end_tasks([stopped])
        for task in failed:
            _log.error("The worker ends because it lost Redis.", cause=repr(task.exception()))
        return 1 if failed else 0


async def _drain(workers: list[WakingWorker]) -> None:
    """Lets running jobs end, and picks up no others."""
    for worker in workers:
        worker.allow_pick_jobs = False
    running = [task for worker in workers for task in worker.tasks.values() if not task.done()]
    if running:
        _, cut_off = await asyncio.wait(running, timeout=GRACE_SECONDS)
        await end_tasks(cut_off)
