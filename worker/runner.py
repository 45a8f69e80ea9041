"""Around every job: claim it, run it within a deadline, classify what went wrong, settle the row, log once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from datetime import timedelta

import asyncpg
import structlog

from core.domain.backoff import backoff_seconds
from core.domain.errors import Unavailable
from core.domain.jobs import (
    LEASE_SECONDS,
    ClaimedJob,
    JobFailure,
    JobKind,
    PermanentFailure,
    TransientFailure,
)
from core.operations.jobs import complete_job, fail_job, put_off_job
from core.operations.settling import JobLost
from core.store import jobs
from core.store.database import UNREACHABLE, Connection
from worker.tools import Handler, Outcome, Tools

DEADLINE_SECONDS = 45.0
"""No attempt of any job lasts longer: a bulk slice gives way after 20 s, a letter after 10 s."""

_AWAY = (*UNREACHABLE, Unavailable)
"""PostgreSQL cannot be reached, or not in time: what a job left undone is picked up by the rescuer."""

_log = structlog.get_logger()


class Runner:
    """Runs deliveries. Safe against any delivery: late, repeated, or of a job long settled."""

    def __init__(self, tools: Tools, handlers: Mapping[JobKind, Handler]) -> None:
        self._tools = tools
        self._handlers = handlers

    async def run(self, name: str) -> str:
        """Runs the delivery `{job}:{attempt}` and returns one word on how it went; raises nothing but cancellation."""
        job = await self._claim(name)
        if job is None:
            return "stale"
        began = self._tools.clock.monotonic()
        word = await self._attempt(job)
        await self._tools.staged()
        _log.info(
            "A job attempt ended.",
            job=job.public_id,
            kind=job.kind,
            attempt=job.attempt,
            outcome=word,
            seconds=round(self._tools.clock.monotonic() - began, 3),
        )
        return word

    async def _claim(self, name: str) -> ClaimedJob | None:
        number, _, attempt = name.partition(":")

        async def work(connection: Connection) -> ClaimedJob | None:
            return await jobs.claim(connection, int(number), int(attempt), timedelta(seconds=LEASE_SECONDS))

        try:
            return await self._tools.database.statement(work)
        except _AWAY as error:
            # The delivery is used up; the rescuer finds the row queued and unknown to Redis and stages it again.
            _log.warning("A job could not be claimed.", delivery=name, cause=type(error).__name__)
            return None

    async def _attempt(self, job: ClaimedJob) -> str:
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                outcome = await self._handlers[job.kind](job, self._tools)
            if outcome is Outcome.DONE:
                await complete_job(self._tools.database, job, self._tools.terms)
        except JobLost:
            return "lost"
        except JobFailure as failure:
            return await self._settle(job, failure)
        except _AWAY as error:
            # Nothing can be written now; the lease runs out and the rescuer takes over.
            _log.warning("The database went away under a job.", job=job.public_id, cause=type(error).__name__)
            return "unreachable"
        except Exception:  # noqa: BLE001 - whatever a job does wrong must not end the worker
            _log.exception("A job failed in an unexpected way.", job=job.public_id, kind=job.kind)
            return await self._settle(job, TransientFailure("internal_error", "Something went wrong on our side."))
        return outcome

    async def _settle(self, job: ClaimedJob, failure: JobFailure) -> str:
        """Writes a failure down: for good if trying again cannot help, else with the time of the next try."""
        database, terms = self._tools.database, self._tools.terms
        error = (failure.code, failure.message)
        try:
            if isinstance(failure, PermanentFailure):
                await fail_job(database, job, error, terms)
                return "failed"
            asked = failure.retry_after if isinstance(failure, TransientFailure) else None
            after = asked or backoff_seconds(job.failures + 1, random.random())  # noqa: S311 - spreads retries
            again = await put_off_job(database, job, error, after=after, terms=terms)
        except JobLost:
            return "lost"
        except (*_AWAY, asyncpg.PostgresError) as cause:
            _log.warning("A failure could not be written down.", job=job.public_id, cause=type(cause).__name__)
            return "unreachable"
        return "put off" if again else "failed"
