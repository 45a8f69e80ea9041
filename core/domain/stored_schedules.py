"""A schedule as it is stored beside a version: when it is to run, and what to do when it cannot.

When that is due is arithmetic and stands in schedules.py; what becomes of it then, in accounting.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from core.domain.errors import Invalid
from core.domain.schedules import NEVER_YEARS

MOST_SCHEDULES = 100
"""Schedules of one version. One that has to run at more irregular times than these can name wants another kind of
trigger; and a version that is copied, deleted or brought back takes all of them along."""

MOST_CATCHUP_SECONDS = 86_400
"""What is later than a day is another day's work."""

CATCHUP_SECONDS = 600
"""A restart, or the failover of a database, takes less."""

MOST_PAUSE_REASON = 255

UTC_NAME = "UTC"

PREVIEW_DAYS = NEVER_YEARS * 366
"""What a preview looks through at most. What has nothing due in it could not be stored."""


class OverlapPolicy(StrEnum):
    """What becomes of an instant that is due while an earlier run still goes on."""

    SKIP = "skip"
    ALLOW = "allow"
    BUFFER_ONE = "buffer_one"
    """The last of them waits until that run has ended."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything of a schedule that a caller decides.

    `deployed_at` is from when on it counts: None is saved but silent, and it may be ahead. `catchup_window_seconds` is
    how late an instant may still be run.
    """

    cron_string: str
    timezone: str = UTC_NAME
    overlap_policy: OverlapPolicy = OverlapPolicy.SKIP
    catchup_window_seconds: int = CATCHUP_SECONDS
    paused: bool = False
    pause_reason: str | None = None
    deployed_at: datetime | None = None

    def changed(self, given: Mapping[str, Any]) -> Rules:
        """The rules with what is given, by name. A reason goes with its pause.

        Raises Invalid for a reason without a pause.
        """
        found = replace(self, **given)
        if found.paused or found.pause_reason is None:
            return found
        if given.get("pause_reason") is not None:
            raise Invalid("is there only while the schedule is paused", "pause_reason")
        return replace(found, pause_reason=None)

    def differing(self, other: Rules) -> list[str]:
        """The names of what is not the same in both."""
        return [name for name in _NAMES if getattr(self, name) != getattr(other, name)]

    def told(self) -> dict[str, object]:
        """For the audit trail."""
        return {name: getattr(self, name) for name in _NAMES}


_NAMES = (
    "cron_string", "timezone", "overlap_policy", "catchup_window_seconds", "paused", "pause_reason", "deployed_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class StoredSchedule:
    """A schedule of a version as it stands. Times are aware and in UTC."""

    id: int
    flow_id: int
    flow_version_id: int
    rules: Rules
    revision: int
    created_at: datetime
    updated_at: datetime
