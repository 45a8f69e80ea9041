"""What was freed goes back to the system, where the C library does that when asked."""

from __future__ import annotations

import platform
import subprocess
import sys

import psutil
import pytest

from service.memory import give_back, giving_back
from tests.support.waiting import until

MIB = 2**20
FREED = 40 * MIB
BLOCK = 2_000
"""Bytes of a text as lists of versions hold many: too long for Python's own stock of memory."""

_IS_GLIBC = platform.libc_ver()[0] == "glibc"


def resident() -> int:
    held: int = psutil.Process().memory_info().rss
    return held


def litter() -> bytes:
    """Frees FREED bytes below one block that is kept, so that the library cannot give them back by itself."""
    blocks = [bytes(BLOCK) for _ in range(FREED // BLOCK)]
    return blocks[-1]


def test_what_was_freed_goes_back() -> None:
    give_back()
    before = resident()
    kept = litter()
    given = give_back()
    assert given == _IS_GLIBC
    assert not given or resident() < before + FREED / 4
    assert len(kept) == BLOCK


_PROGRAM = """
import sys, threading
import psutil
from core.domain.passwords import judge
from service.memory import give_back, share

if sys.argv[1] == "shared":
    share()

def compare():
    for _ in range(3):
        judge(None, "correct horse battery staple")

def resident():
    give_back()
    return psutil.Process().memory_info().rss

judge(None, "imports what it needs")
before = resident()
thread = threading.Thread(target=compare)
thread.start()
thread.join()
print(resident() - before)
"""


def held_after_passwords(memory: str) -> int:
    """Bytes that a thread leaves behind which has compared passwords, in a process of its own."""
    ended = subprocess.run([sys.executable, "-c", _PROGRAM, memory], capture_output=True, text=True, check=True)
    return int(ended.stdout)


@pytest.mark.parametrize("memory", ["shared", "split"])
def test_what_a_password_took_goes_back(memory: str) -> None:
    """The second is what would be without `share`."""
    stays = memory == "split" and _IS_GLIBC
    assert (held_after_passwords(memory) > 10 * MIB) == stays


async def test_it_goes_back_by_itself() -> None:
    give_back()
    before = resident()
    kept = litter()

    async def is_back() -> bool:
        return not _IS_GLIBC or resident() < before + FREED / 4

    async with giving_back():
        await until(is_back, "what was freed is given back")
    assert len(kept) == BLOCK
