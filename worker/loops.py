"""The scheduler role: the loops that look after everyone's work. Any number may run; row locks decide."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import structlog
from redis.exceptions import RedisError

from core.domain.errors import Unavailable
from core.domain.jobs import STAGED_CHANNEL
from core.operations.settling import Terms
from core.settings import Settings, SettingsError
from core.store.database import UNREACHABLE, open_database
from core.store.deliveries import NOTIFY_CHANNEL
from worker.deployer import BATCH as DEPLOYED_AT_ONCE
from worker.deployer import Deployer
from worker.ending import end_tasks
from worker.pruner import Pruner
from worker.relay import BATCH as RELAYED_AT_ONCE
from worker.relay import Relay
from worker.rescuer import Rescuer
from worker.roller import Roller
from worker.scheduler import Scheduler
from worker.sweeper import Sweeper
from worker.timekeeper import BATCH as KEPT_AT_ONCE
from worker.timekeeper import Timekeeper
from worker.transport import connect, connect_listener
from worker.wakeup import Wakeup, hint_from_postgres, hint_from_redis

RESCUE_SECONDS = 2.0
"""Between two looks for dropped jobs; with a lease of 15 s, recovery takes at most 17 s and a little."""

DEPLOY_SECONDS = 1.0
"""Between two looks for planned deploys. A deploy is planned for no less than two seconds ahead, so it is always seen
before it is due, and nobody needs to be told of it."""

KEEP_SECONDS = 0.5
"""Between two looks for runs whose time has come, where none is said to come sooner: the shortest wait between two
tries of a run is as long, so it is always seen in time."""

ROLL_SECONDS = 2.0
"""Between two looks for runs that ended, and so how far metrics are behind while nothing is held up. What ends in
between is added to each row at once, so looking more often would only write the same rows more often."""

PRUNE_SECONDS = 60.0
SHORTEST_SECONDS = 0.02
"""The shortest pause, for an instant that comes between looking for what is due and asking when the next one is."""

LOOK_SECONDS = 0.5
"""Between two looks for due schedules: one that was made meanwhile fires for the first time at most so late."""

HELD_SECONDS = 0.05
"""Until the next look when all that is due is held by somebody else: asking again at once would only keep them busy."""

SWEEP_SECONDS = 10.0
TROUBLE_SECONDS = 1.0
"""Pause after Redis or PostgreSQL could not be reached."""

CONNECTIONS = 8
"""Database connections of one scheduler: one for each loop, so that none waits for another."""

LOOPS = ("relay", "rescuer", "deployer", "scheduler", "timekeeper", "sweeper", "roller", "pruner")

_AWAY = (RedisError, *UNREACHABLE, Unavailable)
_log = structlog.get_logger()


async def run_relay(relay: Relay, wakeup: Wakeup) -> None:
    """Delivers for ever: at once when hinted, when a retry becomes due, and every five seconds."""

    async def once() -> float | None:
        delivered = await relay.run_once()
        return 0.0 if delivered == RELAYED_AT_ONCE else await relay.due_in()

    await _repeat("relay", once, wakeup.wait)


async def run_rescuer(rescuer: Rescuer, wakeup: Wakeup) -> None:
    """Rescues for ever; hints the relay, `wakeup`, when something was staged again."""

    async def once() -> float:
        rescued = await rescuer.run_once()
        if rescued:
            _log.warning("Dropped jobs were staged again.", expired=rescued.expired, forgotten=rescued.forgotten)
            wakeup.hint()
        return RESCUE_SECONDS

    await _repeat("rescuer", once, _sleep)


async def run_deployer(deployer: Deployer) -> None:
    """Carries out planned deploys for ever, each at its instant."""

    async def once() -> float:
        if await deployer.run_once() == DEPLOYED_AT_ONCE:
            return 0.0
        due_in = await deployer.due_in()
        return DEPLOY_SECONDS if due_in is None else min(max(due_in, SHORTEST_SECONDS), DEPLOY_SECONDS)

    await _repeat("deployer", once, _sleep)


async def run_timekeeper(timekeeper: Timekeeper, wakeup: Wakeup) -> None:
    """Brings runs back for ever, each when its time has come; hints the relay, `wakeup`, when some were staged."""

    async def once() -> float:
        kept = await timekeeper.run_once()
        if kept:
            wakeup.hint()
        if kept >= KEPT_AT_ONCE:
            return 0.0
        due_in = await timekeeper.due_in()
        # What is due and was left is somebody else's for now, or waits until firing goes on.
        return KEEP_SECONDS if due_in is None or due_in <= 0 else min(due_in, KEEP_SECONDS)

    await _repeat("timekeeper", once, _sleep)


async def run_scheduler(scheduler: Scheduler, relay: Wakeup) -> None:
    """Fires for ever, each instant when it is due; hints the relay when something was staged."""

    async def once() -> float:
        done = await scheduler.run_once()
        if done.begun:
            relay.hint()
        if done.full:
            return 0.0
        due_in = await scheduler.due_in()
        if due_in is None:
            return LOOK_SECONDS
        return min(due_in, LOOK_SECONDS) if due_in > 0 else HELD_SECONDS

    await _repeat("scheduler", once, _sleep)


async def run_sweeper(sweeper: Sweeper) -> None:
    """Sweeps for ever."""

    async def once() -> float:
        await sweeper.run_once()
        return SWEEP_SECONDS

    await _repeat("sweeper", once, _sleep)


async def run_roller(roller: Roller) -> None:
    """Rolls ended runs up for ever, without a pause while there are more than one transaction takes."""

    async def once() -> float:
        return 0.0 if (await roller.run_once()).full else ROLL_SECONDS

    await _repeat("roller", once, _sleep)


async def run_pruner(pruner: Pruner) -> None:
    """Prunes for ever, without a pause while there is anything to end."""

    async def once() -> float:
        return 0.0 if await pruner.run_once() else PRUNE_SECONDS

    await _repeat("pruner", once, _sleep)


async def serve(settings: Settings) -> int:
    """The scheduler role: runs its loops until SIGTERM or SIGINT. Returns the exit code."""
    if settings.redis_url is None or settings.database_url is None:
        raise SettingsError("DATABASE_URL and REDIS_URL must be set; or use `make run`.")
    stop, wakeup = asyncio.Event(), Wakeup()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    terms = Terms.of(settings)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings, role="scheduler", size=CONNECTIONS))
        redis, listener = connect(settings.redis_url), connect_listener(settings.redis_url)
        stack.push_async_callback(redis.aclose)
        stack.push_async_callback(listener.aclose)
        direct_url = settings.database_direct_url or settings.database_url
        tasks = [
            asyncio.create_task(run_relay(Relay(database, redis), wakeup)),
            asyncio.create_task(run_rescuer(Rescuer(database, redis, terms), wakeup)),
            asyncio.create_task(run_deployer(Deployer(database))),
            asyncio.create_task(run_scheduler(Scheduler(database), wakeup)),
            asyncio.create_task(run_timekeeper(Timekeeper(database), wakeup)),
            asyncio.create_task(run_sweeper(Sweeper(database))),
            asyncio.create_task(run_roller(Roller(database))),
            asyncio.create_task(run_pruner(Pruner.of(database, settings))),
            asyncio.create_task(hint_from_redis(wakeup, listener, STAGED_CHANNEL)),
            asyncio.create_task(hint_from_postgres(wakeup, direct_url, NOTIFY_CHANNEL)),
        ]
        _log.info("The scheduler is ready.", loops=LOOPS)
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        return await _end(tasks, stopped)


async def _repeat(
    name: str,
    once: Callable[[], Awaitable[float | None]],
    wait: Callable[[float | None], Awaitable[None]],
) -> None:
    """A `run` around a `run_once`: goes on through outages, and says once when one begins."""
    reachable = True
    while True:
        try:
            pause = await once()
            reachable = True
        except _AWAY as error:
            if reachable:
                _log.warning("A loop waits for PostgreSQL or Redis to come back.", loop=name, cause=repr(error))
            reachable, pause = False, TROUBLE_SECONDS
        await wait(pause)


async def _sleep(seconds: float | None) -> None:
    await asyncio.sleep(seconds or 0)


async def _end(tasks: list[asyncio.Task[None]], stopped: asyncio.Task[bool]) -> int:
    """Ends the loops; 1 if one of them had ended by itself, which none should."""
    failed = [task for task in tasks if task.done()]
    await end_tasks([*tasks, stopped])
    for task in failed:
        _log.error("A loop ended in an unexpected error.", cause=repr(task.exception()))
    return 1 if failed else 0
