"""Waiting for something to be true, never for time to pass."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

ASKING_SECONDS = 0.02
"""Between two questions: short beside everything that is measured with it, long enough not to be the load."""


async def until(ask: Callable[[], Awaitable[T | None]], what: str, seconds: float = 20.0) -> T:
    """The first answer that is true; fails, saying what did not happen, when there is none in time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not (answer := await ask()):
        assert loop.time() < deadline, f"not within {seconds:.0f} s: {what}"
        await asyncio.sleep(ASKING_SECONDS)
    return answer


def now() -> float:
    """Seconds of a clock that only goes forward."""
    return asyncio.get_running_loop().time()
