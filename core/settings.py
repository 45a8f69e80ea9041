"""The environment, read once into one frozen value. Nothing else in Penstock looks at `os.environ`."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from core.domain.addresses import is_address

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class SettingsError(ValueError):
    """A variable in the environment cannot be used; the message names it and says what would do."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything an operator can decide. Each field names its variable; `.env.example` explains them."""

    database_url: str | None
    """DATABASE_URL: PostgreSQL 15 or newer, directly or through PgBouncer. None: the embedded server."""
    database_direct_url: str | None
    """DATABASE_DIRECT_URL: the same database without a pooler, for LISTEN. None: DATABASE_URL will do."""
    redis_url: str | None
    """REDIS_URL: Redis 6.2+ or Valkey. It only delivers; losing its data loses nothing. None: embedded."""
    smtp_url: str | None
    """SMTP_URL: smtp://user:password@host:port, smtp+starttls://… or smtps://…. None: letters fail, visibly."""
    home: Path
    """PENSTOCK_HOME: data, pid files, credentials and caught mail of the embedded mode."""
    host: str
    """PENSTOCK_HOST: the address the API listens on."""
    port: int
    """PENSTOCK_PORT: the port the API listens on."""
    public_url: str
    """PENSTOCK_PUBLIC_URL: how people reach the API, without a slash at the end; used in links we send out."""
    workers: int
    """PENSTOCK_WORKERS: worker processes that `penstock up` keeps running."""
    undo_days: int
    """PENSTOCK_UNDO_DAYS: how long deleted versions stay in the trash, 0 to 90 days."""
    job_days: int
    """PENSTOCK_JOB_DAYS: how long an ended job can be read before its address answers 410, 2 to 365 days; not less,
    because an Idempotency-Key finds its job for 48 hours."""
    run_days: int
    """PENSTOCK_RUN_DAYS: how long runs are kept, by whole weeks, 14 to 730 days; not less, because a run may go on for
    seven days."""
    run_log_days: int
    """PENSTOCK_RUN_LOG_DAYS: how long what runners logged is kept, by whole days, 1 to 365."""
    metric_5m_days: int
    """PENSTOCK_METRIC_5M_DAYS: how long version metrics of five minutes are kept, 7 to 90 days; not less, because
    what compares versions of the last week reads them."""
    metric_hour_days: int
    """PENSTOCK_METRIC_HOUR_DAYS: how long version metrics of hours are kept, 31 to 730 days."""
    metric_day_days: int
    """PENSTOCK_METRIC_DAY_DAYS: how long version metrics of days are kept, 90 to 3650 days."""
    mail_from: str
    """PENSTOCK_MAIL_FROM: the sender of every letter; its domain is used in Message-IDs."""
    mail_domains: tuple[str, ...]
    """PENSTOCK_MAIL_DOMAINS: the only domains letters may go to, comma separated; empty allows any."""
    mail_daily_cap: int
    """PENSTOCK_MAIL_DAILY_CAP: letters one company may cause in a UTC day."""
    allow_private_targets: bool
    """PENSTOCK_ALLOW_PRIVATE_TARGETS: whether callbacks and runs may reach loopback and private addresses."""
    rate_limit: int
    """PENSTOCK_RATE_LIMIT: requests a minute a company may make under /api/v1, unless it has a limit of its own; 0: any
    number."""
    trusted_proxies: tuple[Network, ...]
    """PENSTOCK_TRUSTED_PROXIES: whose X-Forwarded-For is believed, addresses and networks, comma separated; empty: the
    caller is whoever connects."""
    public_shelf: bool
    """PENSTOCK_PUBLIC_SHELF: whether what is uploaded may be put where every company of this installation sees it."""


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Reads and checks every variable. Raises SettingsError with one line an operator can act on."""
    port = _integer(environment, "PENSTOCK_PORT", 8080, 0, 65535)
    host = environment.get("PENSTOCK_HOST") or "127.0.0.1"
    return Settings(
        database_url=environment.get("DATABASE_URL") or None,
        database_direct_url=environment.get("DATABASE_DIRECT_URL") or None,
        redis_url=environment.get("REDIS_URL") or None,
        smtp_url=environment.get("SMTP_URL") or None,
        home=Path(environment.get("PENSTOCK_HOME") or ".penstock").absolute(),
        host=host,
        port=port,
        public_url=(environment.get("PENSTOCK_PUBLIC_URL") or f"http://127.0.0.1:{port}").rstrip("/"),
        workers=_integer(environment, "PENSTOCK_WORKERS", 1, 1, 64),
        undo_days=_integer(environment, "PENSTOCK_UNDO_DAYS", 7, 0, 90),
        job_days=_integer(environment, "PENSTOCK_JOB_DAYS", 30, 2, 365),
        run_days=_integer(environment, "PENSTOCK_RUN_DAYS", 90, 14, 730),
        run_log_days=_integer(environment, "PENSTOCK_RUN_LOG_DAYS", 7, 1, 365),
        metric_5m_days=_integer(environment, "PENSTOCK_METRIC_5M_DAYS", 14, 7, 90),
        metric_hour_days=_integer(environment, "PENSTOCK_METRIC_HOUR_DAYS", 180, 31, 730),
        metric_day_days=_integer(environment, "PENSTOCK_METRIC_DAY_DAYS", 1_095, 90, 3_650),
        mail_from=_address(environment, "PENSTOCK_MAIL_FROM", "penstock@localhost"),
        mail_domains=_words(environment.get("PENSTOCK_MAIL_DOMAINS", "")),
        mail_daily_cap=_integer(environment, "PENSTOCK_MAIL_DAILY_CAP", 500, 0, 1_000_000),
        allow_private_targets=_boolean(environment, "PENSTOCK_ALLOW_PRIVATE_TARGETS"),
        rate_limit=_integer(environment, "PENSTOCK_RATE_LIMIT", 240, 0, 1_000_000),
        trusted_proxies=_networks(environment, "PENSTOCK_TRUSTED_PROXIES"),
        public_shelf=_boolean(environment, "PENSTOCK_PUBLIC_SHELF"),
    )


def _integer(environment: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        raise SettingsError(f"{name} is {text!r}; set it to a whole number from {low} to {high}.")
    return int(text)


def _boolean(environment: Mapping[str, str], name: str) -> bool:
    text = (environment.get(name) or "0").lower()
    if text not in ("0", "1", "true", "false"):
        raise SettingsError(f"{name} is {text!r}; set it to 1 or 0.")
    return text in ("1", "true")


def _address(environment: Mapping[str, str], name: str, default: str) -> str:
    text = environment.get(name) or default
    if not is_address(text):
        raise SettingsError(f"{name} is {text!r}; set it to a bare address such as penstock@example.com.")
    return text


def _networks(environment: Mapping[str, str], name: str) -> tuple[Network, ...]:
    text = environment.get(name) or ""
    try:
        return tuple(ipaddress.ip_network(word) for word in _words(text))
    except ValueError:
        raise SettingsError(f"{name} is {text!r}; set it to addresses or networks such as 10.0.0.0/8.") from None


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip().lower() for word in text.split(",") if word.strip())
