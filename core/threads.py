"""Work that is too long for the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

INLINE_BYTES = 65_536
"""What is worth a thread: parsing or digesting 64 kB takes about 2 ms, which others on the event loop can bear."""

Result = TypeVar("Result")


async def computed(size: int, work: Callable[[], Result]) -> Result:
    """The result of `work`, done in a thread when it is about more than INLINE_BYTES."""
    return work() if size <= INLINE_BYTES else await asyncio.to_thread(work)
