"""How runs reach their runners: what a try can come to, how often one is tried, when a runner is left alone.

A runner is somebody's HTTP endpoint. It may be down, slow, broken or hostile, and none of that may hold up others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlsplit

from core.domain.backoff import backoff_seconds
from core.domain.documents import Json
from core.domain.runs import RunStatus

ANSWER_SECONDS = 10.0
"""What a runner has for its answer. Whoever needs longer answers 202 and reports later: a request that waits holds a
place that other runs could have."""

LARGEST_RUNNER_ANSWER = 1024 * 1024
"""Bytes. A thousand lines of logs of a kilobyte each; what is longer belongs where the runner keeps its own."""

IN_FLIGHT = 64
"""Requests one dispatch job makes at once, to all of its company's runners."""

IN_FLIGHT_PER_RUNNER = 32
"""Requests one dispatch job makes at once to one runner, so that a slow one leaves half of the places to the others."""

MOST_IN_FLIGHT = 4 * IN_FLIGHT
"""Requests one company may have under way, whatever the number of workers: so many dispatch jobs are delivered as can
make them, be they four batches of what was due at once or 256 starts by hand."""

MOST_RUN_TRIES = 10
"""With waits that double from 1 s to 2 min a run is tried for three to six minutes: longer than a runner takes to be
restarted or replaced."""

LONGEST_RUN_WAIT_SECONDS = 120.0

GIVE_UP_SECONDS = 3_600.0
"""A run that no runner took within an hour of its acceptance has failed, however the runner has put it off."""

OPEN_AFTER = 5
"""Failures in a row after which a runner is left alone: more than one deploy of it costs, fewer than one batch."""

FIRST_OPEN_SECONDS = 5.0
LONGEST_OPEN_SECONDS = 60.0
"""Between two looks at a runner that is down; one that comes back has its runs within a minute."""

PROBE_SECONDS = 15.0
"""How long everybody else waits for the one run that looks whether a runner is back: more than an answer may take."""

PAUSED_SECONDS = 5.0
"""Until runs are looked at again while firing is paused: how long they may stay behind when it goes on."""

MOST_METRICS = 100
MOST_LOG_LINES = 1_000
MOST_LOG_CHARACTERS = 8_000
MOST_REPORT_MESSAGE = 1_000


class Cause(StrEnum):
    """Why dispatch ended a run as a failure, or put it off: the words of `reason`, stable for programs."""

    NO_RUNNER = "no_runner"
    """Neither the flow nor its company says where its runs go."""
    VERSION_GONE = "version_gone"
    """What was to be run has been purged."""
    UNSIGNED = "unsigned"
    """The company has no secret that could sign the request."""
    TARGET_REFUSED = "target_refused"
    """The runner's URL leads where requests may not go."""
    UNREACHABLE = "runner_unreachable"
    TIMEOUT = "runner_timeout"
    BUSY = "runner_busy"
    """It answered that it cannot right now: 408, 425, 429 or 5xx."""
    REFUSED = "runner_refused"
    """It answered with a redirect or a refusal that another try cannot mend."""
    BAD_ANSWER = "bad_answer"
    """It said 2xx, and then something that is no report."""
    CIRCUIT_OPEN = "circuit_open"
    """It failed so often in a row that it is left alone for a while."""
    INTERNAL = "internal_error"
    """Something went wrong on our side."""
    FIRING_PAUSED = "firing_paused"
    """The whole installation sends nothing for now."""
    NOT_REPORTED = "not_reported"
    """It took the run and never said what became of it."""
    REPORTED = "reported"
    """It said so itself."""
    STOPPED = "stopped"
    """Somebody asked for its end."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line that a runner told of a run. `at` is by its clock."""

    level: str
    message: str
    at: datetime | None = None
    details: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class KeptLine:
    """A line of a run's log as it is kept."""

    id: int
    received_at: datetime
    logged_at: datetime | None
    level: str
    message: str
    details: str | None
    """JSON text."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a runner says of a run: in its answer, or later."""

    status: RunStatus = RunStatus.SUCCESS
    message: str | None = None
    metrics: Mapping[str, int | float] | None = None
    logs: tuple[LogLine, ...] = ()

    def told(self) -> str:
        """What is kept beside the run, as JSON text; logs are kept elsewhere, and not as long."""
        said = {"status": str(self.status), "message": self.message, "metrics": dict(self.metrics or {})}
        return json.dumps(said, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A run that could be sent now. `runner_url` is None where nobody said where to."""

    id: int
    scheduled_for: datetime
    schedule_id: int | None
    message_key: str | None
    flow_id: int
    flow_version_id: int
    version_name: str | None
    version_iteration: int
    version_revision: int
    digest: bytes
    trigger: str
    created_at: datetime
    age_seconds: float
    runner_url: str | None
    run_timeout_seconds: int
    trigger_key: str | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A run that is to be sent now. `attempt` counts this try; `began_at` is the database's time."""

    id: int
    scheduled_for: datetime
    schedule_id: int | None
    message_id: str
    flow_id: int
    flow_version_id: int
    version: str | None
    iteration: int
    revision: int
    digest: bytes
    trigger: str
    attempt: int
    created_at: datetime
    began_at: datetime
    payload: bytes | None
    payload_type: str | None
    runner_url: str
    run_timeout_seconds: int
    body: str
    """The content of the version as JSON text."""
    trigger_key: str | None = None
    probes: bool = False
    """Whether it is the one run that looks whether a runner is back."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The try that ended its run."""

    run: Outgoing
    status: RunStatus
    reason: Cause | None
    message: str | None
    report: Report | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The runner took the run, and will report."""

    run: Outgoing


@dataclass(frozen=True, slots=True)
class Failed:
    """A try that another may mend. `retry_after` is what the runner asked for, in seconds."""

    run: Outgoing
    reason: Cause
    message: str
    retry_after: float | None = None


Tried = Ended | Accepted | Failed

_NOT_THE_RUNNER = (Cause.TARGET_REFUSED, Cause.UNSIGNED, Cause.INTERNAL)


def is_ill(tried: Tried) -> bool | None:
    """Whether the try speaks against the runner; None for one that never got as far as the runner."""
    if not isinstance(tried, Accepted) and tried.reason in _NOT_THE_RUNNER:
        return None
    return isinstance(tried, Failed)


@dataclass(frozen=True, slots=True)
class PutOff:
    """A run that waits `seconds` for its next try, and why."""

    id: int
    seconds: float
    reason: Cause
    message: str


@dataclass(frozen=True, slots=True)
class Circuit:
    """What is known against a runner: failures in a row, and for how many seconds it is still left alone, none or less
    when somebody may look again."""

    failures: int
    open_seconds: float | None = None

    @property
    def is_open(self) -> bool:
        return self.open_seconds is not None and self.open_seconds > 0

    @property
    def is_suspect(self) -> bool:
        """Whether one run has to look before others follow."""
        return self.failures >= OPEN_AFTER


def runner_of(url: str) -> str:
    """What one runner is to the circuit breaker: the URL without its query, which may differ from flow to flow."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def wait_seconds(failed: Failed, fraction: float) -> float | None:
    """Seconds until the run is tried again; None if that was the last try. `fraction` in [0, 1) spreads the waits."""
    if failed.run.attempt >= MOST_RUN_TRIES:
        return None
    wait = failed.retry_after
    if wait is None:
        wait = backoff_seconds(failed.run.attempt, fraction, longest=LONGEST_RUN_WAIT_SECONDS)
    waited = (failed.run.began_at - failed.run.created_at).total_seconds()
    return wait if waited + wait <= GIVE_UP_SECONDS else None
