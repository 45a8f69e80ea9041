"""A flow's storage: what it keeps between its runs, JSON values by key.

Losant says of it that values are set and deleted one by one, at once and apart from any version, and that null is a
value like any other.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime

from core.domain.errors import Conflict, Invalid

MOST_KEY = 255
"""Characters of a key: Losant's schema."""

MOST_VALUE = 65_536
"""Bytes of a value's JSON as it is sent. Losant documents 16 KB for a value; escaped and spaced as widely as either
official client does, such a one has 48 KB."""

MOST_KEYS = 10_000
"""Keys of one storage: one for each device of a large application."""

MOST_BYTES = 8 * 1024 * 1024
"""Bytes of all keys and values of one storage, which are read at once: as much as a request may send."""

FIRST_KEYS = 10
"""Keys that a deleted part of a storage is shown with."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A key and its value, as JSON text exactly as it was sent. Raises Invalid for a value that is too large."""

    key: str
    value: str

    def __post_init__(self) -> None:
        if len(self.value.encode()) > MOST_VALUE:
            raise Invalid(f"must have at most {MOST_VALUE} bytes as JSON", "value")

    @property
    def size(self) -> int:
        """Bytes that count against MOST_BYTES."""
        return len(self.key.encode()) + len(self.value.encode())

    @property
    def digest(self) -> bytes:
        """SHA-256 of the value's text: unlike a version's digest, not of its canonical form."""
        return hashlib.sha256(self.value.encode()).digest()


@dataclass(frozen=True, slots=True)
class StorageUse:
    """How full a storage is. `revision` 0 is a storage nothing was ever kept in."""

    revision: int
    keys_count: int
    memory_used: int

    def with_more(self, keys: int, size: int) -> StorageUse:
        """The use after so many keys and bytes more, or fewer. Raises Conflict when that is more than it holds."""
        after = replace(self, keys_count=self.keys_count + keys, memory_used=self.memory_used + size)
        if keys > 0 and after.keys_count > MOST_KEYS:
            raise Conflict(f"The storage of a flow holds at most {MOST_KEYS} keys.")
        if size > 0 and after.memory_used > MOST_BYTES:
            raise Conflict(f"The storage of a flow holds at most {MOST_BYTES} bytes of keys and values.")
        return after


@dataclass(frozen=True, slots=True)
class Storage:
    """Everything a flow keeps: a JSON object in order of keys, each value as it was sent."""

    revision: int
    entries: str


@dataclass(frozen=True, slots=True)
class DeletedStorage:
    """What one deletion took out of a storage, kept until `purge_after`; `first_keys` are up to FIRST_KEYS of it."""

    id: int
    reason: str
    first_keys: list[str]
    keys_count: int
    memory_used: int
    deleted_at: datetime
    purge_after: datetime


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restoration did: keys that have their old values again, and how many of them had a newer one."""

    keys_count: int
    replaced: int
