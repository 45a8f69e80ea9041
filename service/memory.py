"""Gives memory that requests have used back to the system.

The C library keeps what is freed for the next request. After some long lists at once that was 20 MiB, for good.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

EVERY_SECONDS = 5.0
"""How long what nobody uses may stay. Giving it back takes up to 2 ms, or some microseconds when there is nothing; to
give it back with every long list made these four times as dear."""

_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
"""glibc has it. Other C libraries do not, and some of them need none."""


def give_back() -> bool:
    """Whether anything was given back."""
    return _trim is not None and bool(_trim(0))


@asynccontextmanager
async def giving_back() -> AsyncIterator[None]:
    """Gives back now, what the imports have left, and then again and again for the life of the context."""

    async def run() -> None:
        while True:
            give_back()
            await asyncio.sleep(EVERY_SECONDS)

    task = asyncio.create_task(run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
