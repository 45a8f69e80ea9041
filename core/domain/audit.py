"""The audit trail as it is read: what an event says, and what a reading is narrowed by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.domain.query import EVERYTHING, Combination


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One change, and whose it was. The digests are of the content before and after, None where there was none.

    `actor_id` is None for the command line, `remote` for what nobody asked for over the network.
    """

    id: int
    at: datetime
    actor_type: str
    actor_id: int | None
    remote: str | None
    action: str
    subject_type: str
    subject_id: int
    before_digest: bytes | None
    after_digest: bytes | None
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AuditSelection:
    """The events wanted: those that meet the conditions, from `since` on and before `until`; None is open."""

    conditions: Combination = EVERYTHING
    since: datetime | None = None
    until: datetime | None = None
