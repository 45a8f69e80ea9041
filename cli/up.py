"""`penstock up`: everything Penstock needs, on one machine, started in order, kept running and surely stopped.

    lock the home -> PostgreSQL, Valkey, mail catcher (those not named in the environment) -> migrate
    -> demo company and credentials -> api, workers, scheduler -> say where everything is

and on SIGTERM, SIGINT or SIGHUP the other way round. If this process is killed, the warden stops the rest.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from cli.credentials import FILE_NAME
from cli.embedded.launch import Launch
from cli.supervisor import Plan, supervise
from core.settings import Settings


async def up(settings: Settings, environment: Mapping[str, str] = os.environ) -> int:
    """Runs Penstock until asked to stop; returns the exit code. Raises StartError if it cannot start or go on.

    `environment` is what the children inherit, with the home and the addresses of the servers added.
    """
    return await supervise(settings, environment, Plan(service_roles, migrate_and_seed, announcement))


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
    return f"""
Penstock is at {settings.public_url}
Its keys are in {credentials}. {letters} Ctrl-C stops everything.

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
