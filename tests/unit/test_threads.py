"""What is worth a thread gets one, and nothing else does."""

from __future__ import annotations

import threading

import pytest

from core.domain.errors import Invalid
from core.threads import INLINE_BYTES, computed


async def test_work_on_little_is_done_at_once_and_on_much_beside() -> None:
    here = threading.get_ident()
    assert await computed(INLINE_BYTES, threading.get_ident) == here
    assert await computed(INLINE_BYTES + 1, threading.get_ident) != here


@pytest.mark.parametrize("size", [1, INLINE_BYTES + 1])
async def test_a_refusal_comes_back_from_either(size: int) -> None:
    def refuse() -> None:
        raise Invalid("is wrong", "nodes[0]")

    with pytest.raises(Invalid, match=r"nodes\[0\]: is wrong"):
        await computed(size, refuse)
