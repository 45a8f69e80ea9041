"""The program `penstock`: a role or a task per command. Each command imports its work only when it runs, so that
every one of them starts as fast as its own parts allow.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from importlib import import_module

import click

from cli.errors import StartError
from cli.logs import configure_logging
from core.settings import Settings, SettingsError, read_settings

Serve = Callable[[Settings], Awaitable[int | None]]
"""The work of a command. What it returns is the exit code; None is 0."""


class Program(click.Group):
    """A group that knows the groups below it by name and imports them when they are asked for."""

    groups = {  # noqa: RUF012 - read only
        "admin": "cli.admin",
        "jobs": "cli.jobs",
        "marketplace": "cli.marketplace",
        "runs": "cli.runs",
        "schedules": "cli.schedules",
        "versions": "cli.versions",
    }

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted([*super().list_commands(context), *self.groups])

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in self.groups:
            return super().get_command(context, name)
        command: click.Command = getattr(import_module(self.groups[name]), name)
        return command


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="penstock")
def penstock() -> None:
    """Release control for flows."""


@penstock.command()
def up() -> None:
    """Run everything on this machine: servers, API, workers, scheduler."""
    from cli.up import up

    run("supervisor", up)


@penstock.command()
def api() -> None:
    """Answer HTTP requests."""
    from service.app import serve

    run("api", serve, fast=True)


@penstock.command()
def worker() -> None:
    """Carry out jobs."""
    from worker.main import serve

    run("worker", serve, fast=True)


@penstock.command()
def scheduler() -> None:
    """Deliver staged jobs to the workers, rescue lost ones, remove what is past its time."""
    from worker.loops import serve

    run("scheduler", serve, fast=True)


@penstock.command()
def migrate() -> None:
    """Bring the database up to date."""
    from cli.migrate import migrate

    run("migrate", migrate)


@penstock.command("mail-catcher", hidden=True)
def mail_catcher() -> None:
    """Keep letters as files, for SMTP_URL."""
    from cli.embedded.mail import serve

    run("mail", serve)


@penstock.command()
def demo() -> None:
    """Watch a bulk delete from beginning to end."""
    from cli.demo import play

    run("demo", play)


def run(role: str, serve: Serve, *, fast: bool = False) -> None:
    """Runs the work to its end and exits with its code; `fast` on uvloop, where there is one."""
    configure_logging(role)
    factory = _uvloop_factory() if fast else None
    with asyncio.Runner(loop_factory=factory) as runner:
        code = runner.run(_call(serve, read_settings()))
    sys.exit(code or 0)


async def _call(serve: Serve, settings: Settings) -> int | None:
    return await serve(settings)


def _uvloop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def main() -> None:
    """The entry point. What an operator can mend is one line on stderr and exit code 1."""
    try:
        penstock()
    except (StartError, SettingsError) as error:
        print(f"penstock: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
