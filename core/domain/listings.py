"""What a list of the Patchworks dialect is asked for: values to narrow it by, its order, and which page of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

Values: TypeAlias = Sequence[int] | Sequence[bool] | Sequence[str] | Sequence[datetime]


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of `limit` rows after `offset` others. Every filter must hold, by any one of its values.

    `sorts` are names with whether they are meant downwards, the first to count most; none is the list's own order.
    """

    limit: int
    offset: int
    filters: Mapping[str, Values] = field(default_factory=dict)
    sorts: Sequence[tuple[str, bool]] = ()
