"""`penstock runs`: what is fired, as the ledger has it."""

from __future__ import annotations

import time
from datetime import UTC

import click
from asyncpg import Record

from cli.target import with_database
from core.operations.ledger import list_recent_runs

LOOK_SECONDS = 1.0
"""Between two looks while following."""

MOST_LINES = 1_000
"""How many of the newest runs are looked at: what is begun and ends further back is not shown."""


@click.group()
def runs() -> None:
    """Runs: tail."""


@runs.command("tail")
@click.option("--lines", type=click.IntRange(1, MOST_LINES), default=20, show_default=True, help="The last so many.")
@click.option("--follow", "-f", is_flag=True, help="Go on with those that are written from now on.")
def tail(lines: int, follow: bool) -> None:
    """Show the newest runs of all companies, the latest at the end: what was due when, and what became of it."""
    known: dict[int, str] = {}
    for row in _news(known)[-lines:]:
        click.echo(_line(row))
    while follow:
        time.sleep(LOOK_SECONDS)
        for row in _news(known):
            click.echo(_line(row))


def _news(known: dict[int, str]) -> list[Record]:
    """Runs that are new, or stand otherwise than is `known`, the newest last; known is then what was found.

    All of the newest are looked at each time, since ids are taken in another order than runs are committed in.
    """
    found = with_database(lambda database, _: list_recent_runs(database, MOST_LINES))
    news = [row for row in reversed(found) if known.get(row["id"]) != row["status"]]
    known.clear()
    known.update((row["id"], row["status"]) for row in found)
    return news


def _line(row: Record) -> str:
    due = row["scheduled_for"].astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    what = f"schedule {row['schedule_id']}" if row["schedule_id"] else row["trigger"]
    why = f" ({row['reason']})" if row["reason"] else ""
    return f"{due}  run {row['id']}  company {row['company_id']}  flow {row['flow_id']}  {what}  {row['status']}{why}"
