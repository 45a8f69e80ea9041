"""How one process is started and how it is asked to end."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine, by numbers."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Launch:
    """Everything needed to start a process, and to start it again after it died."""

    name: str
    """Names the pid file and the process in messages: `worker-2`."""
    command: tuple[str, ...]
    environment: Mapping[str, str]
    """The whole environment, not an addition to ours."""
    folder: Path | None = None
    """Its working directory; None: ours."""
    log: Path | None = None
    """Where its output is appended; None: it writes to our terminal."""
    account: Account | None = None
    """Who it runs as; None: the user we are."""
    stop_signal: signal.Signals = signal.SIGTERM
    """What asks it to end in good order."""


LARGEST_LOG = 10_000_000
"""Bytes a log may have when its process starts, else it begins anew. A healthy server writes a few lines a day."""


def open_log(path: Path) -> int:
    """A descriptor that appends to the log, readable by us alone: a server quotes names and addresses in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    too_large = path.exists() and path.stat().st_size > LARGEST_LOG
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | (os.O_TRUNC if too_large else 0), 0o600)
