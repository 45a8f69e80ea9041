"""Runs one accepted job as a worker process does: the real tools, runner and handlers, from claim to conclusion.

    python -m bench.job_runner JOB

Only the way there is shorter: the delivery comes from here instead of relay and Redis, since how long that takes is
queue_latency's question. A job that gives way to others is delivered again at once.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop

from bench.children import obey
from cli.logs import configure_logging
from core.settings import read_settings
from worker.jobs import HANDLERS
from worker.main import open_tools
from worker.runner import Runner
from worker.tools import Outcome

MOST_SLICES = 100
"""Slices of 20 s after which the job is not going to end."""


async def main(job_id: int) -> None:
    async with open_tools(read_settings(), asyncio.Event()) as tools:
        runner = Runner(tools, HANDLERS)

        async def work() -> None:
            await _run(runner, job_id)

        await obey(work)


async def _run(runner: Runner, job_id: int) -> None:
    for attempt in range(MOST_SLICES):
        word = await runner.run(f"{job_id}:{attempt}")
        if word == Outcome.SETTLED:
            return
        assert word == Outcome.YIELDED, f"the job came out as {word}"
    raise AssertionError("the job does not end")


if __name__ == "__main__":
    configure_logging("worker")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1])))
