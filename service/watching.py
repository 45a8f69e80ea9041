"""Waits for jobs to change, for any number of requests at once, with one small query every tenth of a second."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import structlog

from core.domain.errors import Unavailable
from core.store import jobs
from core.store.database import UNREACHABLE, Database
from service.beside import beside

LOOK_SECONDS = 0.1
"""What a watcher learns a change late by, at most; a person sees no difference."""

MOST_WATCHERS = 1_000
"""Requests of one process that may wait at the same time; each costs a connection and some 30 kB."""

_log = structlog.get_logger()


class Watch:
    """Compares the revisions of watched jobs with those their watchers have seen."""

    def __init__(self, database: Database, most: int = MOST_WATCHERS) -> None:
        self._database = database
        self._most = most
        self._watchers: dict[int, set[_Watcher]] = {}
        self._count = 0
        self._wanted = asyncio.Event()

    async def changed(self, job_id: int, revision: int, seconds: float) -> bool:
        """Returns when the job has another revision than this one, or is gone (true), or time is up (false).

        Raises Unavailable when too many others are waiting.
        """
        self.require_room()
        watcher = _Watcher(revision)
        self._watchers.setdefault(job_id, set()).add(watcher)
        self._count += 1
        self._wanted.set()
        try:
            async with asyncio.timeout(seconds):
                await watcher.event.wait()
        except TimeoutError:
            return False
        finally:
            self._leave(job_id, watcher)
        return True

    def require_room(self) -> None:
        """Raises Unavailable when too many others are waiting."""
        if self._count >= self._most:
            raise Unavailable("Too many requests are waiting for jobs; poll instead.")

    async def run(self) -> None:
        """Looks for ever, but only while somebody watches."""
        reachable = True
        while True:
            await self._wanted.wait()
            try:
                await self._look()
                reachable = True
            except (*UNREACHABLE, Unavailable, asyncpg.PostgresError) as error:
                if reachable:
                    _log.warning("Watched jobs cannot be looked at.", cause=type(error).__name__)
                reachable = False
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        asked = list(self._watchers)
        async with self._database.connection() as connection:
            revisions = await jobs.read_revisions(connection, asked)
        for job_id in asked:  # a job that somebody began to watch meanwhile would pass for one that is gone
            for watcher in self._watchers.get(job_id, ()):
                if revisions.get(job_id) != watcher.revision:
                    watcher.event.set()

    def _leave(self, job_id: int, watcher: _Watcher) -> None:
        self._count -= 1
        self._watchers[job_id].discard(watcher)
        if not self._watchers[job_id]:
            del self._watchers[job_id]
        if not self._watchers:
            self._wanted.clear()


class _Watcher:
    def __init__(self, revision: int) -> None:
        self.revision = revision
        self.event = asyncio.Event()


@asynccontextmanager
async def open_watch(database: Database) -> AsyncIterator[Watch]:
    watch = Watch(database)
    async with beside(watch.run()):
        yield watch
