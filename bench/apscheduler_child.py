"""The peer of the scheduler: APScheduler 3 with its jobs in the same PostgreSQL, as its documentation has it.

    python -m bench.apscheduler_child JOBS

Each job has a cron expression of its own minute, is due when the bench says so, like all others, and notes when it
began.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from datetime import UTC, datetime

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger

from bench.children import obey
from core.settings import read_settings

THREADS = 20
"""Twice its default: its jobs wait for the database, like ours."""

_fired: list[float] = []
_all = threading.Event()
_wanted = 0


def fire() -> None:
    """The job."""
    _fired.append(time.time())
    if len(_fired) == _wanted:
        _all.set()


async def main(jobs: int) -> None:
    global _wanted
    _wanted = jobs
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    url = (read_settings().database_url or "").replace("postgresql://", "postgresql+psycopg2://")
    store = SQLAlchemyJobStore(url=url, tablename="bench_apscheduler")
    executors = {"default": ThreadPoolExecutor(THREADS)}
    scheduler = BackgroundScheduler(jobstores={"default": store}, executors=executors, timezone=UTC)
    scheduler.start(paused=True)
    due = datetime.now(UTC)
    for number in range(jobs):
        trigger = CronTrigger(minute=number % 60, hour=number // 60 % 24, timezone=UTC)
        scheduler.add_job(fire, trigger, next_run_time=due, misfire_grace_time=None, coalesce=True)

    async def work() -> None:
        scheduler.resume()
        await asyncio.to_thread(_all.wait)

    await obey(work)
    scheduler.shutdown(wait=False)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
