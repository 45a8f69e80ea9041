"""An installation with servers of its own, whose clock can be set, and a runner that notes what it gets."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.faults.ground import Ground, open_ground
from tests.support.clocks import Clock, migrate_with_clock
from tests.support.runner_process import running_runner
from tests.support.servers import RunningServer, open_folder, running_postgres_server, running_valkey
from tests.support.smtp import SmtpCatcher
from tests.support.tenants import SECRET

RUNNER = Path(__file__).with_name("noting_runner.py")


@dataclass
class Theatre:
    ground: Ground
    postgres: RunningServer
    valkey: RunningServer
    clock: Clock
    runner_url: str
    notes: Path


@asynccontextmanager
async def open_theatre(smtp: SmtpCatcher) -> AsyncIterator[Theatre]:
    async with AsyncExitStack() as stack:
        folders = [stack.enter_context(open_folder()) for _ in range(3)]
        postgres = await stack.enter_async_context(running_postgres_server(folders[0]))
        valkey = await stack.enter_async_context(running_valkey(folders[1]))
        await migrate_with_clock(postgres.url)
        more = {"PENSTOCK_ALLOW_PRIVATE_TARGETS": "1"}
        ground = await stack.enter_async_context(open_ground(postgres.url, valkey.url, smtp, **more))
        await ground.start("api")
        notes = folders[2] / "notes"
        command = (sys.executable, str(RUNNER), "{port}", str(notes), ground.api.url, ground.tenant.key)
        runner_url = await stack.enter_async_context(running_runner(command, SECRET))
        yield Theatre(ground, postgres, valkey, Clock(postgres.url), runner_url, notes)
