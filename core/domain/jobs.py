"""What a job is: its kinds, its states, the arrows between them, and the numbers that bound it.

    queued -> in_progress -> completed | failed | errored | cancelled

`completed` ran to its end, even if some items could not be removed. `failed` gave up having changed nothing;
`errored` gave up after changing something, and its result says what. A terminal state never changes.
A worker that yields or fails for the moment puts the job back to `queued`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class JobStatus(StrEnum):
    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    ERRORED = "errored"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        return self not in (JobStatus.QUEUED, JobStatus.IN_PROGRESS)


class JobKind(StrEnum):
    DELETE_VERSIONS = "delete_versions"
    DELETE_FLOW = "delete_flow"
    UNDO_DELETION = "undo_deletion"
    SEND_MAIL = "send_mail"
    POST_CALLBACK = "post_callback"
    UPLOAD_VERSION = "upload_version"
    INSTALL_ITEM = "install_item"
    DISPATCH_RUNS = "dispatch_runs"
    STOP_RUN = "stop_run"

    @property
    def queue(self) -> str:
        return _QUEUES[self]


_QUEUES = {
    JobKind.DELETE_VERSIONS: "bulk",
    JobKind.DELETE_FLOW: "bulk",
    JobKind.UNDO_DELETION: "bulk",
    JobKind.SEND_MAIL: "outbound",
    JobKind.POST_CALLBACK: "outbound",
    JobKind.UPLOAD_VERSION: "market",
    JobKind.INSTALL_ITEM: "market",
    JobKind.DISPATCH_RUNS: "dispatch",
    JobKind.STOP_RUN: "outbound",
}

QUEUES = ("bulk", "outbound", "market", "dispatch")
"""One arq queue each, so that a slow receiver of letters never holds up a delete, nor a delete what takes a moment, nor
a slow runner a letter."""

NOTIFICATION_KINDS = (JobKind.SEND_MAIL, JobKind.POST_CALLBACK)
"""Jobs that tell somebody how another job ended."""

DELETION_KINDS = (JobKind.DELETE_VERSIONS, JobKind.DELETE_FLOW)
"""Jobs that move versions to the trash and account for each."""

ITEM_KINDS = (*DELETION_KINDS, JobKind.UNDO_DELETION)
"""Jobs about many items, each of which is accounted for."""

STAGED_CHANNEL = "penstock:staged"
"""The Redis channel that tells the relay something was staged. Only a hint: the relay also looks by itself."""

CHUNK_SIZE = 5_000
"""Versions in one stored chunk of an accepted set; also the most one batch can take. 5,000 pairs are 60 kB."""

LEASE_SECONDS = 15.0
"""How long a claimed job may go without a transaction. The rescuer looks every 2 s: recovery takes 17 s and a bit."""

SLICE_SECONDS = 20.0
"""A bulk job gives way to others after this long and stages itself again."""

BATCH_SECONDS = 0.03
"""What a batch should take. Its locks are held that long, so others' writes wait no longer; DESIGN allows 50 ms."""

FIRST_BATCH = 1_000
"""Where a slice begins before it knows how fast this database is."""

LEAST_BATCH = 50
"""Below this the transaction costs more than the rows."""

MOST_FAILURES = 12
"""Tries without progress before a job gives up. With waits that double from 1 s to 15 min this spans 16 to 32
minutes, so a restart of the mail server is survived and a wrong address is not tried for ever."""


MARKET_KINDS = (JobKind.UPLOAD_VERSION, JobKind.INSTALL_ITEM)
"""Jobs that bring one thing into the marketplace or out of it; their outcome says which."""

SHOWN_KINDS = (*ITEM_KINDS, *MARKET_KINDS)
"""What lists of jobs show unless asked for others: what somebody has asked for."""


class Reason(StrEnum):
    """Why an item was not done: a matched version not removed, a deleted one not brought back."""

    PROTECTED = "protected"
    """It is Deployed, or about to be."""
    CHANGED_SINCE = "changed_since"
    """Its revision moved after the request was accepted."""
    GONE = "gone"
    """Somebody else removed it first."""
    NAME_TAKEN = "name_taken"
    """An undo found its name in use; it stays in the trash as long as it would have."""
    FLOW_GONE = "flow_gone"
    """An undo found no flow to bring it back to."""
    NOT_ATTEMPTED = "not_attempted"
    """The job was cancelled or gave up before reaching it."""


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job one worker holds for one attempt. It carries no progress: that is read from the row in each transaction."""

    id: int
    public_id: str
    company_id: int
    kind: JobKind
    attempt: int
    failures: int
    arguments: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class FailedItem:
    """One matched version that was not removed. `name` is None when nothing is left to read it from."""

    version_id: int
    name: str | None
    reason: Reason


class Outcome(StrEnum):
    """What became of one item of a job."""

    PENDING = "pending"
    REMOVED = "removed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class JobItem:
    """One item of a deletion's set. `name` is None when nothing is left to read it from."""

    version_id: int
    name: str | None
    outcome: Outcome
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class Notification:
    """How telling somebody about a job is going: the letter or callback it staged when it ended."""

    kind: JobKind
    job: str
    target: str
    status: JobStatus
    attempts: int
    error_code: str | None
    error_message: str | None


@dataclass(frozen=True, slots=True)
class Job:
    """The whole record of a job, as every surface reads it. Times are aware and in UTC."""

    id: int
    public_id: str
    company_id: int
    application_id: int | None
    flow_id: int | None
    kind: JobKind
    status: JobStatus
    attempts: int
    revision: int
    """Rises with every change of the row; the id of its events."""
    total: int | None
    """Items to do, fixed at acceptance; None for jobs that are not about items."""
    position: int
    """Items looked at so far."""
    removed: int
    failed: int
    reasons: Mapping[str, int]
    error_code: str | None
    error_message: str | None
    requested_by_type: str
    requested_by_id: int | None
    arguments: Mapping[str, object]
    cancel_requested: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    undo_until: datetime | None
    outcome: Mapping[str, object] | None = None
    """What a job that is not about many items has come to."""
    notifications: tuple[Notification, ...] = field(default=())

    @property
    def done(self) -> int:
        return self.removed + self.failed


@dataclass(frozen=True, slots=True)
class JobStory:
    """What a letter or a callback tells about an ended job. `query` is the JSON text the caller sent."""

    job: Job
    company_name: str
    flow_name: str | None
    query: str | None
    failures: tuple[FailedItem, ...]
    """The first failures in id order, at most `STORY_FAILURES`."""


STORY_FAILURES = 20
"""Failed versions named in a letter: enough to see a pattern, few enough to read. The rest are counted."""


class JobFailure(Exception):
    """A job cannot go on. `code` is a stable word for programs, `message` a sentence for people."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(f"{code}: {message}")


class PermanentFailure(JobFailure):
    """Trying again cannot help: a refused address, a forbidden target."""


class TransientFailure(JobFailure):
    """Trying again may help. `retry_after` is the seconds the other side asked for, if it did."""

    def __init__(self, code: str, message: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(code, message)


def next_batch_size(items: int, seconds: float) -> int:
    """How many items the next batch should have, after one of `items` took `seconds`.

    Aims at BATCH_SECONDS, and at most doubles, so that one lucky batch does not make the next one hold its locks long.
    """
    if seconds <= 0 or items == 0:
        return FIRST_BATCH
    fitting = int(items * BATCH_SECONDS / seconds)
    return max(LEAST_BATCH, min(fitting, 2 * items, CHUNK_SIZE))
