"""Runs the stand-in from outside, as an operator would: a process, what it prints, its files, what it leaves behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import psutil

from cli.credentials import read_credentials
from cli.embedded.ports import free_port
from tests.supervisor.stand_in import ANNOUNCEMENT

ROOT = Path(__file__).parents[2]

UP_SECONDS = 30.0
STOP_SECONDS = 15.0

T = TypeVar("T")


async def until(ask: Callable[[], T], seconds: float, what: str) -> T:
    """The first answer that is true; fails when there is none in time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not (answer := ask()):
        assert loop.time() < deadline, f"not within {seconds:.0f} s: {what}"
        await asyncio.sleep(0.02)
    return answer


class Program:
    """One home and port, and the supervisors that were started on them. Every process of theirs carries `mark`."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.port = free_port()
        self.mark = f"PENSTOCK_TEST_MARK={uuid4().hex}"
        self._folder = folder
        self._runs = 0
        self._seen: set[psutil.Process] = set()

    async def start(
        self, *roles: str, environment: Mapping[str, str] | None = None, prefix: tuple[str, ...] = ()
    ) -> Run:
        """Starts a supervisor over these roles. `environment` goes over a bare one that names home and port."""
        self._runs += 1
        output = self._folder / f"run-{self._runs}.log"
        mark, _, value = self.mark.partition("=")
        with output.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                *(*prefix, sys.executable, "-m", "tests.supervisor.stand_in", *roles),
                stdin=DEVNULL,
                stdout=file,
                stderr=file,
                cwd=ROOT,
                env={
                    "PATH": os.environ["PATH"],
                    "PENSTOCK_HOME": str(self.home),
                    "PENSTOCK_PORT": str(self.port),
                    mark: value,
                    **(environment or {}),
                },
            )
        return Run(self, process, output)

    def pid(self, name: str) -> int | None:
        """What the pid file says; None if there is none."""
        file = self.home / "pids" / f"{name}.pid"
        return int(file.read_text()) if file.exists() else None

    def pids(self) -> dict[str, int]:
        return {file.stem: int(file.read_text()) for file in (self.home / "pids").glob("*.pid")}

    def credentials(self) -> dict[str, str]:
        return read_credentials(self.home)

    def notice(self) -> None:
        """Remembers what runs now: PostgreSQL's own children hide the environment they were started with."""
        for process in self._marked():
            self._seen |= {process, *_descendants(process)}

    def left(self) -> list[psutil.Process]:
        """What still runs of all that was ever started here."""
        return sorted(self._marked() | {each for each in self._seen if _runs(each)}, key=lambda each: each.pid)

    def _marked(self) -> set[psutil.Process]:
        return {process for process in psutil.process_iter() if self.mark in _environment(process)}


class Run:
    """One start of the supervisor."""

    def __init__(self, program: Program, process: Process, output: Path) -> None:
        self._program = program
        self.process = process
        self._output = output

    def output(self) -> str:
        return self._output.read_text()

    async def up(self) -> None:
        """Waits for the announcement, which comes last."""
        ended = False

        def announced_or_ended() -> bool:
            nonlocal ended
            ended = self.process.returncode is not None
            return ended or ANNOUNCEMENT in self.output()

        await until(announced_or_ended, UP_SECONDS, f"the announcement; {self.output()}")
        assert not ended, self.output()
        self._program.notice()

    async def ended(self, seconds: float = STOP_SECONDS) -> int:
        """Its exit code."""
        return await asyncio.wait_for(self.process.wait(), seconds)

    async def stop(self, signum: signal.Signals = signal.SIGTERM) -> int:
        self._program.notice()
        self.process.send_signal(signum)
        return await self.ended()

    async def refused(self) -> str:
        """The one line it printed before it ended with exit code 1."""
        assert await self.ended(UP_SECONDS) == 1, self.output()
        lines = self.output().splitlines()
        said = [line for line in lines if line.startswith("penstock: ")]
        assert len(said) == 1, self.output()
        assert "Traceback" not in self.output()
        return said[0]


@asynccontextmanager
async def cleared(program: Program) -> AsyncIterator[Program]:
    """Whatever a test leaves running fails it, and is killed."""
    try:
        yield program
    finally:
        left = program.left()
        for process in left:
            process.kill()
    assert not left, f"left running: {[' '.join(process.cmdline()) for process in left if _runs(process)] or left}"


def _environment(process: psutil.Process) -> list[str]:
    try:
        return [f"{name}={value}" for name, value in process.environ().items()]
    except (psutil.Error, OSError):  # it has just ended, or belongs to somebody else
        return []


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
