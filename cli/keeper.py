"""Keeps one process running until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from asyncio.subprocess import Process

import structlog

from cli.embedded.launch import Launch
from cli.embedded.ward import Ward
from cli.home import PidFiles
from core.domain.backoff import backoff_seconds

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 5.0
"""Seconds before a dead process is started again: at once for an accident, and no storm if it cannot live."""

SETTLED_SECONDS = 30.0
"""A process that lived this long had started well, so its death is again a first one."""

_log = structlog.get_logger()


class Keeper:
    """Restarts its process after every death, on the same terms, and keeps its pid file true."""

    def __init__(self, launch: Launch, ward: Ward, pids: PidFiles) -> None:
        self._launch = launch
        self._ward = ward
        self._pids = pids
        self._process: Process | None = None
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        return self._launch.name

    def start(self, running: Process | None = None) -> None:
        """Begins to keep it. A server that already runs is taken over as it is."""
        self._task = asyncio.create_task(self._run(running), name=f"keeper of {self.name}")

    async def stop(self, grace: float, hurry: asyncio.Event) -> None:
        """Asks the process to end and kills it after `grace` seconds, or at once when `hurry` is set."""
        if self._task is None:
            return
        self._stopping.set()
        self._send(self._launch.stop_signal)
        hurried = asyncio.create_task(hurry.wait())
        await asyncio.wait({self._task, hurried}, timeout=grace, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        if not self._task.done():
            _log.warning("A process did not end when asked and is killed.", process=self.name)
            self._send(signal.SIGKILL)
        await self._task

    async def _run(self, running: Process | None) -> None:
        loop = asyncio.get_running_loop()
        deaths = 0
        while not self._stopping.is_set():
            started = loop.time()
            code = await self._live(running)
            running = None
            if self._stopping.is_set():
                break
            deaths = 1 if loop.time() - started >= SETTLED_SECONDS else deaths + 1
            pause = backoff_seconds(deaths, 1.0, FIRST_PAUSE, LONGEST_PAUSE)
            _log.warning("A process ended and is started again.", process=self.name, code=code, pause_seconds=pause)
            await self._pause(pause)
        self._pids.remove(self.name)

    async def _live(self, running: Process | None) -> int | None:
        """One life of the process: its exit code (negative: the signal), or None if it could not be started."""
        try:
            self._process = running or await self._ward.spawn(self._launch)
        except OSError as error:
            _log.error("A process cannot be started.", process=self.name, reason=error.strerror)
            return None
        self._note(self._process.pid)
        if self._stopping.is_set():  # asked to stop while it was being started, when there was nothing to ask yet
            self._send(self._launch.stop_signal)
        code = await self._process.wait()
        self._process = None
        return code

    def _note(self, pid: int) -> None:
        try:
            self._pids.write(self.name, pid)
        except OSError as error:  # a full disk must not take the process down with it
            _log.error("A pid file cannot be written.", process=self.name, reason=error.strerror)

    def _send(self, signum: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signum)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return
