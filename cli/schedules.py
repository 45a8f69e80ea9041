"""`penstock schedules`: when something would be due, worked out here, without a server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click
from marshmallow import ValidationError
from rich.console import Console
from rich.table import Table

from cli.errors import StartError
from core.domain.errors import Invalid
from core.domain.schedules import Calendar, timetable
from core.domain.stored_schedules import PREVIEW_DAYS, UTC_NAME
from schemas.moments import Moment, parse_moment
from schemas.schedules import ENTRIES, MOST_ENTRIES


@click.group()
def schedules() -> None:
    """Schedules: preview."""


@schedules.command("preview")
@click.argument("cron_string")
@click.option("--tz", "zone_name", default=UTC_NAME, show_default=True, help="A time zone, such as Europe/Berlin.")
@click.option("--from", "start", help="Where to begin, such as 2027-03-28T00:00:00Z; now if left out.")
@click.option("--count", type=click.IntRange(1, MOST_ENTRIES), default=ENTRIES, show_default=True)
def preview(cron_string: str, zone_name: str, start: str | None, count: int) -> None:
    """Show when a cron expression is due, such as '0 3 * * *'."""
    begin = datetime.now(UTC) if start is None else _instant(start)
    try:
        found = timetable(cron_string, zone_name)
    except Invalid as error:
        raise StartError(error.message) from None
    calendar = found.calendar(begin, begin + timedelta(days=PREVIEW_DAYS), count)
    _show(calendar)


def _instant(text: str) -> datetime:
    try:
        Moment().check(text)
    except ValidationError as error:
        raise StartError(f"--from: {error.messages[0]}") from None
    return parse_moment(text)


def _show(calendar: Calendar) -> None:
    table = Table("expression says", "due in UTC", "clocks show", "note", box=None)
    for entry in calendar.entries:
        table.add_row(
            entry.nominal.isoformat(" ", "minutes"),
            entry.instant.strftime("%Y-%m-%d %H:%M"),
            entry.local.isoformat(" ", "minutes"),
            " ".join(entry.warnings),
        )
    console = Console()
    console.print(table)
    of_all = [
        warning for warning in calendar.warnings if not any(warning in entry.warnings for entry in calendar.entries)
    ]
    if of_all:
        console.print(" ".join(of_all))
