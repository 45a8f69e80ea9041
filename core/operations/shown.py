"""What operations return of things that a template shows: JSON in UTF-8, ready to be sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import asyncpg


@dataclass(frozen=True, slots=True)
class Shown:
    """One thing, its id and its revision."""

    id: int
    text: bytes
    revision: int

    @classmethod
    def of(cls, row: asyncpg.Record) -> Self:
        return cls(row["id"], row["shown"], row["revision"])


@dataclass(frozen=True, slots=True)
class Page:
    """The things of one page, joined by commas; their ids, in this order; how many are selected in all."""

    items: bytes
    ids: Sequence[int]
    total: int

    @classmethod
    def of(cls, row: asyncpg.Record) -> Self:
        return cls(row["items"], row["ids"] or (), row["total"])
