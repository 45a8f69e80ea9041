"""What a run is: one start of a flow version, due or by hand, and its account in the ledger.

    queued -> started -> success | partial_success | failure | stopped
    skipped, missed: accounted for, and never begun

A run is active from `queued` until it ends, the waits between tries included. Terminal states never change, but for a
missed run that a repair runs after all.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from core.domain.errors import TooLarge

MOST_PAYLOAD_BYTES = 1024 * 1024
"""Of a start by hand: it is stored with the run, and sent with every try."""


def check_payload(content: bytes) -> None:
    """Raises TooLarge."""
    if len(content) > MOST_PAYLOAD_BYTES:
        raise TooLarge(f"The payload is larger than {MOST_PAYLOAD_BYTES // 1024} kB.")


JSON_TYPE = "application/json"
"""Of a payload that is passed on as JSON; any other is passed on as a text."""

DISPATCH_BATCH = 100
"""Runs handed to one dispatch job. Their requests are made side by side; more would keep the last one waiting."""

RUN_WEEK_DAYS = 7
"""One partition of the ledger. Ninety days are 13 to 14 of them, few enough to look a run up by its id in each."""

LOG_DAYS = 1
"""One partition of the logs."""


class RunStatus(StrEnum):
    QUEUED = "queued"
    STARTED = "started"
    SUCCESS = "success"
    FAILURE = "failure"
    STOPPED = "stopped"
    PARTIAL_SUCCESS = "partial_success"
    SKIPPED = "skipped"
    MISSED = "missed"

    @property
    def active(self) -> bool:
        return self in (RunStatus.QUEUED, RunStatus.STARTED)


STATUS_NUMBERS = {
    RunStatus.STARTED: 1,
    RunStatus.SUCCESS: 2,
    RunStatus.FAILURE: 3,
    RunStatus.STOPPED: 4,
    RunStatus.PARTIAL_SUCCESS: 5,
}
"""What the Patchworks documents call them; the others have no number there."""

REPORTABLE = (RunStatus.SUCCESS, RunStatus.FAILURE, RunStatus.PARTIAL_SUCCESS)
"""How a runner may say that a run ended."""


class Trigger(StrEnum):
    SCHEDULE = "schedule"
    TIMER = "timer"
    """A timer trigger in the content of the deployed version."""
    MANUAL = "manual"
    VIRTUAL_BUTTON = "virtual_button"
    """A virtual button of the content, pressed over Losant's API."""
    RETRY = "retry"
    REPAIR = "repair"
    """A due instant that had been missed."""


class Reason(StrEnum):
    """Why a due instant was not run, and some of why a run ended. Dispatch has further words of its own."""

    OVERLAP = "overlap"
    """An earlier run was still going on."""
    PAUSED = "paused"
    """The schedule was paused."""
    DISABLED = "disabled"
    """The version or its flow was disabled."""
    FIRING_PAUSED = "firing_paused"
    """The whole installation fired nothing."""
    MISSED = "missed"
    """It was later than the schedule's catch-up window when somebody came to run it."""
    NO_RUNNER = "no_runner"
    """Neither the flow nor its company says where its runs go."""
    SCHEDULE_DELETED = "schedule_deleted"
    """It waited for an earlier run to end when its schedule was deleted."""


GAP_REASONS = (Reason.MISSED, Reason.PAUSED, Reason.DISABLED, Reason.FIRING_PAUSED)
"""Why instants in a row can have no run."""


@dataclass(frozen=True, slots=True)
class Run:
    """The record of a run. Times are aware and in UTC.

    `version_*` and `digest` are as they were when the run was claimed. `trigger_key` is of the timer or the button.
    `message_key` names what dispatch sends where no due instant does. `result` is the JSON text of what its runner
    said, `late_result` of what it said after the end; a page of runs comes without them.
    """

    id: int
    company_id: int
    flow_id: int
    flow_version_id: int
    schedule_id: int | None
    scheduled_for: datetime
    trigger: Trigger
    trigger_key: str | None
    status: RunStatus
    reason: str | None
    message: str | None
    buffered: bool
    dst_merged: bool
    version_name: str | None
    version_iteration: int
    version_revision: int
    digest: bytes
    created_at: datetime
    attempts: int
    dispatched_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    message_key: str | None
    retry_of: int | None
    result: str | None = None
    late_result: str | None = None

    @property
    def lateness(self) -> timedelta | None:
        """From the due instant until it was begun, or was given up; None while it waits."""
        until = self.started_at or self.finished_at
        return None if until is None else max(until - self.scheduled_for, timedelta())

    @property
    def duration(self) -> timedelta | None:
        """From the runner's taking it to its end."""
        if self.started_at is None or self.finished_at is None:
            return None
        return self.finished_at - self.started_at


def message_id(schedule_id: int | None, scheduled_for: datetime, message_key: str | None) -> str:
    """The `webhook-id` of a run, the same on every try.

    That of a due run is made from its schedule and instant, so a receiver knows a repeat even from a database that was
    set back to a copy; a run without them has a random key.
    """
    if message_key is not None:
        return f"run_{message_key}"
    assert schedule_id is not None
    return f"due_{schedule_id}_{int(scheduled_for.astimezone(UTC).timestamp())}"
