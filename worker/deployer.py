"""Carries out deploys that were planned for an instant, once it has come.

Any number of deployers may run: whoever locks the flow first carries the deploy out, and the others find nothing left.
"""

from __future__ import annotations

import structlog

from core.operations.lifecycle import deploy_due, next_deploy_in
from core.store.database import Database

BATCH = 100
"""Deploys of one round, each a transaction of some milliseconds."""

LATE_SECONDS = 1.0
"""A deploy that comes later than this was held up: nobody was there, or the flow was busy."""

_log = structlog.get_logger()


class Deployer:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def run_once(self) -> int:
        """Carries out what is due, up to one batch, in order of the instants; returns how many deploys that were."""
        carried = await deploy_due(self._database, BATCH)
        for deploy in carried:
            if deploy.late_seconds > LATE_SECONDS:
                _log.warning(
                    "A planned deploy was carried out late.",
                    version=deploy.version_id,
                    late_seconds=round(deploy.late_seconds, 3),
                )
        return len(carried)

    async def due_in(self) -> float | None:
        """Seconds until the next planned deploy is due; None if there is none."""
        return await next_deploy_in(self._database)
