"""What a job's handler is given, and how it leaves its job."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from core.clock import Clock
from core.domain.jobs import ClaimedJob
from core.operations.settling import Terms
from core.settings import Settings
from core.store.database import Database
from worker.mail.mailer import Mailer
from worker.outbound import Outbound


class Outcome(StrEnum):
    """How a handler leaves its job."""

    DONE = "done"
    """Nothing is left to do; the runner ends the job."""
    SETTLED = "settled"
    """The job's own last transaction has ended it."""
    YIELDED = "yielded"
    """It is back in the queue, to go on later."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What a handler may use, made once per process."""

    database: Database
    settings: Settings
    terms: Terms
    clock: Clock
    mailer: Mailer | None
    outbound: Outbound
    runners: Outbound
    """The same for runners, which are called so often that connections to them are kept."""
    stopping: asyncio.Event
    """Set when the process is to end: long jobs then give way at their next batch."""
    staged: Callable[[], Awaitable[None]]
    """Tells the relay that something was staged. Never raises."""


Handler = Callable[[ClaimedJob, Tools], Awaitable[Outcome]]
