"""How much a storage may hold, and how that is counted."""

from __future__ import annotations

import hashlib

import pytest

from core.domain.errors import Conflict, Invalid
from core.domain.storage import MOST_BYTES, MOST_KEYS, MOST_VALUE, Entry, StorageUse


@pytest.mark.parametrize(
    ("key", "value", "size"),
    [("a", "1", 2), ("\u00e4", '"\u00e4"', 6), ("\U0001f600", "null", 8), ("k", '{"x": 1.50}', 12)],
)
def test_an_entry_is_counted_in_bytes_as_it_was_sent(key: str, value: str, size: int) -> None:
    entry = Entry(key, value)
    assert entry.size == size
    assert entry.digest == hashlib.sha256(value.encode()).digest()


def test_a_value_has_at_most_so_many_bytes() -> None:
    longest = '"' + "x" * (MOST_VALUE - 2) + '"'
    assert Entry("k", longest).size == MOST_VALUE + 1
    with pytest.raises(Invalid) as caught:
        Entry("k", '"' + "\u00e4" * (MOST_VALUE // 2) + '"')
    assert caught.value.path == "value"


def test_every_value_losant_takes_fits_as_either_client_spells_it() -> None:
    """16 KB of text outside of ASCII, which Python's client escapes."""
    assert 16_384 / 2 * len("\\u00e4") <= MOST_VALUE
    assert 16_384 / 4 * len("\\ud83d\\ude00") <= MOST_VALUE


@pytest.mark.parametrize(
    ("before", "keys", "size", "fits"),
    [
        ((0, 0), 1, 10, True),
        ((MOST_KEYS - 1, 0), 1, 10, True),
        ((MOST_KEYS, 0), 1, 10, False),
        ((MOST_KEYS, 0), 0, 10, True),
        ((1, MOST_BYTES - 10), 1, 10, True),
        ((1, MOST_BYTES - 10), 1, 11, False),
        ((1, MOST_BYTES - 10), 0, 11, False),
        ((1, MOST_BYTES), 0, 0, True),
        ((MOST_KEYS, MOST_BYTES), 0, -5, True),
        ((MOST_KEYS + 5, MOST_BYTES + 5), -1, -5, True),
    ],
)
def test_a_storage_takes_what_fits_and_gives_back_always(
    before: tuple[int, int], keys: int, size: int, fits: bool
) -> None:
    use = StorageUse(3, *before)
    if fits:
        assert use.with_more(keys, size) == StorageUse(3, before[0] + keys, before[1] + size)
    else:
        with pytest.raises(Conflict, match="The storage of a flow holds at most"):
            use.with_more(keys, size)
