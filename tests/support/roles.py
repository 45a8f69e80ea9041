"""The roles of Penstock as processes, seen from outside: started, stopped, killed, and what they logged.

None outlives the process that runs the tests, even when that one is killed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import psutil

from cli.embedded.launch import Launch
from cli.embedded.ward import Ward, open_ward
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]

READY = {
    "api": "The API is listening.",
    "worker": "The worker is ready.",
    "scheduler": "The scheduler is ready.",
}
"""What each role logs when it can be used."""

READY_SECONDS = 30.0
"""A role is up in about a second, and in several on a machine that is busy with the next ones."""

END_SECONDS = 15.0
"""What SIGTERM may take: the longest any role gives what is still running, and a margin."""

LOUD = ("error", "critical")


class Role:
    """One process and its log."""

    def __init__(self, name: str, process: Process, log: Path) -> None:
        self.name = name
        self.process = process
        self._log = log
        self._expected: set[str] = set()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process.returncode is None

    async def kill(self) -> None:
        """SIGKILL, and the wait for its end: nothing of it is written any more."""
        self.process.kill()
        await self.process.wait()

    async def freeze(self) -> None:
        """SIGSTOP. Returns when the system has stopped it; its connections stay open."""
        self.process.send_signal(signal.SIGSTOP)

        async def stopped() -> bool:
            return bool(psutil.Process(self.pid).status() == psutil.STATUS_STOPPED)

        await until(stopped, f"{self.name} has stopped")

    def thaw(self) -> None:
        """SIGCONT: it goes on as if no time had passed."""
        self.process.send_signal(signal.SIGCONT)

    async def end(self) -> None:
        """SIGTERM, and the wait for an end in good order."""
        self.process.terminate()
        async with asyncio.timeout(END_SECONDS):
            assert await self.process.wait() == 0, f"{self.name} ended with {self.process.returncode}: {self.tail()}"

    def logged(self) -> list[dict[str, Any]]:
        """Every whole line of its log; one that is no JSON, such as a traceback, counts as an error."""
        lines = self._log.read_bytes().split(b"\n")[:-1]
        return [_parsed(line) for line in lines if line.strip()]

    def of(self, event: str) -> list[dict[str, Any]]:
        return [entry for entry in self.logged() if entry["event"] == event]

    async def said(self, event: str, seconds: float = 20.0, **fields: object) -> dict[str, Any]:
        """Waits for the event with these fields and returns its first entry."""

        async def found() -> dict[str, Any] | None:
            assert self.running, f"{self.name} ended with {self.process.returncode}: {self.tail()}"
            matching = (each for each in self.of(event) if fields.items() <= each.items())
            return next(matching, None)

        return await until(found, f"{self.name} logs {event!r} {fields or ''}", seconds)

    def expect(self, event: str) -> None:
        """Says that this error belongs to the test."""
        self._expected.add(event)

    @property
    def unexpected(self) -> list[dict[str, Any]]:
        return [each for each in self.logged() if each["level"] in LOUD and each["event"] not in self._expected]

    def tail(self) -> str:
        return self._log.read_text(errors="replace")[-2_000:]


class Roles:
    """The processes of one installation. `environment` is the whole of theirs but for PATH."""

    def __init__(self, ward: Ward, folder: Path, environment: Mapping[str, str]) -> None:
        self._ward = ward
        self._folder = folder
        self._environment = {"PATH": os.environ["PATH"], **environment}
        self._all: list[Role] = []

    async def start(self, name: str, **environment: str) -> Role:
        """Starts a role, with `environment` over the common one, and waits until it can be used."""
        role = await self.launch(name, "cli.main", name, **environment)
        await role.said(READY[name], READY_SECONDS)
        return role

    async def start_all(self, *names: str) -> list[Role]:
        return await asyncio.gather(*(self.start(name) for name in names))

    async def launch(self, name: str, module: str, *arguments: str, **environment: str) -> Role:
        """Starts any module as a process, and waits for nothing."""
        log = self._folder / f"{name}-{len(self._all) + 1}.log"
        launch = Launch(
            name=name,
            command=(sys.executable, "-m", module, *arguments),
            environment={**self._environment, **environment},
            folder=ROOT,
            log=log,
        )
        role = Role(name, await self._ward.spawn(launch), log)
        self._all.append(role)
        return role

    async def end(self) -> None:
        """Ends whatever still runs, in good order, and fails if anything logged an error nobody expected."""
        running = [role for role in self._all if role.running]
        for role in running:
            role.thaw()
        await asyncio.gather(*(role.end() for role in running))
        unexpected = {role.name: role.unexpected for role in self._all if role.unexpected}
        assert not unexpected, unexpected


@asynccontextmanager
async def open_roles(folder: Path, environment: Mapping[str, str]) -> AsyncIterator[Roles]:
    """At the end each role is asked to end; one that does not is ended by the ward."""
    async with open_ward() as ward:
        roles = Roles(ward, folder, environment)
        yield roles
        await roles.end()


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        entry: dict[str, Any] = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {"event": line.decode(errors="replace"), "level": "error"}
    return entry
