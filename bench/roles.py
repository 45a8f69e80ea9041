"""The real API, scheduler and worker, as processes of their own."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp

from bench.servers import Servers
from cli.embedded.launch import Launch
from cli.embedded.ports import LOOPBACK, free_port
from cli.embedded.starting import last_word

ROLES = ("api", "scheduler", "worker")

READY_SECONDS = 20.0
"""Until the API answers; it takes about half a second."""

STOP_SECONDS = 15.0


@asynccontextmanager
async def running_roles(servers: Servers) -> AsyncIterator[str]:
    """One process a role for the life of the block; yields the API's URL once it is ready.

    Scheduler and worker may still be starting then: send a job through before measuring.
    """
    port = free_port()
    environment = {**servers.environment, "PENSTOCK_HOST": LOOPBACK, "PENSTOCK_PORT": str(port)}
    async with AsyncExitStack() as stack:
        launches = {
            role: Launch(
                role,
                (sys.executable, "-m", "cli.main", role),
                environment,
                log=servers.folder / "logs" / f"{role}.log",
            )
            for role in ROLES
        }
        for launch in launches.values():
            stack.push_async_callback(_stop, await servers.ward.spawn(launch))
        url = f"http://{LOOPBACK}:{port}"
        try:
            async with asyncio.timeout(READY_SECONDS), aiohttp.ClientSession() as session:
                await _ready(session, f"{url}/readyz")
        except TimeoutError:
            raise RuntimeError(f"the API does not get ready; {last_word(launches['api'].log)}") from None
        yield url


async def _ready(session: aiohttp.ClientSession, url: str) -> None:
    while True:
        try:
            async with session.get(url) as answer:
                if answer.status == 200:
                    return
        except aiohttp.ClientConnectionError:
            pass  # not listening yet
        await asyncio.sleep(0.05)


async def _stop(process: Process) -> None:
    if process.returncode is None:
        process.terminate()
    await asyncio.wait_for(process.wait(), STOP_SECONDS)
