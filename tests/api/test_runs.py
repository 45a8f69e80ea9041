"""Runs that somebody asks for, through the API: started, run again, stopped, reported, read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from core.domain.runs import MOST_PAYLOAD_BYTES
from tests.support.api import Api, Reply
from tests.support.machinery import Machinery
from tests.support.receiver import Receiver
from tests.support.receiver import Reply as Said
from tests.support.runs import Runnable, data_of, make_runnable, read_run, report
from tests.support.tenants import Tenant


@dataclass
class Scene:
    """A flow with a runner, and the API as its company's key."""

    api: Api
    runnable: Runnable
    runner: Receiver
    machinery: Machinery

    @property
    def flow(self) -> str:
        return f"/api/v1/flows/{self.runnable.flow.id}"

    async def start(self, rest: str = "", body: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        reply = await self.api.post(f"{self.flow}/start{rest}", body, **more)
        assert reply.status == 202, reply.raw
        run: dict[str, Any] = reply.json["data"]
        assert reply.headers["Location"] == f"/api/v1/flow-runs/{run['id']}"
        return run

    async def act(self, run: dict[str, Any], action: str, body: dict[str, Any] | None = None) -> Reply:
        return await self.api.post(f"/api/v1/flow-runs/{run['id']}/{action}", body)


@pytest.fixture
async def scene(tenant: Tenant, anonymous: Api, machinery: Machinery) -> AsyncIterator[Scene]:
    async with Receiver() as runner:
        runnable = await make_runnable(tenant, runner.url)
        yield Scene(anonymous.as_(tenant.key), runnable, runner, machinery)


async def test_a_flow_is_started_by_hand(scene: Scene) -> None:
    run = await scene.start(body={"payload": {"order": 7}})
    version, row = scene.runnable.version, await read_run(scene.runnable.tenant, run["id"])
    assert {**run, "id": 0, "scheduled_for": ""} == {
        "id": 0, "flow_id": version.flow_id, "flow_version_id": version.id, "schedule_id": None, "scheduled_for": "",
        "trigger": "manual", "trigger_key": None, "status": "queued", "reason": None, "message": None, "attempts": 0,
        "started_at": None,
        "finished_at": None, "duration_ms": None, "lateness_ms": None, "digest": version.digest.hex(),
        "retry_of": None, "dst_merged": False, "result": None, "late_result": None,
    }  # fmt: skip
    assert (row["requested_by_type"], row["payload_type"]) == ("apiKey", "application/json")
    await scene.machinery.drain()
    assert data_of(await scene.runner.next())["payload"] == {"order": 7}


@pytest.mark.parametrize(
    ("raw", "headers", "payload"),
    [
        (b'{"a": [1, 2.50]}', {}, {"a": [1, 2.5]}),
        (b"[1]", {"Content-Type": "application/json; charset=utf-8"}, [1]),
        (b"null", {}, None),
        (b"", {}, None),
        ("grüße".encode(), {"Content-Type": "text/plain"}, "grüße"),
        (b"a,b\n1,2\n", {"Content-Type": "text/csv"}, "a,b\n1,2\n"),
    ],
)
async def test_a_body_can_be_the_payload_itself(
    scene: Scene, raw: bytes, headers: dict[str, str], payload: object
) -> None:
    for rest in ("/raw", f"/raw/{scene.runnable.version.id}"):
        await scene.start(rest, raw=raw, headers=headers)
        await scene.machinery.drain()
        assert data_of(await scene.runner.next())["payload"] == payload


@pytest.mark.parametrize(
    ("raw", "headers", "status"),
    [
        (b"{", {}, 422), (b"a=b", {}, 422), (b'{"a":1,"a":2}', {}, 422), (b'"\\u0000"', {}, 422),
        (b"1e400", {}, 422), (b"\xff", {"Content-Type": "text/plain"}, 422),
        (b"a\x00b", {"Content-Type": "text/plain"}, 422), (b"[" * 100 + b"]" * 100, {}, 422),
        (b'"' + b"x" * MOST_PAYLOAD_BYTES + b'"', {}, 413), (b'"' + b"x" * 8_000_000 + b'"', {}, 413),
    ],
)  # fmt: skip
async def test_a_payload_that_cannot_be_passed_on_is_refused(
    scene: Scene, raw: bytes, headers: dict[str, str], status: int
) -> None:
    reply = await scene.api.send("POST", f"{scene.flow}/start/raw", raw=raw, headers=headers)
    assert reply.status == status, reply.raw
    async with scene.runnable.tenant.database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM runs") == 0


async def test_without_a_body_there_is_no_payload(scene: Scene) -> None:
    for rest in ("", f"/{scene.runnable.version.id}"):
        await scene.start(rest)
        await scene.machinery.drain()
        assert data_of(await scene.runner.next())["payload"] is None


async def test_any_version_can_be_started_the_draft_included(scene: Scene) -> None:
    runnable = scene.runnable
    await runnable.tenant.make_draft(runnable.flow)
    async with runnable.tenant.database.connection() as connection:
        draft = await connection.fetchval("SELECT id FROM flow_versions WHERE status = 'Draft'")
    run = await scene.start(f"/{draft}")
    await scene.machinery.drain()
    data = data_of(await scene.runner.next())
    assert (data["run_id"], data["flow_version_id"], data["version"]) == (run["id"], draft, None)


async def test_nothing_deployed_is_a_conflict_and_an_unknown_version_unknown(scene: Scene) -> None:
    tenant = scene.runnable.tenant
    bare = await tenant.make_flow("Bare")
    refused = await scene.api.post(f"/api/v1/flows/{bare.id}/start")
    assert (refused.status, refused.json["message"]) == (
        409, "This flow has no deployed version; name the version to start."
    )  # fmt: skip
    other = await make_runnable(tenant, None)
    for version in (other.version.id, 2**63 - 2, "nonsense"):
        assert (await scene.api.post(f"{scene.flow}/start/{version}")).status == 404


async def test_a_repeated_key_starts_nothing_again(scene: Scene) -> None:
    headers = {"Idempotency-Key": "once"}
    first = await scene.start(body={"payload": 1}, headers=headers)
    again = await scene.start(body={"payload": 1}, headers=headers)
    assert again == first
    other = await scene.api.post(f"{scene.flow}/start", {"payload": 2}, headers=headers)
    assert other.status == 422
    await scene.machinery.drain()
    assert len(scene.runner.requests) == 1
    retried = [
        await scene.api.post(f"/api/v1/flow-runs/{first['id']}/retry", headers={"Idempotency-Key": "twice"})
        for _ in range(2)
    ]
    assert retried[0].json == retried[1].json
    await scene.machinery.drain()


async def test_rivals_with_one_key_start_one_run(scene: Scene) -> None:
    headers = {"Idempotency-Key": "race"}
    runs = await asyncio.gather(*(scene.start(body={}, headers=headers) for _ in range(5)))
    assert len({run["id"] for run in runs}) == 1
    await scene.machinery.drain()


async def test_an_ended_run_can_be_run_again(scene: Scene) -> None:
    scene.runner.script(report(status="failure", message="no"))
    first = await scene.start(body={"payload": {"n": 1}})
    early = await scene.act(first, "retry")
    assert early.status == 409
    await scene.machinery.drain()
    second = (await scene.act(first, "retry")).json["data"]
    assert (second["trigger"], second["retry_of"], second["status"]) == ("retry", first["id"], "queued")
    await scene.machinery.drain()
    one, two = scene.runner.requests
    assert data_of(one)["payload"] == data_of(two)["payload"]
    assert one.headers["webhook-id"] != two.headers["webhook-id"], "another run"


async def test_a_run_whose_version_is_gone_cannot_be_run_again(scene: Scene) -> None:
    tenant, flow = scene.runnable.tenant, scene.runnable.flow
    version = await tenant.make_version(flow, "v2")
    run = await scene.start(f"/{version.id}")
    await scene.machinery.drain()
    gone = await scene.api.delete(f"{scene.flow}/versions/{version.id}")
    assert gone.status == 200, gone.raw
    assert (await scene.act(run, "retry")).status == 409


async def test_a_run_is_stopped_once(scene: Scene) -> None:
    run = await scene.start()
    stopped = await scene.act(run, "stop")
    assert (stopped.status, stopped.json["data"]["status"], stopped.json["data"]["reason"]) == (
        200, "stopped", "stopped"
    )  # fmt: skip
    again = await scene.act(run, "stop")
    assert (again.status, again.json["message"]) == (409, "This run has already ended as stopped.")
    await scene.machinery.drain()
    assert not scene.runner.requests


async def test_a_runner_reports_what_it_took(scene: Scene) -> None:
    scene.runner.script(Said(202))
    run = await scene.start()
    early = await scene.act(run, "report", {"status": "success"})
    assert (early.status, early.json["message"]) == (409, "This run was not sent to a runner.")
    await scene.machinery.drain()
    told = {"status": "partial_success", "message": "2 of 3", "metrics": {"rows": 2}, "logs": ["a", {"message": "b"}]}
    done = (await scene.act(run, "report", told)).json["data"]
    assert (done["status"], done["message"]) == ("partial_success", "2 of 3")
    assert done["duration_ms"] >= 0
    page = await scene.api.get(f"/api/v1/flow-runs/{run['id']}/flow-run-logs?per_page=1")
    assert ([line["message"] for line in page.json["data"]], page.json["meta"]["total"]) == (["a"], 2)


async def test_a_second_report_changes_nothing_and_the_first_late_one_is_kept(scene: Scene) -> None:
    scene.runner.script(Said(202))
    run = await scene.start()
    await scene.machinery.drain()
    first = (await scene.act(run, "report", {"metrics": {"files": 2}})).json["data"]
    assert (first["result"], first["late_result"]) == (
        {"status": "success", "message": None, "metrics": {"files": 2}},
        None,
    )
    late: dict[str, object] = {"status": "failure", "message": None, "metrics": {}}
    for status in ("failure", "partial_success"):
        later = await scene.act(run, "report", {"status": status, "logs": ["late"]})
        assert (later.status, later.json["data"]) == (200, {**first, "late_result": late})
    assert (await scene.api.get(f"/api/v1/flow-runs/{run['id']}/flow-run-logs")).json["data"] == []


async def test_nobody_reports_on_another_companys_run(scene: Scene, stranger: Tenant, anonymous: Api) -> None:
    scene.runner.script(Said(202))
    run = await scene.start()
    await scene.machinery.drain()
    foreign = anonymous.as_(stranger.key)
    for action, body in (("report", {"status": "failure"}), ("stop", None), ("retry", None)):
        reply = await foreign.post(f"/api/v1/flow-runs/{run['id']}/{action}", body)
        unknown = await foreign.post(f"/api/v1/flow-runs/{2**62}/{action}", body)
        assert (reply.status, reply.json) == (404, unknown.json)
    assert (await foreign.get(f"/api/v1/flow-runs/{run['id']}/flow-run-logs")).status == 404
    assert (await read_run(scene.runnable.tenant, run["id"]))["status"] == "started"
    await scene.act(run, "report", {})


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"status": "done"}, "status"), ({"status": "stopped"}, "status"), ({"metrics": {"a": "1"}}, "metrics.a"),
        ({"metrics": {"a": True}}, "metrics.a"), ({"metrics": {"a": 10**16}}, "metrics.a"),
        ({"metrics": {str(n): n for n in range(101)}}, "metrics"), ({"logs": [{"level": "info"}]}, "logs[0].message"),
        ({"logs": [1]}, "logs[0]"), ({"logs": ["x" * 8_001]}, "logs[0]"), ({"logs": ["x"] * 1_001}, "logs"),
        ({"logs": [{"message": "x", "at": "yesterday"}]}, "logs[0].at"), ({"message": "x" * 1_001}, "message"),
        ({"result": 1}, "result"),
    ],
)  # fmt: skip
async def test_a_report_that_is_none_is_refused(scene: Scene, body: dict[str, Any], path: str) -> None:
    scene.runner.script(Said(202))
    run = await scene.start()
    await scene.machinery.drain()
    reply = await scene.act(run, "report", body)
    assert (reply.status, list(reply.json["errors"])) == (422, [path]), reply.raw
    assert (await read_run(scene.runnable.tenant, run["id"]))["status"] == "started"
