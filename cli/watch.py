"""Following a job on the terminal, from wherever it is to its end."""

from __future__ import annotations

import asyncio

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from cli.errors import StartError
from core.domain.jobs import Job
from core.operations.jobs import find_job
from core.store.database import Database

LOOK_SECONDS = 0.2
"""Between two looks at the job: one small query, and a bar that moves smoothly enough."""


async def watch(database: Database, job: Job, console: Console) -> Job:
    """Shows how far the job is until it has ended, and returns its last state. Raises StartError if it expires."""
    with _bar(console) as bar:
        task = bar.add_task(job.status, total=job.total, completed=job.done)
        while not job.status.terminal:
            await asyncio.sleep(LOOK_SECONDS)
            found = await find_job(database, job.public_id)
            if found is None:
                raise StartError(f"The record of job {job.public_id} has expired.")
            job = found
            bar.update(task, description=job.status, total=job.total, completed=job.done)
    return job


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<11}"),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
    )
