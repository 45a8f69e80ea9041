"""The relay and a worker without arq's loops, one step at a time: what is staged is delivered, what was delivered runs.

Tests of single promises use this and never wait; tests of the running whole start the real roles.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from arq.connections import ArqRedis

from core.clock import SystemClock
from core.domain.jobs import QUEUES
from core.operations.settling import Terms
from core.settings import Settings
from core.store.database import Database
from worker.jobs import HANDLERS
from worker.mail.mailer import Mailer, parse_smtp_url
from worker.main import KEEP_SECONDS
from worker.outbound import Outbound
from worker.relay import Relay
from worker.rescuer import Rescuer
from worker.runner import Runner
from worker.tools import Tools
from worker.transport import connect, queue_name

MOST_ROUNDS = 50
"""Rounds of deliver-and-run after which a test is going round in circles."""


@dataclass
class Machinery:
    """A relay, a rescuer and a runner over a test's own database and Redis."""

    tools: Tools
    redis: ArqRedis
    relay: Relay
    rescuer: Rescuer
    runner: Runner
    hints: list[str] = field(default_factory=list)

    async def deliver(self) -> list[str]:
        """Relays what is due and takes it out of the queues again, as a worker would; returns `{job}:{attempt}`s."""
        while await self.relay.run_once():
            pass
        taken: list[str] = []
        for queue in QUEUES:
            names = [name.decode() for name in await self.redis.zrange(queue_name(queue), 0, -1)]
            for name in names:
                await self.redis.zrem(queue_name(queue), name)
                await self.redis.delete(f"arq:job:{name}")
            taken += names
        return taken

    async def step(self) -> list[str]:
        """Delivers and runs everything once; returns how each attempt went."""
        return [await self.runner.run(name) for name in await self.deliver()]

    async def drain(self) -> list[str]:
        """Steps until nothing is due; returns how each attempt went."""
        words: list[str] = []
        for _ in range(MOST_ROUNDS):
            round_words = await self.step()
            if not round_words:
                return words
            words += round_words
        raise AssertionError(f"jobs are still going round after {MOST_ROUNDS} rounds: {words[-10:]}")


@asynccontextmanager
async def open_machinery(database: Database, settings: Settings) -> AsyncIterator[Machinery]:
    assert settings.redis_url is not None
    hints: list[str] = []

    async def staged() -> None:
        hints.append("staged")

    async with AsyncExitStack() as stack:
        redis = connect(settings.redis_url)
        stack.push_async_callback(redis.aclose)
        private = settings.allow_private_targets
        outbound = await stack.enter_async_context(Outbound(allow_private=private))
        runners = await stack.enter_async_context(Outbound(allow_private=private, keep_seconds=KEEP_SECONDS))
        mailer = Mailer(parse_smtp_url(settings.smtp_url)) if settings.smtp_url else None
        terms = Terms.of(settings)
        tools = Tools(database, settings, terms, SystemClock(), mailer, outbound, runners, asyncio.Event(), staged)
        yield Machinery(
            tools=tools,
            redis=redis,
            relay=Relay(database, redis),
            rescuer=Rescuer(database, redis, terms),
            runner=Runner(tools, HANDLERS),
            hints=hints,
        )
