"""`penstock up`: everything Penstock needs, on one machine, started in order, kept running and surely stopped.

    lock the home -> PostgreSQL, Valkey, mail catcher (those not named in the environment) -> migrate
    -> demo company and credentials -> api, workers, scheduler -> say where everything is

and on SIGTERM, SIGINT or SIGHUP the other way round. If this process is killed, the warden stops the rest.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from cli.credentials import read_credentials, write_credentials
from cli.embedded.launch import Launch
from cli.embedded.ports import is_free
from cli.embedded.starting import Server, start
from cli.embedded.ward import Ward, open_ward
from cli.errors import StartError
from cli.home import PidFiles, hold_home, open_home
from cli.keeper import Keeper
from core.settings import Settings, read_settings

ROLE_GRACE_SECONDS = 8.0
"""What a role may take to end: a worker finishes or hands back what it holds."""

SERVER_GRACE_SECONDS = 5.0
"""What a server may take to end after the roles have. Together with the warden all is over within 15 s."""

PORT_SECONDS = 1.0
"""How long a taken port is asked again: the sockets of killed processes outlive the lock on the home by a moment."""

HEALTHY_SECONDS = 60.0
"""An API that is not up by then will not be without help."""

ASKING_SECONDS = 0.05

SAME_SIGNAL_SECONDS = 1.0
"""Signals this close are one request: make passes on a SIGTERM that its whole group has received already."""

Prepare = Callable[[Settings, Mapping[str, str]], Awaitable[Mapping[str, str]]]
"""Makes the database ready, given the credentials of earlier starts; returns what the credentials file has to say."""

Roles = Callable[[Settings, Mapping[str, str]], Sequence[Launch]]
"""The processes to run, given the environment they shall have."""

_log = structlog.get_logger()


async def up(settings: Settings, environment: Mapping[str, str] = os.environ) -> int:
    """Runs Penstock until asked to stop; returns the exit code. Raises StartError if it cannot start or go on.

    `environment` is what the children inherit, with the addresses of the servers and the home added.
    """
    return await supervise(settings, environment, service_roles, migrate_and_seed)


def service_roles(settings: Settings, environment: Mapping[str, str]) -> list[Launch]:
    """One API, one scheduler, PENSTOCK_WORKERS workers. They are asked to stop in this order."""
    workers = ["worker", *(f"worker-{number}" for number in range(2, settings.workers + 1))]
    commands = {"api": "api", "scheduler": "scheduler", **dict.fromkeys(workers, "worker")}
    return [
        Launch(name, (sys.executable, "-m", "cli.main", command), environment) for name, command in commands.items()
    ]


async def migrate_and_seed(settings: Settings, known: Mapping[str, str]) -> Mapping[str, str]:
    from cli.demo_company import ensure_demo_company
    from cli.migrate import migrate

    await migrate(settings)
    return await ensure_demo_company(settings, known)


async def supervise(
    settings: Settings, environment: Mapping[str, str], roles: Roles, prepare: Prepare
) -> int:
    """`up` for any set of roles; the one named `api` has to answer /healthz on PENSTOCK_PORT."""
    if settings.port == 0:
        raise StartError("PENSTOCK_PORT is 0, and this command needs a port that others can know; set it to 8080")
    open_home(settings.home)
    try:
        async with hold_home(settings.home, settings.public_url) as lock, stop_requests() as stop:
            await require_port(settings)
            pids = PidFiles(settings.home)
            async with open_ward(lock) as ward:
                supervisor = Supervisor(settings, environment, ward, pids, stop)
                await supervisor.run(roles, prepare)
            pids.clear()
    except PermissionError as error:
        raise StartError(f"{error.filename} belongs to another user; remove it, or name another PENSTOCK_HOME") from None
    return 0
