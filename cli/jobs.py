"""`penstock jobs`: look at jobs of all companies, and set right what got stuck."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.table import Column, Table

from cli.errors import StartError
from cli.target import operator, with_database
from cli.watch import watch
from core.domain.jobs import Job, JobKind, JobStatus
from core.operations import jobs as operations
from core.operations import undo
from core.operations.settling import Terms
from core.settings import Settings
from core.store.database import Database

COLOURS = {
    JobStatus.QUEUED: "yellow",
    JobStatus.IN_PROGRESS: "cyan",
    JobStatus.COMPLETED: "green",
    JobStatus.FAILED: "red",
    JobStatus.ERRORED: "red",
    JobStatus.CANCELLED: "magenta",
}


@click.group()
def jobs() -> None:
    """Jobs: list, show, watch, retry, discard, undo."""


@jobs.command("list")
@click.option("--status", type=click.Choice([str(status) for status in JobStatus]), help="Only these.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
def list_jobs(status: str | None, limit: int) -> None:
    """List the newest jobs of all companies."""

    async def work(database: Database, _: Settings) -> list[Job]:
        return await operations.list_recent_jobs(database, status, limit)

    # Seven columns fit into 80 characters; only the last two may be folded.
    columns = ("job", "kind", "status", "done", "accepted", "error", "company")
    table = Table(*(Column(name, no_wrap=name not in ("error", "company")) for name in columns), box=None)
    for job in with_database(work):
        table.add_row(
            job.public_id,
            job.kind,
            f"[{COLOURS[job.status]}]{job.status}[/]",
            "" if job.total is None else f"{job.done}/{job.total}",
            job.created_at.astimezone(UTC).strftime("%m-%d %H:%M:%S"),
            job.error_code or "",
            str(job.company_id),
        )
    Console().print(table)


@jobs.command("show")
@click.argument("job")
def show_job(job: str) -> None:
    """Tell a job's story."""

    async def work(database: Database, _: Settings) -> Job:
        return await _find(database, job)

    Console().print(story_of(with_database(work)))


@jobs.command("watch")
@click.argument("job")
def watch_job(job: str) -> None:
    """Follow a job to its end and tell its story; the exit code is 0 if it completed, else 1."""
    console = Console()

    async def work(database: Database, _: Settings) -> Job:
        return await watch(database, await _find(database, job), console)

    ended = with_database(work)
    console.print(story_of(ended))
    sys.exit(0 if ended.status is JobStatus.COMPLETED else 1)


@jobs.command("retry")
@click.argument("job")
def retry_job(job: str) -> None:
    """Deliver a waiting job now, or stage a failed one anew."""

    async def work(database: Database, settings: Settings) -> str:
        found = await _find(database, job)
        new_id = Terms.of(settings).new_id()
        return await operations.retry_job(operator(found.company_id), database, found, new_id)

    click.echo(f"staged {with_database(work)}")


@jobs.command("discard")
@click.argument("job")
def discard_job(job: str) -> None:
    """End a job now, wherever it is; what it has done stays done."""

    async def work(database: Database, settings: Settings) -> None:
        found = await _find(database, job)
        await operations.discard_job(operator(found.company_id), database, found, Terms.of(settings))

    with_database(work)
    click.echo(f"discarded {job}")


@jobs.command("undo")
@click.argument("job")
def undo_job(job: str) -> None:
    """Bring back what a deletion removed, as a new job."""

    async def work(database: Database, settings: Settings) -> str:
        found = await _find(database, job)
        new_id = Terms.of(settings).new_id()
        return await undo.accept_undo(operator(found.company_id), database, found, public_id=new_id)

    click.echo(f"staged {with_database(work)}")


def story_of(job: Job) -> Table:
    """A job as a person would want it told."""
    table = Table.grid(padding=(0, 2))
    table.add_row("job", f"{job.public_id}  ({job.kind})")
    table.add_row("status", f"[{COLOURS[job.status]}]{job.status}[/] after {job.attempts} attempts")
    if job.total is not None:
        found, done = ("in the trash", "brought back") if job.kind is JobKind.UNDO_DELETION else ("matched", "removed")
        table.add_row("items", f"{job.total} {found}, {job.removed} {done}, {job.failed} failed")
        for reason, count in sorted(job.reasons.items()):
            table.add_row("", f"{count} {reason}")
    for name, value in sorted((job.outcome or {}).items()):
        table.add_row(name, str(value))
    if job.error_code:
        table.add_row("error", f"{job.error_code}: {job.error_message}")
    table.add_row("accepted", _time(job.created_at))
    table.add_row("started", _time(job.started_at))
    table.add_row("finished", _time(job.finished_at))
    if job.undo_until:
        table.add_row("kept until", _time(job.undo_until))
    for told in job.notifications:
        cause = f" ({told.error_code}: {told.error_message})" if told.error_code else ""
        table.add_row(str(told.kind), f"{told.status}{cause}, job {told.job}")
    return table


async def _find(database: Database, public_id: str) -> Job:
    job = await operations.find_job(database, public_id)
    if job is None:
        raise StartError(f"There is no job {public_id}.")
    return job


def _time(instant: datetime | None) -> str:
    return "" if instant is None else instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"
