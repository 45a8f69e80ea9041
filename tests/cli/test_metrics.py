"""`penstock admin metrics rebuild`, against a database with runs in it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.domain.identifiers import hex_id
from core.domain.runs import RunStatus
from core.store.database import Database
from tests.cli.test_commands import Program, program
from tests.support.metrics import compare, fold_all, move, run_some
from tests.support.runs import make_runnable
from tests.support.tenants import Tenant

__all__ = ["program"]

pytestmark = pytest.mark.leaves_jobs


async def test_numbers_that_were_wrong_are_right_again(program: Program, tenant: Tenant, database: Database) -> None:
    runnable = await make_runnable(tenant, None)
    await run_some(runnable, RunStatus.SUCCESS, RunStatus.FAILURE)
    await move(database, timedelta(days=2))
    await run_some(runnable, RunStatus.SUCCESS)
    await fold_all(database)
    async with database.connection() as connection:
        first = await connection.fetchval("SELECT min(finished_at)::date FROM runs")
        await connection.execute("UPDATE version_metrics SET count = 7")
    assert len((await compare(database))[1]) > 10
    told = await program.run("admin", "metrics", "rebuild", "--flow", hex_id(runnable.flow.id), "--from", str(first))
    assert told.split() == ["flow", str(runnable.flow.id), "from", str(first), "days", "3", "endings", "3"]
    assert (await compare(database))[1] == []


async def test_what_cannot_be_made_anew_is_said(program: Program) -> None:
    unknown = await program.try_("admin", "metrics", "rebuild", "--flow", "999", "--from", "2026-11-01")
    assert "There is no flow 999." in str(unknown.exception)
    no_day = await program.try_("admin", "metrics", "rebuild", "--flow", "1", "--from", "yesterday")
    assert "does not match the format" in no_day.output
