"""Brings up a server of our own: prepare it, give it a port, wait until it answers."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import Process
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cli.embedded.launch import Launch
from cli.embedded.ports import LOOPBACK, free_port, is_free
from cli.embedded.ward import Ward
from cli.errors import StartError

ANSWER_SECONDS = 120.0
"""After a crash PostgreSQL replays up to 2 GB of log before it answers, on a slow disk in well under two minutes."""

ASKING_SECONDS = 0.02
"""Between two questions whether it answers. A server is up in some 50 ms, so this is what a start can waste."""

TRIES = 5
"""Starts before giving up: somebody may take the chosen port first, and what PostgreSQL left behind when it was
killed takes a moment to go away."""

PAUSE_SECONDS = 0.3


class Server(Protocol):
    """One kind of server, as far as starting it goes. A port is chosen anew for each start of the whole."""

    @property
    def name(self) -> str:
        """Names it in messages and in its pid file."""

    async def prepare(self, ward: Ward) -> None:
        """Makes its folder ready, once per start. Raises StartError if that cannot be."""

    def launch(self, port: int) -> Launch:
        """How to start it on this port."""

    def url(self, port: int) -> str:
        """Where its clients find it, with the password."""

    async def answers(self, port: int) -> bool:
        """Whether it can be used now; false also when somebody else answers on that port."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answered. Starting `launch` again gives the same server on the same port and data."""

    server: Server
    port: int
    launch: Launch
    process: Process

    @property
    def url(self) -> str:
        return self.server.url(self.port)


async def start(server: Server, ward: Ward) -> Running:
    """Raises StartError with the server's last word if it does not come up."""
    await server.prepare(ward)
    for _ in range(TRIES):
        port = free_port()
        launch = server.launch(port)
        process = await ward.spawn(launch)
        if await answered(server, port, process):
            return Running(server, port, launch, process)
        if process.returncode is None:
            process.kill()
            raise StartError(f"{server.name} does not answer within {ANSWER_SECONDS:.0f} s; {last_word(launch.log)}")
        if is_free(LOOPBACK, port):
            await asyncio.sleep(PAUSE_SECONDS)
    raise StartError(f"{server.name} does not start; {last_word(launch.log)}")


async def answered(server: Server, port: int, process: Process) -> bool:
    """Waits until the server answers (true), has ended, or has had its time (both false)."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + ANSWER_SECONDS
    while process.returncode is None and loop.time() < deadline:
        if await server.answers(port) and process.returncode is None:
            return True
        await asyncio.sleep(ASKING_SECONDS)
    return False


def last_word(log: Path | None) -> str:
    """The end of a log, for a message of one line."""
    if log is None:
        return "what it wrote above says why"
    lines = log.read_text(errors="replace").split("\n") if log.exists() else []
    said = next((line.strip() for line in reversed(lines) if line.strip()), "nothing")
    return f"its last word was: {said} (all of it: {log})"
