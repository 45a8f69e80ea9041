"""Faults of every kind, one after the other, each when the ledger has grown by so much since the one before.

What is killed is started again at once, as a supervisor would; some processes are killed at an exact point, which is a
statement that they have asked for and never hear of.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import cycle

from core.store.database import UNREACHABLE
from core.store.queries import query
from tests.faults.field import Field, insist
from tests.faults.ground import Ground
from tests.support.clocks import Clock
from tests.support.roles import Role
from tests.support.servers import RunningServer
from tests.support.waiting import until
from tests.support.wire import Wire

PLACES = {
    "scheduler": ("runs.insert_due", "schedule_states.advance", "deliveries.mark_delivered"),
    "worker": ("dispatch.begin_tries", "runs.end_runs", "jobs.forget_job"),
}
"""Statements before which a role is killed, one after the other: between a claim and its account, its account and its
commit, Redis and its mark; a claim and its request, an answer and its account, the last account and the job's end."""

GROWTH_SECONDS = 60.0
PLACE_SECONDS = 60.0


@dataclass
class Storm:
    """`servers` are whatever may be taken away besides processes."""

    ground: Ground
    flows: Field
    source: random.Random
    postgres: RunningServer | None = None
    valkey: RunningServer | None = None
    clock: Clock | None = None
    done: Counter[str] = field(default_factory=Counter)
    _roles: dict[str, list[Role]] = field(default_factory=dict)
    _places: dict[str, Iterator[str]] = field(default_factory=lambda: {name: cycle(PLACES[name]) for name in PLACES})

    async def start(self, **roles: int) -> None:
        """So many of each role."""
        for name, number in roles.items():
            self._roles[name] = list(await asyncio.gather(*(self.ground.start(name) for _ in range(number))))

    async def rage(self, faults: Sequence[str], every: int) -> None:
        """Does these faults, one each time the ledger has `every` more runs, and changes something all the while."""
        changing = asyncio.create_task(self._change())
        try:
            for fault in faults:
                await self._grown(every)
                await self._ways()[fault]()
                self.done[fault] += 1
                if changing.done():
                    changing.result()
        finally:
            changing.cancel()
            await asyncio.gather(changing, return_exceptions=True)

    def _ways(self) -> dict[str, Callable[[], Awaitable[None]]]:
        return {
            "scheduler killed": lambda: self._kill("scheduler"),
            "worker killed": lambda: self._kill("worker"),
            "scheduler killed at a place": lambda: self._kill_at_place("scheduler"),
            "worker killed at a place": lambda: self._kill_at_place("worker"),
            "Valkey flushed": self._flush,
            "Valkey killed": self._kill_valkey,
            "PostgreSQL killed": self._kill_postgres,
            "clock set forward": self._set_forward,
        }

    async def _change(self) -> None:
        """A change for every few runs."""
        while True:
            await self.flows.change_something()
            await self._grown(40)

    async def _grown(self, by: int) -> None:
        before = await self._count()

        async def grown() -> bool:
            return await self._count() >= before + by

        await until(grown, f"the ledger grows by {by}", GROWTH_SECONDS)

    async def _count(self) -> int:
        """Numbers of runs given out: as good as runs, and read in no time."""

        async def read() -> int:
            async with self.ground.database.connection() as connection:
                number: int = await connection.fetchval("SELECT last_value FROM runs_id_seq")
            return number

        return await insist(read)

    async def _kill(self, name: str) -> None:
        roles = self._roles[name]
        place = self.source.randrange(len(roles))
        assert roles[place].running, f"{name} has ended by itself: {roles[place].tail()}"
        await roles[place].kill()
        roles[place] = await self.ground.start(name)

    async def _kill_at_place(self, name: str) -> None:
        place = next(self._places[name])
        async with Wire(self.ground.database_url) as wire:
            stop = wire.stop_before(query(place))
            role = await self.ground.start(name, DATABASE_URL=wire.url)
            await stop.reached(PLACE_SECONDS)
            await role.kill()
            stop.drop()

    async def _flush(self) -> None:
        await self.ground.redis.flushall()

    async def _kill_valkey(self) -> None:
        assert self.valkey is not None
        await self.valkey.kill()
        await self.valkey.start()

    async def _kill_postgres(self) -> None:
        assert self.postgres is not None
        await self.postgres.kill()
        await self.postgres.start()

    async def _set_forward(self) -> None:
        """Three times is less than the hour after which a run is given up that a runner has put off."""
        clock = self.clock
        assert clock is not None
        await self.flows.step_clock(lambda: clock.step(timedelta(minutes=self.source.randint(17, 19))))


LEFT = """
SELECT r.id, r.schedule_id, r.scheduled_for, r.status, r.reason, r.buffered, r.attempts, r.due_at, r.job_id,
       j.status AS job, j.attempt, j.deliver_at, j.delivered_at, j.relayed_until, j.leased_until,
       st.active_runs, st.buffered_runs, clock_timestamp() AS now
FROM runs r
LEFT JOIN jobs j ON j.id = r.job_id
LEFT JOIN schedule_states st ON st.schedule_id = r.schedule_id
WHERE r.status IN ('queued', 'started') ORDER BY r.id LIMIT 20
"""
"""What goes on still, and who should be at it."""


async def ended(ground: Ground, seconds: float) -> None:
    """Waits until no run goes on; fails with how those stand that do."""
    left: list[str] = ["not asked yet"]

    async def all_ended() -> bool:
        try:
            async with ground.database.connection() as connection:
                left[:] = [str(dict(row)) for row in await connection.fetch(LEFT)]
        except UNREACHABLE:
            return False
        return not left

    try:
        await until(all_ended, "every run ends", seconds)
    except AssertionError as error:
        error.add_note("\n".join(left))
        raise
