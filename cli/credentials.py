"""`<home>/credentials.env`: how to reach this installation and with which keys, for people and for scripts.

Lines of KEY=VALUE that a shell can source and env files can hold: no value needs quoting.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from cli.embedded.atomic import write_whole

FILE_NAME = "credentials.env"

_KEY = re.compile(r"[A-Z][A-Z0-9_]*", re.ASCII)
_NEEDS_QUOTING = re.compile(r"[\s\"'`\\$&#;|<>()*~]")


def is_plain(value: str) -> bool:
    """Whether the value can stand in the file."""
    return bool(value) and not _NEEDS_QUOTING.search(value)


def read_credentials(home: Path) -> dict[str, str]:
    """What the file says; empty if there is none. Lines that are not KEY=VALUE are passed over."""
    file = home / FILE_NAME
    if not file.exists():
        return {}
    pairs = (line.partition("=") for line in file.read_text().splitlines())
    return {key: value for key, _, value in pairs if value and _KEY.fullmatch(key)}


def write_credentials(home: Path, credentials: Mapping[str, str]) -> Path:
    """Replaces the file in one step, readable by its owner only. Raises ValueError for what a shell would misread."""
    for key, value in credentials.items():
        if not _KEY.fullmatch(key) or not is_plain(value):
            raise ValueError(f"{key} cannot stand in {FILE_NAME} without quoting")
    file = home / FILE_NAME
    write_whole(file, "".join(f"{key}={value}\n" for key, value in credentials.items()).encode())
    return file
