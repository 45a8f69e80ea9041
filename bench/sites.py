"""HTTP servers as processes of their own: where they are, when they are ready, how much memory they hold."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import psutil

from bench.servers import Servers
from cli.embedded.launch import Launch
from cli.embedded.ports import LOOPBACK, free_port
from cli.embedded.starting import last_word

READY_SECONDS = 20.0
"""Until a server answers; it takes about half a second."""

STOP_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Site:
    """A server that answers on the loopback address."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def resident_mib(self) -> float:
        """Memory of the process that is in RAM now, shared libraries included."""
        resident: int = psutil.Process(self.pid).memory_info().rss
        return resident / 2**20


@asynccontextmanager
async def running_site(servers: Servers, name: str, *command: str) -> AsyncIterator[Site]:
    """`python -m command`, which listens where PENSTOCK_HOST and PENSTOCK_PORT say; ready when the block begins.

    Raises RuntimeError with its last word if it does not get there.
    """
    port = free_port()
    environment = {**servers.environment, "PENSTOCK_HOST": LOOPBACK, "PENSTOCK_PORT": str(port)}
    log = servers.folder / "logs" / f"{name}.log"
    process = await servers.ward.spawn(Launch(name, (sys.executable, "-m", *command), environment, log=log))
    try:
        site = Site(port, process.pid)
        try:
            async with asyncio.timeout(READY_SECONDS), aiohttp.ClientSession() as session:
                await _ready(session, f"{site.url}/readyz", process)
        except (TimeoutError, ChildProcessError):
            raise RuntimeError(f"{name} does not get ready; {last_word(log)}") from None
        yield site
    finally:
        await stop(process)


async def stop(process: Process) -> None:
    """Asks it to end and waits until it has."""
    if process.returncode is None:
        process.terminate()
    await asyncio.wait_for(process.wait(), STOP_SECONDS)


async def _ready(session: aiohttp.ClientSession, url: str, process: Process) -> None:
    while True:
        if process.returncode is not None:
            raise ChildProcessError
        try:
            async with session.get(url) as answer:
                if answer.status == 200:
                    return
        except aiohttp.ClientConnectionError:
            pass  # not listening yet
        await asyncio.sleep(0.05)
