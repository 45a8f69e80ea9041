"""Compares passwords in a thread of its own, so that logging in never holds up the requests of others."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from core.domain.errors import Unavailable
from core.domain.passwords import Verdict, judge

THREADS = 1
"""Each takes a whole core and 19 MiB while it hashes. One compares some 30 passwords a second, and whoever has more
people logging in than that has more than one process."""

MOST_WAITING = 100
"""Passwords that may wait for their turn: some three seconds. Whoever comes then is told to come back."""

NICENESS = 10
"""How far the thread stands back where the cores are busy: a login may take longer, an answer may not."""

MOST_NICENESS = 19
"""Nobody can stand back farther."""


class Hashing:
    """The queue in front of the thread."""

    def __init__(self, pool: ThreadPoolExecutor, most_waiting: int = MOST_WAITING) -> None:
        self._pool = pool
        self._most_waiting = most_waiting
        self._waiting = 0

    async def judge(self, stored: str | None, password: str) -> Verdict:
        """As core.domain.passwords.judge. Raises Unavailable when too many wait already."""
        if self._waiting >= self._most_waiting:
            raise Unavailable("Too many people are logging in; try again.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, judge, stored, password)
        finally:
            self._waiting -= 1


@contextmanager
def open_hashing() -> Iterator[Hashing]:
    """At the end what waits is dropped, and what is being compared is waited for, some milliseconds."""
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="hashing", initializer=_stand_back)
    try:
        yield Hashing(pool)
    finally:
        pool.shutdown(cancel_futures=True)


def _stand_back() -> None:
    """Only Linux has a niceness for each thread; elsewhere the whole process would stand back."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, min(os.getpriority(os.PRIO_PROCESS, thread) + NICENESS, MOST_NICENESS))
