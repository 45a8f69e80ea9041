"""Somebody else's work beside a delete: one row read and one row written at a time, in another flow."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

import asyncpg

Statement: TypeAlias = "asyncpg.prepared_stmt.PreparedStatement[asyncpg.Record]"

PAUSE_SECONDS = 0.002
"""Between two pairs: a client that is busy but does not take a core for itself."""


@dataclass(slots=True)
class Waits:
    """Seconds, in the order they were waited."""

    reads: list[float] = field(default_factory=list)
    writes: list[float] = field(default_factory=list)

    def add(self, others: Waits) -> None:
        self.reads += others.reads
        self.writes += others.writes


class Bystander:
    """A client at work; what it waits for is kept until it is taken."""

    def __init__(self, read: Statement, write: Statement, ids: Sequence[int], source: random.Random) -> None:
        self._read = read
        self._write = write
        self._ids = ids
        self._source = source
        self._waits = Waits()

    def take(self) -> Waits:
        """What it has waited for since the last time this was asked."""
        waits, self._waits = self._waits, Waits()
        return waits

    async def live(self) -> None:
        """For ever. Each write is a transaction of its own, so it also waits for its commit to be on disk."""
        while True:
            began = time.perf_counter()
            await self._read.fetchrow(self._source.choice(self._ids))
            between = time.perf_counter()
            await self._write.fetchval(self._source.choice(self._ids), "seen")
            self._waits.writes.append(time.perf_counter() - between)
            self._waits.reads.append(between - began)
            await asyncio.sleep(PAUSE_SECONDS)


@asynccontextmanager
async def bystanding(url: str, table: str, ids: Sequence[int], seed: int) -> AsyncIterator[Bystander]:
    """Random rows of `ids`, for the life of the block."""
    connection = await asyncpg.connect(url)
    try:
        bystander = Bystander(
            await connection.prepare(f"SELECT id, name, status, body FROM {table} WHERE id = $1"),
            await connection.prepare(
                f"UPDATE {table} SET notes = $2, revision = revision + 1, updated_at = clock_timestamp() WHERE id = $1"
            ),
            ids,
            random.Random(seed),
        )
        task = asyncio.create_task(bystander.live())
        try:
            yield bystander
        finally:
            task.cancel()
            await asyncio.wait({task})
        if not task.cancelled():
            await task  # it never ends by itself, so this raises what ended it
    finally:
        connection.terminate()
