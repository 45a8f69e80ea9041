"""`penstock runs tail`: every run is shown, and shown again when it stands otherwise."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from core.settings import Settings
from tests.support.runs import make_runnable
from tests.support.tenants import Tenant

pytestmark = pytest.mark.leaves_jobs

SHOWN = re.compile(r"run (\d+)  .*  (\w+)(?: \(\w+\))?\n")
PATIENCE_SECONDS = 20.0


class Tail:
    """The command as somebody in front of a terminal has it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def next(self) -> tuple[int, str]:
        """The run and the status that the next line tells of."""
        assert self._process.stdout
        async with asyncio.timeout(PATIENCE_SECONDS):
            line = (await self._process.stdout.readline()).decode()
        shown = SHOWN.search(line)
        assert shown, line
        return int(shown[1]), shown[2]


@asynccontextmanager
async def following(settings: Settings, *words: str) -> AsyncIterator[Tail]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli.main", "runs", "tail", *words),
        env={"PATH": os.environ["PATH"], "DATABASE_URL": str(settings.database_url)},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Tail(process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def test_a_run_is_shown_when_it_is_there_and_when_it_has_ended(tenant: Tenant, settings: Settings) -> None:
    runnable = await make_runnable(tenant, None)
    await runnable.start()
    run = await runnable.start()
    async with following(settings, "--lines", "1", "--follow") as tail:
        assert await tail.next() == (run.id, "queued")
        await runnable.stop(run)
        assert await tail.next() == (run.id, "stopped")


async def test_a_run_that_was_numbered_first_and_committed_last_is_shown(tenant: Tenant, settings: Settings) -> None:
    runnable = await make_runnable(tenant, None)
    async with tenant.database.connection() as connection:
        number = await connection.fetchval("SELECT nextval('runs_id_seq')")
    run = await runnable.start()
    async with following(settings, "--follow") as tail:
        assert await tail.next() == (run.id, "queued")
        async with tenant.database.connection() as connection:
            columns = "company_id, flow_id, flow_version_id, scheduled_for, trigger, status, version_iteration, digest"
            await connection.execute(
                f"INSERT INTO runs (id, version_revision, message_key, {columns}) "
                f"SELECT $1, 1, 'late', {columns} FROM runs WHERE id = $2",
                number,
                run.id,
            )
        assert await tail.next() == (number, "queued")
