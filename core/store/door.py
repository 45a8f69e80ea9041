"""Who may use one of a few connections: first come, first served, and nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections import deque

from core.domain.errors import Unavailable


class Door:
    """Lets `size` in at a time. Whoever comes then waits for at most `seconds`.

    A semaphore with a timeout around it does the same. Under load everybody waits, and a timer for each took longer
    than all the rest of the way to a connection: here one watches whoever has waited longest.
    """

    def __init__(self, size: int, seconds: float) -> None:
        self._free = size
        self._seconds = seconds
        self._waiting: deque[tuple[float, asyncio.Future[None]]] = deque()
        """By when, and what tells them; some have gone in the meantime."""
        self._watching = False

    async def enter(self) -> None:
        """Returns when it is one's turn. Raises Unavailable when it does not come in time."""
        if self._free:
            self._free -= 1
            return
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._waiting.append((loop.time() + self._seconds, turn))
        self._watch(loop)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled() and turn.exception() is None:  # the turn came first, and is another's now
                self.leave()
            raise

    def leave(self) -> None:
        """Lets the next one in."""
        while self._waiting:
            _, turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._waiting and not self._watching:
            self._watching = True
            loop.call_at(self._waiting[0][0], self._refuse, loop)

    def _refuse(self, loop: asyncio.AbstractEventLoop) -> None:
        """Turns away who has waited too long; the times are in the order of the queue."""
        self._watching = False
        now = loop.time()
        while self._waiting and self._waiting[0][0] <= now:
            _, turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(Unavailable("The database is busy; try again."))
        self._watch(loop)
