"""Fires what is due: claims, accounts, advances and stages, all in one transaction.

Any number of schedulers may run: each leaves alone what another one holds.
"""

from __future__ import annotations

import structlog

from core.operations.firing import USUAL, Fired, Firing, fire_due, next_due_in
from core.store.database import Database

LATE_SECONDS = 5.0
"""What begins later than this was held up: nobody was there, or more was due than one scheduler fires in that time."""

_log = structlog.get_logger()


class Scheduler:
    def __init__(self, database: Database, firing: Firing = USUAL) -> None:
        self._database = database
        self._firing = firing

    async def run_once(self) -> Fired:
        """One claim. Says so where runs begin late, or are left out."""
        done = await fire_due(self._database, self._firing)
        late = done.latest.total_seconds()
        if done.left_out or late > LATE_SECONDS:
            _log.warning(
                "Schedules were behind.",
                schedules=done.claimed,
                runs=done.begun,
                left_out=done.left_out,
                late_seconds=round(late, 3),
            )
        return done

    async def due_in(self) -> float | None:
        """Seconds until the next instant is due, none or fewer where somebody else holds what is; None if there is
        nothing."""
        return await next_due_in(self._database)
