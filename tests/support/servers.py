"""Real servers for tests: the embedded ones, each in a folder of its own and on a port that stays the same.

`PENSTOCK_TEST_SERVERS=system` takes the PostgreSQL and the Valkey or Redis of this machine where it has them, instead
of those out of the wheels. Every server ends with the process that runs the tests, even when that one is killed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from cli.embedded.binaries import Preference
from cli.embedded.postgres import Postgres
from cli.embedded.starting import PAUSE_SECONDS, TRIES, Running, Server, answered, start
from cli.embedded.valkey import Valkey
from cli.embedded.ward import Ward, open_ward

PREFERENCE: Preference = "system" if os.environ.get("PENSTOCK_TEST_SERVERS") == "system" else "wheel"

STOP_SECONDS = 10.0


class RunningServer:
    """A server a test may stop, kill and start again; clients find it at the same `url` each time."""

    def __init__(self, running: Running, ward: Ward) -> None:
        self.url = running.url
        self._running = running
        self._ward = ward
        self.process: Process = running.process

    @property
    def pid(self) -> int:
        return self.process.pid

    async def stop(self) -> None:
        """Ends it as an operator would, and waits until it has."""
        await self._end(self._running.launch.stop_signal)

    async def kill(self) -> None:
        """Ends it as a power cut would, short of losing what the system has not written to its disk yet."""
        await self._end(signal.SIGKILL)

    async def start(self) -> None:
        """Starts it again on the same port and data, and waits until it answers."""
        assert self.process.returncode is not None, "it still runs"
        for _ in range(TRIES):
            self.process = await self._ward.spawn(self._running.launch)
            if await answered(self._running.server, self._running.port, self.process):
                return
            await asyncio.sleep(PAUSE_SECONDS)  # the last sessions of a killed PostgreSQL take a moment to notice
        raise AssertionError(f"{self._running.server.name} does not start again")

    async def _end(self, signum: signal.Signals) -> None:
        if self.process.returncode is None:
            self.process.send_signal(signum)
            await asyncio.wait_for(self.process.wait(), STOP_SECONDS)


@contextmanager
def open_folder() -> Iterator[Path]:
    """A temporary folder that other users can enter. As root, PostgreSQL needs one: it runs as another user."""
    with tempfile.TemporaryDirectory(prefix="penstock-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


@asynccontextmanager
async def running_postgres_server(folder: Path) -> AsyncIterator[RunningServer]:
    """A PostgreSQL that forgets its last writes when the machine, not just the server, goes down."""
    async with _running(Postgres(folder, os.environ, PREFERENCE, durable=False)) as server:
        yield server


@asynccontextmanager
async def running_postgres(folder: Path) -> AsyncIterator[str]:
    """Its DATABASE_URL, for tests that leave the server alone."""
    async with running_postgres_server(folder) as server:
        yield server.url


@asynccontextmanager
async def running_valkey(folder: Path) -> AsyncIterator[RunningServer]:
    async with _running(Valkey(folder, os.environ, PREFERENCE)) as server:
        yield server


@asynccontextmanager
async def _running(server: Server) -> AsyncIterator[RunningServer]:
    async with open_ward() as ward:
        running = RunningServer(await start(server, ward), ward)
        try:
            yield running
        finally:
            await running.stop()
