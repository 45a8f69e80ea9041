"""Flows with timers and schedules that fire all the time and are changed all the time, with a history of all that.

One change is made at a time. Where PostgreSQL goes away under one, it is made again until it is known to have been
made; what it means counts from somewhere in between.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import orjson

from core.domain.errors import NotFound, Unavailable
from core.domain.flows import Flow, FlowChange, Running
from core.domain.versions import Version
from core.operations import schedules
from core.store.database import UNREACHABLE
from tests.faults.ground import Ground
from tests.faults.history import Cron, Every, History, Meaning

T = TypeVar("T")

AGAIN_SECONDS = 0.2
"""Between two tries of a change while PostgreSQL is away."""

EXPRESSIONS = ("* * * * *", "* * * * *", "*/2 * * * *", "* 1-23 * * *", "0-40,50-59/3 * * * *")
ZONES = ("UTC", "Europe/Berlin", "Asia/Kathmandu")
POLICIES = (*["allow"] * 8, "skip", "buffer_one")
WINDOW = DAY = 86_400


@dataclass
class Row:
    """A flow under change, with its timers by key or its schedules by id."""

    flow: Flow
    version: Version
    keys: tuple[str, ...] = ()
    schedules: dict[int, Cron] = field(default_factory=dict)
    paused: set[int] = field(default_factory=set)
    deployed: bool = True
    enabled: bool = True

    def meanings(self) -> dict[Hashable, Meaning | None]:
        """What each of its lines means as it stands."""
        timers: dict[Hashable, Meaning | None] = {
            (self.flow.id, key): self._meaning(Every(1), paused=False) for key in self.keys
        }
        return timers | {id_: self._meaning(rule, paused=id_ in self.paused) for id_, rule in self.schedules.items()}

    def _meaning(self, rule: Every | Cron, *, paused: bool) -> Meaning | None:
        if not self.deployed:
            return None
        return Meaning(rule, "paused" if paused else None if self.enabled else "disabled")


class Field:
    def __init__(self, ground: Ground, runner_url: str | None, source: random.Random) -> None:
        self.history = History()
        self.timers: dict[int, Hashable] = {}
        self.changes = 0
        self._ground = ground
        self._runner_url = runner_url
        self._source = source
        self._rows: list[Row] = []
        self._one = asyncio.Lock()

    async def add_timers(self, number: int) -> Row:
        """A flow with so many timers of a second."""
        keys = tuple(f"t{n}" for n in range(number))
        triggers = [{"type": "timer", "key": key, "config": {"seconds": 1}} for key in keys]
        row = await self._add({"triggers": triggers, "nodes": []})
        row.keys = keys
        await self._change(row, lambda: self._deploy(row))
        return row

    async def add_schedules(self, number: int) -> Row:
        """A flow with so many schedules, of all kinds."""
        row = await self._add({"nodes": []})
        await self._change(row, lambda: self._deploy(row))
        at = (self._ground.tenant.principal, self._ground.database, row.version.id)
        for n in range(number):
            rule = self._rule()
            given = {
                "cron_string": rule.expression, "timezone": rule.zone, "overlap_policy": POLICIES[n % len(POLICIES)],
                "catchup_window_seconds": WINDOW,
            }  # fmt: skip
            earliest = await self.read_clock()
            made = await schedules.create_schedule(*at, given)
            row.schedules[made.id] = rule
            self.history.change(made.id, earliest, await self.read_clock(), Meaning(rule))
        return row

    async def _add(self, body: dict[str, object]) -> Row:
        tenant = self._ground.tenant
        flow = await tenant.make_flow(f"Row {len(self._rows)}")
        version = await tenant.make_version(flow, "v1", orjson.dumps(body).decode())
        if self._runner_url is not None:
            await tenant.change_flow(flow, FlowChange(running=Running(self._runner_url, run_timeout_seconds=DAY)))
        row = Row(flow, version)
        self._rows.append(row)
        return row

    # Changes

    async def change_something(self) -> None:
        """One change of one flow, by chance. At most two flows are undeployed or disabled at a time."""
        off = [row for row in self._rows if not (row.deployed and row.enabled)]
        if len(off) > 1 or (off and self._source.random() < 0.5):
            return await (self.enable if off[0].deployed else self.deploy)(off[0])
        row = self._source.choice([row for row in self._rows if row not in off])
        ways = [self.undeploy, self.enable, *[self.pause, self.edit, self.edit, self.delete] * bool(row.schedules)]
        return await self._source.choice(ways)(row)

    async def undeploy(self, row: Row) -> None:
        async def act() -> None:
            await self._ground.tenant.change_flow(row.flow, FlowChange(undeploy=True))
            row.deployed = False

        await self._change(row, act)

    async def deploy(self, row: Row) -> None:
        await self._change(row, lambda: self._deploy(row))

    async def enable(self, row: Row) -> None:
        """Or disables, if it is enabled."""
        wanted = not row.enabled

        async def act() -> None:
            await self._ground.tenant.change_flow(row.flow, FlowChange(enabled=wanted))
            row.enabled = wanted

        await self._change(row, act)

    async def pause(self, row: Row) -> None:
        """Or lets go on, if it is paused."""
        schedule_id = self._source.choice(list(row.schedules))
        wanted = schedule_id not in row.paused

        async def act() -> None:
            await self._edit(row, schedule_id, paused=wanted)
            (row.paused.add if wanted else row.paused.discard)(schedule_id)

        await self._change(row, act)

    async def edit(self, row: Row) -> None:
        schedule_id, rule = self._source.choice(list(row.schedules)), self._rule()

        async def act() -> None:
            await self._edit(row, schedule_id, cron_string=rule.expression, timezone=rule.zone)
            row.schedules[schedule_id] = rule

        await self._change(row, act)

    async def delete(self, row: Row) -> None:
        """One schedule; the last one stays."""
        if len(row.schedules) == 1:
            return
        schedule_id = self._source.choice(list(row.schedules))
        at = (self._ground.tenant.principal, self._ground.database, row.version.id, schedule_id)
        tried = False

        async def act() -> None:
            nonlocal tried
            try:
                await schedules.delete_schedule(*at)
            except NotFound:
                assert tried, "somebody else has deleted it"
            except BaseException:
                tried = True
                raise
            del row.schedules[schedule_id]

        await self._change(row, act, gone=schedule_id)

    async def end(self) -> None:
        """Nothing of it is live any more."""
        for row in self._rows:
            if row.deployed:
                await self.undeploy(row)

    # How a change is made

    async def step_clock(self, step: Callable[[], Awaitable[tuple[datetime, datetime]]]) -> tuple[datetime, datetime]:
        """Sets the clock while nothing else is done."""
        async with self._one:
            return await step()

    async def read_clock(self) -> datetime:
        async def read() -> datetime:
            async with self._ground.database.connection() as connection:
                at: datetime = await connection.fetchval("SELECT clock_timestamp()")
            return at

        return await insist(read)

    async def _change(self, row: Row, act: Callable[[], Awaitable[None]], *, gone: int | None = None) -> None:
        async with self._one:
            earliest = await self.read_clock()
            await insist(act)
            latest = await self.read_clock()
            for line, meaning in row.meanings().items():
                self.history.change(line, earliest, latest, meaning)
            if gone is not None:
                self.history.change(gone, earliest, latest, None)
            self.changes += 1

    async def _deploy(self, row: Row) -> None:
        await self._ground.tenant.deploy(row.flow, row.version)
        row.deployed = True
        if row.keys:
            async with self._ground.database.connection() as connection:
                rows = await connection.fetch("SELECT id, trigger_key FROM timers WHERE flow_id = $1", row.flow.id)
            self.timers |= {each["id"]: (row.flow.id, each["trigger_key"]) for each in rows}

    async def _edit(self, row: Row, schedule_id: int, **given: object) -> None:
        tenant = self._ground.tenant
        await schedules.change_schedule(tenant.principal, tenant.database, row.version.id, schedule_id, given)

    def _rule(self) -> Cron:
        return Cron(self._source.choice(EXPRESSIONS), self._source.choice(ZONES))


async def insist(act: Callable[[], Awaitable[T]]) -> T:
    """Tries again for as long as PostgreSQL is away."""
    while True:
        try:
            return await act()
        except (*UNREACHABLE, Unavailable):
            await asyncio.sleep(AGAIN_SECONDS)
