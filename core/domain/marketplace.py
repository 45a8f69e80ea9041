"""What lies in the marketplace, and the log of how it got there and what was taken back.

The log is a chain for each company: an entry is canonical JSON that names the hash of the entry before it, and its
bytes are signed. The newest entry is the signed head: who has kept it can tell later whether anything before it was
changed or left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import orjson

from core.domain.canonical import canonical
from core.domain.errors import Invalid
from core.domain.signing import Keys, SecretKey

ENTRY = "penstock.log-entry/1"

MOST_REASON = 2_000


@dataclass(frozen=True, slots=True)
class Item:
    """One artifact in the marketplace as it stands now. `company_id` and `flow_id` say who uploaded it from where."""

    id: int
    company_id: int
    company_name: str
    flow_id: int
    version_id: int
    name: str
    version: str
    description: str | None
    private: bool
    digest: bytes
    size: int
    key_id: str
    uploaded_by_type: str
    uploaded_by_id: int | None
    created_at: datetime
    yanked_at: datetime | None
    yank_reason: str | None
    installed_count: int


class Happening(StrEnum):
    """What the log tells of."""

    UPLOAD = "upload"
    YANK = "yank"


@dataclass(frozen=True, slots=True)
class Deed:
    """What an entry of the log is to say; `reason` is that of a yank."""

    kind: Happening
    company_id: int
    item_id: int
    digest: bytes
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry of a company's log, and the database's time; sequence 0 and no hash before the first."""

    sequence: int
    hash: bytes | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the log. `text` are the signed bytes, `hash` their SHA-256."""

    company_id: int
    sequence: int
    kind: Happening
    item_id: int
    text: bytes
    previous: bytes | None
    hash: bytes
    key_id: str
    signature: bytes


def next_entry(head: Head, deed: Deed, key: SecretKey) -> Entry:
    """What follows on the head of its company's log."""
    text = canonical(
        {
            "at": head.now.isoformat(),
            "company_id": deed.company_id,
            "digest": deed.digest.hex(),
            "format": ENTRY,
            "item_id": deed.item_id,
            "kind": str(deed.kind),
            "previous": None if head.hash is None else head.hash.hex(),
            "reason": deed.reason,
            "sequence": head.sequence + 1,
        }
    )
    return Entry(
        company_id=deed.company_id,
        sequence=head.sequence + 1,
        kind=deed.kind,
        item_id=deed.item_id,
        text=text,
        previous=head.hash,
        hash=hashlib.sha256(text).digest(),
        key_id=key.key_id,
        signature=key.sign(text),
    )


def verify_log(entries: Iterable[Entry], keys: Keys) -> int:
    """How many entries, the oldest first, form a chain from the first one on. Raises Invalid naming the first that does
    not: changed, left out, moved, or signed by nobody known."""
    previous: bytes | None = None
    number = 0
    for number, entry in enumerate(entries, 1):
        place = f"log[{number}]"
        key = keys.get(entry.key_id)
        if key is None or not key.verifies(entry.text, entry.signature):
            raise Invalid("is not signed by a key that is known here", place)
        if hashlib.sha256(entry.text).digest() != entry.hash:
            raise Invalid("has another hash", place)
        said = orjson.loads(entry.text)
        expected = (number, None if previous is None else previous.hex())
        if (said["sequence"], said["previous"]) != expected or entry.previous != previous:
            raise Invalid("does not follow the entry before", place)
        previous = entry.hash
    return number
