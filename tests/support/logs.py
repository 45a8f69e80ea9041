"""What was logged during a test; an error nobody expected fails it."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog


class Logs:
    """Every structlog event of this process, in order."""

    def __init__(self) -> None:
        self.events: list[MutableMapping[str, Any]] = []
        self._expected: set[str] = set()

    def expect(self, event: str) -> None:
        """Says that this error belongs to the test."""
        self._expected.add(event)

    def of(self, event: str) -> list[MutableMapping[str, Any]]:
        return [entry for entry in self.events if entry["event"] == event]

    @property
    def unexpected(self) -> list[MutableMapping[str, Any]]:
        loud = ("error", "critical", "exception")
        return [entry for entry in self.events if entry["log_level"] in loud and entry["event"] not in self._expected]


@contextmanager
def captured() -> Iterator[Logs]:
    logs = Logs()

    def keep(_: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        logs.events.append({**event, "log_level": method})
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[keep], cache_logger_on_first_use=False)
    try:
        yield logs
    finally:
        structlog.configure(**before)
