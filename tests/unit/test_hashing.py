"""Passwords are compared one after the other, off the event loop, and only so many may wait."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.domain.errors import Unavailable
from core.domain.passwords import hash_password
from service.hashing import NICENESS, THREADS, Hashing, open_hashing

PASSWORD = "correct horse battery staple"


async def test_it_judges_as_the_domain_does() -> None:
    with open_hashing() as hashing:
        assert (await hashing.judge(hash_password(PASSWORD), PASSWORD)).right
        assert not (await hashing.judge(hash_password(PASSWORD), "wrong password")).right
        assert not (await hashing.judge(None, PASSWORD)).right


async def test_one_too_many_is_told_to_come_back() -> None:
    """While the thread is busy, as many wait as may, and the next one does not."""
    held = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(held.wait)
        hashing = Hashing(pool, most_waiting=3)
        waiting = [asyncio.create_task(hashing.judge(None, PASSWORD)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="Too many people are logging in"):
            await hashing.judge(None, PASSWORD)
        held.set()
        assert not any(verdict.right for verdict in await asyncio.gather(*waiting))
        assert not (await hashing.judge(None, PASSWORD)).right, "there is room again"


async def test_the_event_loop_turns_while_passwords_are_compared() -> None:
    """Were they compared on it, it could not turn once before they are."""
    with open_hashing() as hashing:
        comparing = asyncio.gather(*(hashing.judge(None, PASSWORD) for _ in range(10)))
        turns = 0
        while not comparing.done():
            await asyncio.sleep(0)
            turns += 1
    assert turns > 100


async def test_its_thread_stands_back() -> None:
    with open_hashing() as hashing:
        await hashing.judge(None, PASSWORD)
        threads = [thread for thread in threading.enumerate() if thread.name.startswith("hashing")]
        assert len(threads) == THREADS
        ours = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        for thread in threads:
            assert thread.native_id is not None
            assert os.getpriority(os.PRIO_PROCESS, thread.native_id) == min(ours + NICENESS, 19)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("hashing")]
