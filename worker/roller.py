"""Rolls runs that ended up into the metrics of their versions.

Any number may run: each leaves alone what another one has taken, and what one had taken that dies is there again.
"""

from __future__ import annotations

from core.operations.rollup import Folded, fold_endings
from core.store.database import Database

BATCH = 5_000
"""Endings of one transaction: some 100 ms, and a quarter of a second's worth at the most that are promised."""


class Roller:
    def __init__(self, database: Database, batch: int = BATCH) -> None:
        self._database = database
        self._batch = batch

    async def run_once(self) -> Folded:
        """One transaction."""
        return await fold_endings(self._database, self._batch)
