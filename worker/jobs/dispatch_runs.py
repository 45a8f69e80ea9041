"""Sends the runs of its batch to their runners, many at once, each until the runner has it or its time is not yet.

The worker holds what is under way and nothing else: what is left, and how each stands, is read in every turn.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from core.domain.dispatch import IN_FLIGHT, Outgoing, Tried
from core.domain.jobs import SLICE_SECONDS, ClaimedJob
from core.operations.dispatch import take_turn
from core.operations.jobs import yield_job
from core.operations.stories import read_webhook_secrets
from worker.ending import end_tasks
from worker.posting import post_run
from worker.tools import Outcome, Tools

GATHER_SECONDS = 0.02
"""How long answers are gathered once one has come: a transaction for each would cost more than the request."""

GATHERED = IN_FLIGHT // 2
"""Answers that are worth a transaction at once. The other half is under way meanwhile."""

PATIENCE_SECONDS = 5.0
"""The longest time between two turns: each renews the lease of 15 s, and the answers to wait for may take 10 s."""


async def run(job: ClaimedJob, tools: Tools) -> Outcome:
    """Takes turns until nothing of the batch is left, or the slice is over and every answer is in.

    At least once: what was sent and not settled when a worker dies is sent again, under the same id.
    """
    secrets = await read_webhook_secrets(tools.database, job.company_id)
    flight = _Flight(tools, secrets)
    try:
        return await _fly(job, tools, flight)
    finally:
        await flight.abort()


async def _fly(job: ClaimedJob, tools: Tools, flight: _Flight) -> Outcome:
    deadline = tools.clock.monotonic() + SLICE_SECONDS
    landed: list[Tried] = []
    while True:
        over = tools.clock.monotonic() >= deadline or tools.stopping.is_set()
        turn = await take_turn(
            tools.database,
            job,
            landed,
            flight.under_way,
            room=0 if over else IN_FLIGHT - len(flight.under_way),
            terms=tools.terms,
            fraction=random.random,
        )
        if turn.finished:
            return Outcome.SETTLED
        flight.send(turn.sending)
        if over and not flight.under_way:
            await yield_job(tools.database, job)
            return Outcome.YIELDED
        landed = await flight.land()


class _Flight:
    """The requests under way."""

    def __init__(self, tools: Tools, secrets: Sequence[str]) -> None:
        self._tools = tools
        self._secrets = secrets
        self._tasks: dict[asyncio.Task[Tried], Outgoing] = {}

    @property
    def under_way(self) -> list[Outgoing]:
        return list(self._tasks.values())

    def send(self, runs: Sequence[Outgoing]) -> None:
        for run in runs:
            self._tasks[asyncio.create_task(post_run(self._tools.runners, run, self._secrets))] = run

    async def land(self) -> list[Tried]:
        """Waits for answers, a few milliseconds longer than for the first, and takes them."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=PATIENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        done = [task for task in self._tasks if task.done()]
        if done and len(done) < min(GATHERED, len(self._tasks)):
            await asyncio.wait(self._tasks, timeout=GATHER_SECONDS)
        done = [task for task in self._tasks if task.done()]
        for task in done:
            del self._tasks[task]
        return [task.result() for task in done]

    async def abort(self) -> None:
        """Gives up on what is still under way: the job is somebody else's, or its time is over."""
        await end_tasks(self._tasks)
