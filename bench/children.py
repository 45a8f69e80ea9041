"""Programs that do one thing when told to, and say what it took.

They talk over their standard streams: the child says "ready", the bench answers "go", the child does its work and says
what it took as one line of JSON. What they log goes to a file.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from bench.servers import Servers
from cli.embedded.launch import open_log
from cli.embedded.starting import last_word

READY_SECONDS = 30.0
"""A Python process with its imports and one connection takes well under a second to be ready."""


@dataclass(frozen=True, slots=True)
class Took:
    """What a child reports."""

    seconds: float
    peak_kib: int | None
    """The most memory it ever had resident; None where the system does not tell."""


class Child:
    """A child that is ready and waits for its word."""

    def __init__(self, process: Process, log: Path) -> None:
        self._process = process
        self._log = log

    async def ready(self) -> None:
        async with asyncio.timeout(READY_SECONDS):
            await self._line()

    async def go(self) -> Took:
        """Raises RuntimeError if the child ends without a result."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")
        await self._process.stdin.drain()
        return Took(**orjson.loads(await self._line()))

    async def _line(self) -> bytes:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a child ended with code {await self._process.wait()}; {last_word(self._log)}")
        return line


async def launch(servers: Servers, module: str, *arguments: str) -> tuple[Process, Path]:
    """`python -m module arguments`, its standard streams in our hands, and the file it logs to."""
    log = servers.folder / "logs" / f"{module}.log"
    errors = open_log(log)
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *arguments),
            stdin=PIPE,
            stdout=PIPE,
            stderr=errors,
            env=servers.environment,
        )
    finally:
        os.close(errors)
    return process, log


@asynccontextmanager
async def open_child(servers: Servers, module: str, *arguments: str) -> AsyncIterator[Child]:
    """`python -m module arguments`, ready for its word. It ends with the block, and by itself when this process has."""
    process, log = await launch(servers, module, *arguments)
    try:
        child = Child(process, log)
        await child.ready()
        yield child
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def obey(work: Callable[[], Awaitable[None]]) -> None:
    """The child's side: waits for the word, works, reports what it took. Ends at once when the bench has gone."""
    print("ready", flush=True)
    if not await asyncio.to_thread(sys.stdin.readline):
        return
    began = time.perf_counter()
    await work()
    print(orjson.dumps(asdict(Took(time.perf_counter() - began, _peak_kib()))).decode(), flush=True)


def _peak_kib() -> int | None:
    """VmHWM. Not getrusage: its figure starts with that of the process we were forked from."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    stated = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(stated.split()[1])
