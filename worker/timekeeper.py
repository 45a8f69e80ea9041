"""Looks after runs that nobody holds: brings back those whose next try is due, ends those that were never reported.

Any number may run: row locks decide who stages a run again, and the end of a run is written once.
"""

from __future__ import annotations

from core.operations.dispatch import end_unreported, next_due_in, stage_waiting
from core.store.database import Database

BATCH = 1_000
"""Runs of one round of each kind: ten dispatch jobs, some 20 ms."""


class Timekeeper:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def run_once(self) -> int:
        """One round; returns how many runs it brought back or ended."""
        staged = await stage_waiting(self._database, BATCH)
        return staged + await end_unreported(self._database, BATCH)

    async def due_in(self) -> float | None:
        """Seconds until the next run's time comes; None if none waits."""
        return await next_due_in(self._database)
