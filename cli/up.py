"""`penstock up`: everything Penstock needs, on one machine, started in order, kept running and surely stopped.

    lock the home -> PostgreSQL, Valkey, mail catcher (those not named in the environment) -> migrate
    -> demo company and credentials -> api, workers, scheduler, example runner -> a flow that fires every minute
    -> say where everything is

and on SIGTERM, SIGINT or SIGHUP the other way round. If this process is killed, the warden stops the rest.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path

import structlog

from cli.credentials import FILE_NAME
from cli.demo_fire import NAME, RUNNER, ensure_demo_fire, fires_here, runner_launch, runner_port
from cli.embedded.launch import Launch
from cli.supervisor import Plan, supervise
from core.settings import Settings

_log = structlog.get_logger()


async def up(settings: Settings, environment: Mapping[str, str] = os.environ) -> int:
    """Runs Penstock until asked to stop; returns the exit code. Raises StartError if it cannot start or go on.

    `environment` is what the children inherit, with the home and the addresses of the servers added.
    """
    port = runner_port(settings)

    def roles(settings: Settings, environment: Mapping[str, str]) -> list[Launch]:
        return [*service_roles(settings, environment), *runner_launch(settings, environment, port)]

    async def furnish(settings: Settings) -> None:
        try:
            await asyncio.to_thread(ensure_demo_fire, settings, port)
        except (OSError, HTTPException, RuntimeError) as error:
            _log.warning("The flow that fires every minute could not be made.", cause=str(error))

    return await supervise(settings, environment, Plan(roles, migrate_and_seed, announcement, furnish))


def service_roles(settings: Settings, environment: Mapping[str, str]) -> list[Launch]:
    """One API, one scheduler, PENSTOCK_WORKERS workers; asked to stop in this order."""
    names = ["api", "scheduler", "worker", *(f"worker-{number}" for number in range(2, settings.workers + 1))]
    return [Launch(name, (sys.executable, "-m", "cli.main", name.partition("-")[0]), environment) for name in names]


async def migrate_and_seed(settings: Settings, known: Mapping[str, str]) -> Mapping[str, str]:
    """Brings the database up to date; returns the demo company's keys, those in `known` where they still hold."""
    from cli.demo_company import ensure_demo_company
    from cli.migrate import migrate

    await migrate(settings)
    return await ensure_demo_company(settings, known)


def announcement(settings: Settings) -> str:
    """What to show once the API answers. The commands work when pasted into a shell in the same folder."""
    credentials, mail = (_shown(settings.home / name) for name in (FILE_NAME, "mail"))
    versions = "$PENSTOCK_URL/applications/$PENSTOCK_APPLICATION_ID/flows/$PENSTOCK_FLOW_ID/versions"
    call = """curl -sS -H "Authorization: Bearer $PENSTOCK_LOSANT_TOKEN" -H 'Content-Type: application/json'"""
    body = """'{"query":{"version":"v1"},"email":"you@example.com"}'"""
    letters = f"Letters are caught in {mail}." if settings.smtp_url is None else "Letters go to SMTP_URL."
    fires = f"The flow {NAME!r} fires every minute: {RUNNER.name} says so below." if fires_here(settings) else ""
    return f"""
Penstock is at {settings.public_url}
Its keys are in {credentials}. {letters} Ctrl-C stops everything.
{fires}

Create a version, delete it by a job, read the job:

. {credentials}
{call} -d '{{"version":"v1"}}' "{versions}"
job=$({call} -d {body} "{versions}/delete" | sed 's/.*"jobId": *"\\([^"]*\\)".*/\\1/')
{call} "$PENSTOCK_URL/api/v1/jobs/$job"
"""


def _shown(path: Path) -> str:
    """The path as a person here would type it."""
    here = Path.cwd()
    relative = path.relative_to(here) if path.is_relative_to(here) else path
    return shlex.quote(str(relative))
