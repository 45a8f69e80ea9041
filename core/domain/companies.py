"""A company: the tenant, as its own people see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Company:
    """`runner_url` is where its flows run that name no runner of their own; None: nowhere.

    `rate_limit` is how many requests a minute it may make; 0: any number, None: what the installation allows.
    """

    id: int
    name: str
    runner_url: str | None
    rate_limit: int | None
    revision: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class WebhookSecret:
    """What signs requests to a company's receivers and runners. It has no place in a log, so it does not print."""

    id: int
    secret: str = field(repr=False)
    created_at: datetime
