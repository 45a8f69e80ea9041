"""Looks for what should not be: schedules that would never fire again, and runs in no week's partition.

Both are repaired, and both are said as an error: somebody changed the database past the operations, an older release
was still running, or there is a mistake to be found.
"""

from __future__ import annotations

import structlog

from core.operations.sweeping import make_partitions, sweep
from core.store.database import Database

PAGE = 5_000
"""Schedules looked at in one round: some 20 ms. A million take less than an hour, at a round every ten seconds."""

_log = structlog.get_logger()


class Sweeper:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._after = 0

    async def run_once(self) -> int:
        """One round: the partitions ahead, then a page of the schedules; returns how many were repaired."""
        if moved := await make_partitions(self._database):
            _log.error("Runs had no partition of their own; they were moved.", runs=moved)
        swept = await sweep(self._database, after=self._after, limit=PAGE)
        self._after = swept.after
        if swept.repaired:
            _log.error("Live schedules had no instant to come; they were repaired.", schedules=swept.repaired[:20])
        return len(swept.repaired) + moved
