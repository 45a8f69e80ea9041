"""A runner in a process of its own, as somebody would start it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from cli.embedded.ports import LOOPBACK, free_port
from tests.support.waiting import until


@asynccontextmanager
async def running_runner(command: Sequence[str], *secrets: str) -> AsyncIterator[str]:
    """Its URL, once it listens. `{port}` in the command is where it has to."""
    port = free_port()
    environment = {"PATH": os.environ["PATH"], "PENSTOCK_WEBHOOK_SECRET": " ".join(secrets), "PORT": str(port)}
    process = await asyncio.create_subprocess_exec(
        *(word.format(port=port) for word in command),
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )

    async def listens() -> bool:
        assert process.returncode is None, "the runner ended"
        try:
            _, writer = await asyncio.open_connection(LOOPBACK, port)
        except ConnectionRefusedError:
            return False
        writer.close()
        await writer.wait_closed()
        return True

    try:
        await until(listens, "the runner listens")
        yield f"http://{LOOPBACK}:{port}/"
    finally:
        process.kill()
        await process.communicate()


def python(file: str) -> Sequence[str]:
    return (sys.executable, file, "{port}")
