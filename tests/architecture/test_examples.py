"""What the documents show can be pasted: commands, queries, code, answers."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography.exceptions import InvalidSignature

from cli.credentials import write_credentials
from core.domain.access import Role
from core.domain.artifacts import split
from core.domain.identifiers import hex_id
from core.operations import people
from core.operations.schedules import create_schedule
from core.settings import Settings
from core.store.database import Database
from tests.architecture.documents import ROOT, blocks, read
from tests.support.api import Api
from tests.support.comparisons import pair
from tests.support.fires import fire_all, make_live
from tests.support.machinery import Machinery
from tests.support.market import make_item, open_shop
from tests.support.metrics import end, fold_all
from tests.support.runner_process import python, running_runner, try_runner
from tests.support.runs import Runnable
from tests.support.smtp import SmtpCatcher
from tests.support.tenants import SECRET, Tenant
from worker.deployer import Deployer
from worker.ending import end_tasks
from worker.loops import run_deployer
from worker.wakeup import Wakeup
from worker.webhooks import sign

PASTE_SECONDS = 60.0
"""Dozens of requests of curl and some commands, each a process of its own."""


@pytest.mark.needs_tools
async def test_the_commands_of_the_readme(
    api: Api, tenant: Tenant, machinery: Machinery, smtp: SmtpCatcher, tmp_path: Path
) -> None:
    flow = await tenant.make_flow()
    home = tmp_path / ".penstock"
    (home / "mail").mkdir(parents=True)
    write_credentials(
        home,
        {
            "PENSTOCK_URL": api.url,
            "PENSTOCK_LOSANT_TOKEN": tenant.token,
            "PENSTOCK_APPLICATION_ID": tenant.application,
            "PENSTOCK_FLOW_ID": hex_id(flow.id),
        },
    )
    commands, _ = blocks(read("README.md"), "sh")

    printed = await _paste(commands, tmp_path)

    answers = [orjson.loads(line) for line in printed.splitlines() if line.startswith("{")]
    assert not [answer for answer in answers if "type" in answer], "one of them was refused"
    created, [accepted, jobs, _] = answers[:3], answers[4:]
    assert [version["version"] for version in created] == ["nightly-1", "nightly-2", "release-1"]
    assert [version["version"] for version in answers[3]["items"]] == ["nightly-1", "nightly-2", "release-1"]
    assert [job["id"] for job in jobs["data"]] == [accepted["jobId"]]
    await machinery.drain()
    assert await tenant.names(flow) == ["release-1"]
    assert [letter.recipients for letter in smtp.letters] == [("you@example.com",)]


@pytest.mark.leaves_jobs
@pytest.mark.needs_tools
async def test_the_questions_of_the_readme_about_a_schedule(api: Api, tenant: Tenant, tmp_path: Path) -> None:
    live = await make_live(tenant)
    await live.fall_behind(timedelta(hours=1))
    await fire_all(tenant.database)
    home = tmp_path / ".penstock"
    home.mkdir()
    write_credentials(home, {"PENSTOCK_URL": api.url, "PENSTOCK_API_KEY": tenant.key})
    _, commands = blocks(read("README.md"), "sh")

    runs, calendar, gaps = (orjson.loads(line) for line in (await _paste(commands, tmp_path)).splitlines())

    assert {run["schedule_id"] for run in runs["data"]} == {live.schedule.id}
    assert len(calendar["data"]) == 5
    assert [gap["schedule_id"] for gap in gaps["data"]] == [live.schedule.id]


@pytest.mark.leaves_jobs
@pytest.mark.needs_tools
async def test_the_life_of_a_version_by_curl(anonymous: Api, tenant: Tenant, tmp_path: Path) -> None:
    """Beside a deployer, as the scheduler has one; and with a key that opens nothing, it says so."""
    script = (ROOT / "examples" / "patchworks.sh").read_text()
    home = tmp_path / ".penstock"
    home.mkdir()
    email, password = "administrator@example.com", "correct-horse-battery-staple"
    role = Role.ADMINISTRATOR
    await people.create_user(
        tenant.principal, tenant.database, email=email, name="Somebody", role=role, password=password
    )
    known = {
        "PENSTOCK_URL": anonymous.url,
        "PENSTOCK_API_KEY": tenant.key,
        "PENSTOCK_ADMIN_EMAIL": email,
        "PENSTOCK_ADMIN_PASSWORD": password,
    }
    write_credentials(home, known)
    deployer = asyncio.create_task(run_deployer(Deployer(tenant.database)))
    try:
        assert (await _paste(script, tmp_path)).endswith("Everything was as it should be.\n")
    finally:
        await end_tasks([deployer])
    write_credentials(home, {**known, "PENSTOCK_API_KEY": "pnk_nonsense"})
    with pytest.raises(AssertionError, match="answered 401 instead of 200"):
        await _paste(script, tmp_path)


@pytest.mark.needs_tools
async def test_the_way_through_the_marketplace_by_curl(
    anonymous: Api, tenant: Tenant, machinery: Machinery, settings: Settings, tmp_path: Path
) -> None:
    """Beside a worker; with the program in PATH, as in an environment that is active."""
    script = (ROOT / "examples" / "marketplace.sh").read_text()
    home = tmp_path / ".penstock"
    home.mkdir()
    write_credentials(home, {"PENSTOCK_URL": anonymous.url, "PENSTOCK_DATABASE_URL": str(settings.database_url)})

    async def work() -> None:
        while True:
            await machinery.drain()
            await Wakeup().wait(0.05)

    worker = asyncio.create_task(work())
    try:
        printed = await _paste(script, tmp_path)
    finally:
        await end_tasks([worker])
    assert printed.endswith("Everything was as it should be.\n")


async def _paste(commands: str, folder: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        *("sh", "-e", "-u", "-c", commands),
        cwd=folder,
        env={"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PASTE_SECONDS):
        printed, complaints = await process.communicate()
    assert process.returncode == 0, complaints.decode()
    return printed.decode()


RUNNERS = ["the example", "the Python of the document"]


@pytest.mark.parametrize("which", RUNNERS)
async def test_a_runner_from_the_documents_runs(
    which: str, tenant: Tenant, machinery: Machinery, tmp_path: Path
) -> None:
    """It is trusted with what we sign alone, does a run once, and hears of a stop."""
    file = ROOT / "examples" / "runner.py"
    if which != RUNNERS[0]:
        [code] = blocks(read("docs/schedules.md"), "python")
        file = tmp_path / "runner.py"
        file.write_text(code)
    async with running_runner(python(str(file)), SECRET) as url:
        await try_runner(url, tenant, machinery)


async def test_the_job_document(api: Api, tenant: Tenant, machinery: Machinery) -> None:
    """An example with the same keys, at every depth, as the answer to the request it describes."""
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 2)
    await tenant.deploy(flow, await tenant.make_version(flow, "kept"))
    job = await tenant.ask_deletion(flow, email="you@example.com")
    await machinery.drain()

    example, _ = (orjson.loads(block) for block in blocks(read("docs/api-native.md"), "json"))

    assert _keys(example) == _keys((await api.get(f"/api/v1/jobs/{job}")).json)


async def test_the_page_of_jobs(api: Api) -> None:
    _, example = (orjson.loads(block) for block in blocks(read("docs/api-native.md"), "json"))
    assert _keys(example) == _keys((await api.get("/api/v1/jobs")).json)


@pytest.mark.leaves_jobs
async def test_the_comparison_of_versions(api: Api, tenant: Tenant) -> None:
    (example,) = (orjson.loads(block) for block in blocks(read("docs/comparing.md"), "json"))
    path, one, other = await pair(tenant)
    await create_schedule(tenant.principal, tenant.database, other.id, {"cron_string": "0 3 * * *"})
    runnable = Runnable(tenant, await tenant.read_flow(one.flow_id), one)
    for version in (one, other):
        await end(runnable, await runnable.start(version_id=version.id), took=timedelta(seconds=1))
    await fold_all(tenant.database)
    assert _keys(example) == _keys((await api.get(path)).json)


async def test_the_preview_of_a_schedule(api: Api) -> None:
    """To the last letter: it is arithmetic."""
    (example,) = (orjson.loads(block) for block in blocks(read("docs/schedules.md"), "json"))
    asked = {"cron_string": "30 2 * * *", "timezone": "Europe/Berlin", "from": "2027-03-27T12:00:00Z", "count": 1}
    assert (await api.post("/api/v1/schedules/preview", asked)).json == example


def _keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _keys(entry) for key, entry in value.items()}
    return [_keys(entry) for entry in value] if isinstance(value, list) else None


async def test_the_queries_of_the_operators(database: Database) -> None:
    queries = blocks(read("docs/operations.md"), "sql")
    assert queries
    async with database.connection() as connection:
        for query in queries:
            assert await connection.fetchval(query) == 0, "nothing waits in an empty database"


def test_the_verification_of_a_callback() -> None:
    [code] = blocks(read("docs/api-native.md"), "python")
    names: dict[str, Any] = {}
    exec(code, names)
    is_ours = names["is_ours"]
    body = b'{"type":"job.finished"}'
    other = "whsec_" + "QUJD" * 10

    headers = sign("msg_1", datetime.now(UTC), body, [other, SECRET])

    assert is_ours(headers, body, SECRET)
    assert not is_ours(headers, body + b" ", SECRET)
    assert not is_ours(_with(headers, "webhook-id", "msg_2"), body, SECRET)
    assert not is_ours(sign("msg_1", datetime(2026, 1, 1, tzinfo=UTC), body, [SECRET]), body, SECRET)


def _with(headers: Mapping[str, str], name: str, value: str) -> dict[str, str]:
    return {**headers, name: value}


async def test_the_verification_of_an_artifact(anonymous: Api, tenant: Tenant) -> None:
    """By what the document says alone."""
    [code] = blocks(read("docs/marketplace.md"), "python")
    names: dict[str, Any] = {}
    exec(code, names)
    verify = names["verify"]
    shop = await open_shop(anonymous, tenant)
    item_id = await make_item(tenant)
    file = (await shop.artifact(item_id)).raw
    keys = (await anonymous.get("/.well-known/penstock-keys.json")).json

    assert verify(file, keys)["digest"] == (await shop.item(item_id)).json["data"]["digest"]
    sealed = split(file)
    for part in (sealed.artifact, sealed.statement):
        for place in range(file.index(part), file.index(part) + len(part)):
            with pytest.raises((InvalidSignature, AssertionError, ValueError, KeyError)):
                verify(file[:place] + bytes([file[place] ^ 1]) + file[place + 1 :], keys)
