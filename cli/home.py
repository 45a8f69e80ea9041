"""The home, a folder that one `penstock up` works in at a time: its lock, and who runs in it."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from cli.embedded.atomic import write_whole
from cli.errors import StartError

RELEASE_SECONDS = 15.0
"""What is left of a killed supervisor is gone within the 5 s its warden allows; the rest is for a busy machine."""

ASKING_SECONDS = 0.05


def open_home(home: Path) -> None:
    """Makes the folder. Raises StartError if we cannot work in it."""
    try:
        # PostgreSQL runs as another user when we are root, and has to pass through to its own folder.
        home.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
        writable = os.access(home, os.W_OK | os.X_OK)
    except OSError:
        writable = False
    if not writable:
        raise StartError(
            f"{home} cannot be written by this user (uid {os.geteuid()}); mend its owner or mode, or name another "
            "folder in PENSTOCK_HOME"
        )


@asynccontextmanager
async def hold_home(home: Path, url: str) -> AsyncIterator[int]:
    """Keeps every other supervisor out of the home for one block. Yields the lock's descriptor, for the warden.

    The lock is free when every copy of that descriptor is closed. If its supervisor was killed, that is once the
    warden has ended the last process; we wait for it. If it is alive, StartError says who and where it is.
    """
    lock = os.open(home / "supervisor.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        await _acquire(lock, home)
        os.truncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()} {url}".encode(), 0)
        yield lock
    finally:
        os.close(lock)


async def _acquire(lock: int, home: Path) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + RELEASE_SECONDS
    while loop.time() < deadline:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid, _, url = os.pread(lock, 1000, 0).decode().partition(" ")
            if pid and _is_alive(int(pid)):
                raise StartError(
                    f"already running in {home} (pid {pid}, {url}); stop that one first, or start another with "
                    "PENSTOCK_HOME and PENSTOCK_PORT"
                ) from None
            await asyncio.sleep(ASKING_SECONDS)
        else:
            return
    raise StartError(f"what was left running in {home} has not ended within {RELEASE_SECONDS:.0f} s; try again")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class PidFiles:
    """`<home>/pids/<name>.pid`, for operators: true while the process runs, gone once it has ended for good."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "pids"
        self._folder.mkdir(mode=0o755, exist_ok=True)
        self.clear()

    def write(self, name: str, pid: int) -> None:
        write_whole(self._file(name), f"{pid}\n".encode(), 0o644)

    def remove(self, name: str) -> None:
        self._file(name).unlink(missing_ok=True)

    def clear(self) -> None:
        for file in self._folder.glob("*.pid"):
            file.unlink()

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.pid"
