"""`penstock admin metrics`: the numbers of versions, made anew from the ledger."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from cli.errors import StartError
from cli.showing import ID, say
from cli.target import operator, with_database
from core.operations.rollup import Rebuilt, find_flow_company, rebuild_metrics
from core.settings import Settings
from core.store.database import Database


@click.group()
def metrics() -> None:
    """Version metrics."""


@metrics.command("rebuild")
@click.option("--flow", "flow_id", type=ID, required=True, help="The flow's id.")
@click.option(
    "--from", "start", type=click.DateTime(["%Y-%m-%d"]), required=True, help="The first day, in UTC: 2026-11-21."
)
def rebuild(flow_id: int, start: datetime) -> None:
    """Make the numbers of a flow anew from the ledger, from a day on until now.

    Everything else may go on meanwhile; other numbers are up to date again when it is over.
    """

    async def work(database: Database, _: Settings) -> Rebuilt:
        company_id = await find_flow_company(database, flow_id)
        if company_id is None:
            raise StartError(f"There is no flow {flow_id}.")
        return await rebuild_metrics(operator(company_id), database, flow_id, start.replace(tzinfo=UTC))

    done = with_database(work)
    say({"flow": flow_id, "from": done.start.date(), "days": done.days, "endings": done.endings})
