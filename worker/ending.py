"""Ends background tasks for certain."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

import structlog

ROUNDS = 5
ROUND_SECONDS = 0.5
"""What a task gets to end after being cancelled, five times over: short beside the 8 s the whole process has."""

_log = structlog.get_logger()


async def end_tasks(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancels tasks until they have ended.

    Once is not enough: inside of its `timeout(0)` the Redis client can swallow a cancellation, and whoever waits for
    the task then waits for ever.
    """
    waiting = {task for task in tasks if not task.done()}
    for _ in range(ROUNDS):
        if not waiting:
            return
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=ROUND_SECONDS)
    _log.warning("Background tasks do not end and are left behind.", tasks=len(waiting))
