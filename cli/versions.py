"""`penstock versions`: two versions of a flow beside each other."""

from __future__ import annotations

from datetime import datetime

import click
import orjson

from cli.comparing import show_comparison
from cli.errors import StartError
from cli.showing import ID
from cli.target import operator, with_database
from core.domain.comparison import Comparison
from core.domain.documents import written
from core.operations import comparisons
from core.settings import Settings
from core.store.database import Database
from schemas.comparisons import render_comparison
from schemas.filters import parse_bound


class Instant(click.ParamType[datetime]):
    """An instant as filters of the API take it."""

    name = "instant"

    def convert(self, value: object, param: click.Parameter | None, context: click.Context | None) -> datetime:
        try:
            return parse_bound(str(value))
        except (ValueError, OverflowError):
            self.fail(f"{value} is no instant in ISO 8601 with a zone, such as 2026-11-21T10:00:00Z", param, context)


INSTANT = Instant()


@click.group()
def versions() -> None:
    """Versions: diff."""


@versions.command("diff")
@click.argument("a", type=ID)
@click.argument("b", type=ID)
@click.option("--from", "since", type=INSTANT, help="Compare the runs that ended from then on; default: a week ago.")
@click.option("--to", "until", type=INSTANT, help="Compare the runs that ended before; default: now.")
@click.option("--patch", is_flag=True, help="Print the JSON Patch (RFC 6902) that makes the one of the other instead.")
@click.option("--json", "as_json", is_flag=True, help="Print what the API answers instead.")
def diff(a: int, b: int, since: datetime | None, until: datetime | None, patch: bool, as_json: bool) -> None:
    """Show what differs in version B from version A of the same flow, and in how their runs went."""

    async def work(database: Database, _: Settings) -> Comparison:
        place = await comparisons.find_place(database, a)
        if place is None:
            raise StartError(f"There is no version {a}.")
        company_id, flow_id = place
        asked = (operator(company_id), database, flow_id, (a, b), since, until)
        return await comparisons.compare_versions(*asked)

    found = with_database(work)
    if as_json or patch:
        told = found.patch.operations if patch else render_comparison(found)
        click.echo(orjson.dumps(orjson.loads(written(told)), option=orjson.OPT_INDENT_2).decode())
    else:
        show_comparison(found)
