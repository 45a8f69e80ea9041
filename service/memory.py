"""Gives memory that requests have used back to the system.

The C library keeps what is freed for the next request. After some long lists at once that was 20 MiB, for good.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.beside import beside

EVERY_SECONDS = 5.0
"""How long what nobody uses may stay. Giving it back takes up to 2 ms, or some microseconds when there is nothing; to
give it back with every long list made these four times as dear."""

_M_ARENA_MAX = -8
"""The name of a setting, from glibc's malloc.h."""

_library = ctypes.CDLL(None)
_trim = getattr(_library, "malloc_trim", None)
_set = getattr(_library, "mallopt", None)
"""glibc has them. Other C libraries do not, and some of them need none."""


def share() -> None:
    """Lets all threads take memory from one place. Call it before there are any.

    Of what a thread has for itself the library gives nothing back that lies at the end: the 19 MiB of a password would
    stay with the thread that compares them.
    """
    if _set is not None:
        _set(_M_ARENA_MAX, 1)


def give_back() -> bool:
    """Whether anything was given back."""
    return _trim is not None and bool(_trim(0))


@asynccontextmanager
async def giving_back() -> AsyncIterator[None]:
    """Gives back now, what the imports have left, and then again and again for the life of the context.

    Enter it before anything starts a thread.
    """

    share()
    async with beside(_keep_giving_back()):
        yield


async def _keep_giving_back() -> None:
    while True:
        give_back()
        await asyncio.sleep(EVERY_SECONDS)
