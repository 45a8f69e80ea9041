"""Ends what is past its keep time, a bounded number at a time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from core.domain.metrics import Interval
from core.operations.jobs import expire_jobs
from core.operations.logins import prune_logins
from core.operations.repeats import IDEMPOTENCY_WINDOW
from core.operations.rollup import prune_metrics
from core.operations.sweeping import prune_runs
from core.operations.undo import purge_trash
from core.settings import Settings
from core.store import idempotency_keys, jobs, mail_days
from core.store.database import Connection, Database

BATCH = 1_000
"""Rows of one transaction: some 50 ms, so that nobody waits long behind it."""

TOMBSTONE_KEEP = timedelta(days=90)
"""How long an expired job's address answers 410 before it answers 404."""


RUN_KEEP = timedelta(days=90)
LOG_KEEP = timedelta(days=7)
"""What an installation that says nothing keeps of runs, and of what their runners logged."""

METRIC_KEEP = {
    Interval.FIVE_MINUTES: timedelta(days=14),
    Interval.HOUR: timedelta(days=180),
    Interval.DAY: timedelta(days=1_095),
}
"""And of the numbers of each interval."""


class Pruner:
    def __init__(
        self,
        database: Database,
        job_keep: timedelta,
        run_keep: timedelta = RUN_KEEP,
        log_keep: timedelta = LOG_KEEP,
        metric_keep: Mapping[Interval, timedelta] = METRIC_KEEP,
    ) -> None:
        self._database = database
        self._job_keep = job_keep
        self._run_keep = run_keep
        self._log_keep = log_keep
        self._metric_keep = metric_keep

    @classmethod
    def of(cls, database: Database, settings: Settings) -> Pruner:
        """With the keep times that the installation decides on."""
        return cls(
            database,
            timedelta(days=settings.job_days),
            timedelta(days=settings.run_days),
            timedelta(days=settings.run_log_days),
            {
                Interval.FIVE_MINUTES: timedelta(days=settings.metric_5m_days),
                Interval.HOUR: timedelta(days=settings.metric_hour_days),
                Interval.DAY: timedelta(days=settings.metric_day_days),
            },
        )

    async def run_once(self) -> int:
        """One round; returns how many rows it ended. Any at all means that there may be more."""
        purged = await purge_trash(self._database, BATCH)
        expired = await expire_jobs(self._database, older_than=self._job_keep, limit=BATCH)
        await self._database.transaction(self._forget)
        await prune_logins(self._database)
        pruned = await prune_runs(self._database, keep=self._run_keep, keep_logs=self._log_keep, limit=BATCH)
        pruned += await prune_metrics(self._database, self._metric_keep, BATCH)
        return purged + expired + pruned

    async def _forget(self, connection: Connection) -> None:
        await jobs.forget_tombstones(connection, TOMBSTONE_KEEP)
        await idempotency_keys.prune(connection, IDEMPOTENCY_WINDOW)
        await mail_days.prune(connection)
