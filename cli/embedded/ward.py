"""Processes that end when this one does, however it ends."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from cli.embedded.launch import Launch, open_log

CLOSING_SECONDS = 8.0
"""The warden's patience, and some time for a busy machine."""


class Ward:
    """A process group and the warden that leads it.

    The warden notices our end because a pipe closes, which the kernel does even after SIGKILL. It then ends every
    process started here. It must be the first process of the group, and the group lasts as long as it does.
    """

    def __init__(self, warden: Process, lifeline: int, presence: int) -> None:
        self._warden = warden
        self._lifeline = lifeline
        self._presence = presence

    async def spawn(self, launch: Launch) -> Process:
        """Starts a process in the group, without our standard input and without our descriptors.

        Raises OSError if it cannot be started, also when the warden is no more.
        """
        log = open_log(launch.log) if launch.log else None
        account = launch.account
        try:
            return await asyncio.create_subprocess_exec(
                *launch.command,
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
                env=launch.environment,
                cwd=launch.folder,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
                process_group=self._warden.pid,
                pass_fds=(self._presence,),
            )
        finally:
            if log is not None:
                os.close(log)

    async def lost(self) -> None:
        """Returns if the warden is killed: from then on nothing would end the others after us."""
        await self._warden.wait()

    async def close(self) -> None:
        """Lets the warden end whatever still runs, and returns when it has."""
        os.close(self._presence)
        os.close(self._lifeline)
        await asyncio.wait_for(self._warden.wait(), CLOSING_SECONDS)


@asynccontextmanager
async def open_ward(lock: int | None = None) -> AsyncIterator[Ward]:
    """A ward for one block. The warden keeps the descriptor `lock` open until the last process has ended."""
    ends, lifeline = os.pipe()
    leaves, presence = os.pipe()
    try:
        kept = (ends, leaves) if lock is None else (ends, leaves, lock)
        program = Path(__file__).with_name("warden.py")
        warden = await asyncio.create_subprocess_exec(
            *(sys.executable, "-S", "-E", str(program), str(ends), str(leaves)),
            stdin=DEVNULL,
            stdout=DEVNULL,
            process_group=0,
            pass_fds=kept,
        )
    finally:
        os.close(ends)
        os.close(leaves)
    ward = Ward(warden, lifeline, presence)
    try:
        yield ward
    finally:
        await ward.close()
