"""What fires every minute for a newcomer: a flow that was made as anybody would make one, and its runner."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from yarl import URL

from cli.credentials import write_credentials
from cli.demo_company import ensure_demo_company
from cli.demo_fire import CRON, NAME, RUNNER, ensure_demo_fire, runner_launch
from core.settings import Settings
from core.store.database import Database
from tests.support.api import Api
from tests.support.fires import fire_all
from tests.support.machinery import Machinery
from tests.support.runner_process import python, running_runner


@pytest.fixture
async def home(settings: Settings, database: Database, anonymous: Api, tmp_path: Path) -> Settings:
    """An installation with its demo company, whose API is the test's."""
    credentials = await ensure_demo_company(settings, {})
    write_credentials(tmp_path, credentials)
    url = URL(anonymous.url)
    assert url.host is not None
    assert url.port is not None
    return replace(settings, home=tmp_path, host=url.host, port=url.port)


async def test_a_real_fire_within_a_minute(home: Settings, database: Database, machinery: Machinery) -> None:
    (launch,) = runner_launch(home, {"PATH": "/bin"}, 1)
    secret = launch.environment["PENSTOCK_WEBHOOK_SECRET"]
    async with running_runner(python(str(RUNNER)), secret) as runner_url:
        port = URL(runner_url).port
        assert port is not None
        await asyncio.to_thread(ensure_demo_fire, home, port)
        async with database.connection() as connection:
            await connection.execute("UPDATE schedule_states SET next_due = next_due - interval '1 minute'")
        assert (await fire_all(database)).begun == 1
        assert await machinery.drain() == ["settled"]
    async with database.connection() as connection:
        run = await connection.fetchrow("SELECT trigger, status, reason, message FROM runs ORDER BY scheduled_for")
    assert dict(run or {}) == {"trigger": "schedule", "status": "success", "reason": None, "message": None}


async def test_it_is_made_once_and_follows_its_runner(home: Settings, anonymous: Api) -> None:
    for port in (8_090, 8_090, 8_091):
        await asyncio.to_thread(ensure_demo_fire, home, port)
    key = next(line for line in (home.home / "credentials.env").read_text().splitlines() if "API_KEY" in line)
    api = anonymous.as_(key.partition("=")[2])
    _, flow = (await api.get("/api/v1/flows")).json["data"]
    assert (flow["name"], flow["runner_url"]) == (NAME, "http://127.0.0.1:8091/")
    (deployed,) = (await api.get(f"/api/v1/flows/{flow['id']}/versions?filter[status]=Deployed")).json["data"]
    (schedule,) = (await api.get(f"/api/v1/flow-versions/{deployed['id']}/schedules")).json["data"]
    assert schedule["cron_string"] == CRON


async def test_nothing_fires_where_requests_may_not_come_here(home: Settings, anonymous: Api) -> None:
    careful = replace(home, allow_private_targets=False)
    assert runner_launch(careful, {}, 1) == []
    await asyncio.to_thread(ensure_demo_fire, careful, 1)


async def test_an_api_that_refuses_is_told_of(home: Settings) -> None:
    write_credentials(home.home, {"PENSTOCK_API_KEY": "pnk_nonsense"})
    with pytest.raises(RuntimeError, match="was answered with 401"):
        await asyncio.to_thread(ensure_demo_fire, home, 1)
