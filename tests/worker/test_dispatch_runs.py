"""Runs on their way: what a runner receives, and what becomes of a run whatever the runner does."""

from __future__ import annotations

import asyncio
import base64
import gzip
from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from core.domain.access import ActorType, Principal
from core.domain.dispatch import LARGEST_RUNNER_ANSWER, MOST_RUN_TRIES, Report
from core.domain.documents import parse_document
from core.domain.runs import RunStatus
from core.domain.versions import NewVersion
from core.operations import access, starts
from core.settings import Settings
from schemas.losant import content_of
from tests.support.machinery import Machinery
from tests.support.names import Names
from tests.support.receiver import Manner, Receiver, Reply
from tests.support.runs import (
    come_due,
    data_of,
    forget_circuits,
    logs_of,
    make_runnable,
    put_together,
    read_run,
    report,
)
from tests.support.tenants import SECRET, Tenant
from worker.jobs import HANDLERS
from worker.outbound import Outbound
from worker.runner import Runner
from worker.timekeeper import Timekeeper

EXACT = b'{"n":12345678901234567890123,"x":1.50}'
BODY = '{"nodes":[{"id":"a","type":"x","config":' + EXACT.decode() + "}]}"


@pytest.fixture
async def timekeeper(machinery: Machinery) -> Timekeeper:
    return Timekeeper(machinery.tools.database)


async def test_a_runner_is_told_what_to_run(tenant: Tenant, machinery: Machinery) -> None:
    async with Receiver() as runner:
        runnable = await make_runnable(tenant, f"{runner.url}?x=1", body=BODY)
        run = await runnable.start({"a": 1.50})
        assert await machinery.drain() == ["settled"]
        request = await runner.next()
    Webhook(SECRET).verify(request.body, dict(request.headers))
    assert request.headers["webhook-id"].startswith("run_")
    assert request.target == "/hook?x=1"
    assert EXACT in request.body
    data = dict(data_of(request))
    del data["body"]
    row = await read_run(tenant, run)
    assert data == {
        "run_id": run.id,
        "flow_id": runnable.flow.id,
        "flow_version_id": runnable.version.id,
        "version": "v1",
        "iteration": 1,
        "revision": row["version_revision"],
        "digest": runnable.version.digest.hex(),
        "schedule_id": None,
        "scheduled_for": row["scheduled_for"].strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "trigger": "manual",
        "trigger_key": None,
        "attempt": 1,
        "payload": {"a": 1.5},
    }
    assert (row["status"], row["reason"], row["attempts"]) == ("success", None, 1)
    assert row["scheduled_for"] <= row["dispatched_at"] <= row["started_at"] <= row["finished_at"]


async def test_a_workflow_of_megabytes_goes_out_whole(tenant: Tenant, machinery: Machinery) -> None:
    note = "x" * 3_000_000
    async with Receiver() as runner:
        runnable = await make_runnable(tenant, runner.url, body=f'{{"nodes":[{{"id":"a","config":{{"n":"{note}"}}}}]}}')
        await runnable.start()
        await machinery.drain()
        request = await runner.next()
    Webhook(SECRET).verify(request.body, dict(request.headers))
    assert data_of(request)["body"]["nodes"][0]["config"]["n"] == note


async def test_what_an_answer_says_is_kept(tenant: Tenant, machinery: Machinery) -> None:
    logs = ["plain", {"message": "rich", "level": "error", "at": "2026-11-22T03:00:00Z", "details": {"n": 10**30}}]
    async with Receiver() as runner:
        runnable = await make_runnable(tenant, runner.url)
        runner.script(
            report(status="partial_success", message="2 of 3", metrics={"rows": 2, "score": 0.5}, logs=logs, other=[]),
            report(status="failure", message="no such table"),
            Reply(204),
            Reply(200, body=b" \n"),
        )
        runs = [await runnable.start() for _ in range(4)]
        for _ in runs:
            await machinery.step()
        await machinery.drain()
    rows = [await read_run(tenant, run) for run in runs]
    assert [(row["status"], row["reason"], row["message"]) for row in rows] == [
        ("partial_success", None, "2 of 3"), ("failure", "reported", "no such table"),
        ("success", None, None), ("success", None, None),
    ]  # fmt: skip
    assert orjson.loads(rows[0]["result"])["metrics"] == {"rows": 2, "score": 0.5}
    plain, rich = await logs_of(tenant, runs[0])
    assert (plain["level"], plain["message"], plain["details"]) == ("info", "plain", None)
    assert (rich["level"], rich["message"], rich["details"]) == ("error", "rich", f'{{"n": {10**30}}}')
    assert rich["logged_at"] == datetime(2026, 11, 22, 3, tzinfo=UTC)


async def test_without_a_runner_a_run_fails_and_does_not_pretend(tenant: Tenant, machinery: Machinery) -> None:
    runnable = await make_runnable(tenant, None)
    run = await runnable.start()
    await machinery.drain()
    row = await read_run(tenant, run)
    assert (row["status"], row["reason"], row["attempts"], row["started_at"]) == ("failure", "no_runner", 0, None)


async def test_the_companys_runner_takes_what_has_none_of_its_own(tenant: Tenant, machinery: Machinery) -> None:
    async with Receiver() as runner:
        runnable = await make_runnable(tenant, None)
        async with tenant.database.connection() as connection:
            await connection.execute("UPDATE companies SET runner_url = $1", runner.url)
        run = await runnable.start()
        await machinery.drain()
        assert len(runner.requests) == 1
    assert (await read_run(tenant, run))["status"] == "success"


REFUSING = [300, 301, 307, 400, 401, 403, 404, 405, 410, 413, 422]


@pytest.mark.parametrize("status", REFUSING)
async def test_a_refusal_is_final(tenant: Tenant, machinery: Machinery, status: int) -> None:
    async with Receiver() as runner, Receiver() as elsewhere:
        runner.script(Reply(status, {"Location": elsewhere.url, "Retry-After": "1"}))
        run = await (await make_runnable(tenant, runner.url)).start()
        await machinery.drain()
        assert not elsewhere.requests
    row = await read_run(tenant, run)
    assert (row["status"], row["reason"], row["started_at"]) == ("failure", "runner_refused", None)
    assert str(status) in row["message"]


UNREADABLE = {
    "no JSON": b"OK",
    "no UTF-8": b'{"message":"\xff"}',
    "no object": b"[]",
    "a key twice": b'{"status":"failure","status":"success"}',
    "an unknown status": b'{"status":"done"}',
    "a number as text": b'{"metrics":{"rows":"2"}}',
    "no number": b'{"metrics":{"rows":NaN}}',
    "a log that is none": b'{"logs":[{"level":"info"}]}',
    "compressed": gzip.compress(b"{}"),
    "10 MB": b'{"message":"' + b"x" * 10_000_000 + b'"}',
    "more than there may be": b" " * (LARGEST_RUNNER_ANSWER + 1),
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
async def test_junk_is_no_success(tenant: Tenant, machinery: Machinery, body: bytes) -> None:
    """The runner has acted, so it is not asked again; and nobody can say that it succeeded."""
    async with Receiver() as runner:
        runner.script(Reply(200, body=body))
        run = await (await make_runnable(tenant, runner.url)).start()
        await machinery.drain()
        assert len(runner.requests) == 1
    row = await read_run(tenant, run)
    assert (row["status"], row["reason"], row["result"]) == ("failure", "bad_answer", None)
    assert row["message"].startswith("The runner's answer ")
    assert len(row["message"]) < 300


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_trouble_of_the_moment_is_tried_again(
    tenant: Tenant, machinery: Machinery, timekeeper: Timekeeper, status: int
) -> None:
    async with Receiver() as runner:
        runner.script(Reply(status, body=b"x" * 100))
        run = await (await make_runnable(tenant, runner.url)).start()
        await machinery.drain()
        waiting = await read_run(tenant, run)
        assert (waiting["status"], waiting["reason"]) == ("queued", "runner_busy")
        assert 0 < (waiting["due_at"] - waiting["dispatched_at"]).total_seconds() < 2
        await timekeeper.run_once()
        assert await machinery.drain() == [], "before its time"
        await come_due(tenant)
        assert await timekeeper.run_once() == 1
        await machinery.drain()
        first, second = runner.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert (data_of(first)["attempt"], data_of(second)["attempt"]) == (1, 2)
    row = await read_run(tenant, run)
    assert (row["status"], row["reason"], row["message"], row["attempts"]) == ("success", None, None, 2)


async def test_a_runner_may_say_when(tenant: Tenant, machinery: Machinery) -> None:
    async with Receiver() as runner:
        runner.script(Reply(503, {"Retry-After": "300"}))
        run = await (await make_runnable(tenant, runner.url)).start()
        await machinery.drain()
    row = await read_run(tenant, run)
    assert 299 < (row["due_at"] - row["dispatched_at"]).total_seconds() < 310


async def test_a_run_is_given_up_after_so_many_tries(
    tenant: Tenant, machinery: Machinery, timekeeper: Timekeeper
) -> None:
    async with Receiver() as runner:
        run = await (await make_runnable(tenant, runner.url)).start()
        for _ in range(MOST_RUN_TRIES):
            runner.script(Reply(500))
            await machinery.drain()
            await forget_circuits(tenant)
            await come_due(tenant)
            await timekeeper.run_once()
        assert await machinery.drain() == []
        assert len(runner.requests) == MOST_RUN_TRIES
    row = await read_run(tenant, run)
    assert (row["status"], row["reason"], row["attempts"]) == ("failure", "runner_busy", MOST_RUN_TRIES)


@pytest.mark.parametrize("manner", [Manner.SILENT, Manner.DRIPPING])
async def test_a_runner_that_hangs_holds_nobody_up(tenant: Tenant, machinery: Machinery, manner: Manner) -> None:
    """Its run waits for another try; one of the same batch that goes to another runner is done long before."""
    async with Receiver() as slow, Receiver() as quick:
        slow.script(Reply(200, manner=manner))
        hanging = await (await make_runnable(tenant, slow.url, timeout=1)).start()
        other = await (await make_runnable(tenant, quick.url)).start()
        await put_together(tenant, hanging, other)
        assert await machinery.drain() == ["settled"]
    rows = [await read_run(tenant, run) for run in (hanging, other)]
    assert [(row["status"], row["reason"]) for row in rows] == [("queued", "runner_timeout"), ("success", None)]
    assert (rows[1]["finished_at"] - rows[0]["dispatched_at"]).total_seconds() < 1.0, "which is when the other gave up"


async def test_a_runner_that_streams_for_ever_is_left(tenant: Tenant, machinery: Machinery) -> None:
    async with Receiver() as runner:
        runner.script(Reply(200, manner=Manner.ENDLESS))
        run = await (await make_runnable(tenant, runner.url)).start()
        await machinery.drain()
    row = await read_run(tenant, run)
    assert (row["status"], row["reason"]) == ("failure", "bad_answer")


TARGETS = [
    "http://169.254.169.254/latest/meta-data/", "http://[::ffff:169.254.169.254]/", "http://[fd00:ec2::254]/",
    "http://2852039166/", "http://0.0.0.0/", "file:///etc/passwd", "http://user:password@127.0.0.1/",
]  # fmt: skip


@pytest.mark.parametrize("url", TARGETS)
async def test_a_forbidden_target_fails_its_run_at_once(tenant: Tenant, machinery: Machinery, url: str) -> None:
    runnable = await make_runnable(tenant, None)
    await write_runner(tenant, url)
    run = await runnable.start()
    await machinery.drain()
    row = await read_run(tenant, run)
    assert (row["status"], row["reason"]) == ("failure", "target_refused")
    assert url not in row["message"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "[::1]", "[::ffff:127.0.0.1]"])
async def test_loopback_is_refused_unless_it_is_allowed(
    tenant: Tenant, settings: Settings, machinery: Machinery, host: str
) -> None:
    async with Receiver() as runner, Outbound(allow_private=False, keep_seconds=1.0) as guarded:
        runnable = await make_runnable(tenant, None)
        await write_runner(tenant, f"http://{host}:{runner.port}/")
        run = await runnable.start()
        careful = Runner(replace(machinery.tools, runners=guarded), HANDLERS)
        for name in await machinery.deliver():
            assert await careful.run(name) == "settled"
        assert not runner.requests
    assert (await read_run(tenant, run))["reason"] == "target_refused"


async def test_a_name_that_has_moved_since_leads_nowhere(tenant: Tenant, machinery: Machinery) -> None:
    """It is asked about once a try: the address that is checked is the one that is connected to."""
    names = Names(["127.0.0.1"], ["169.254.169.254"], ["127.0.0.1", "169.254.169.254"])
    async with Receiver() as runner, Outbound(allow_private=True, resolver=names) as asking:
        runnable = await make_runnable(tenant, f"http://rebinding.example:{runner.port}/")
        worker = Runner(replace(machinery.tools, runners=asking), HANDLERS)
        runs = []
        for _ in range(3):
            runs.append(await runnable.start())
            assert [await worker.run(name) for name in await machinery.deliver()] == ["settled"]
        assert (names.asked, len(runner.requests)) == (3, 1)
    rows = [await read_run(tenant, run) for run in runs]
    assert [row["reason"] for row in rows] == [None, "target_refused", "target_refused"]


async def test_a_run_that_cannot_be_signed_is_not_sent(tenant: Tenant, machinery: Machinery) -> None:
    async with Receiver() as runner:
        async with tenant.database.connection() as connection:
            await connection.execute("DELETE FROM webhook_secrets")
        run = await (await make_runnable(tenant, runner.url)).start()
        await machinery.drain()
        assert not runner.requests
    assert (await read_run(tenant, run))["reason"] == "unsigned"


async def test_old_and_new_secret_both_verify(tenant: Tenant, machinery: Machinery) -> None:
    newer = "whsec_" + base64.b64encode(b"n" * 32).decode()
    await access.add_webhook_secret(Principal(tenant.company_id, ActorType.CLI, None), tenant.database, newer)
    async with Receiver() as runner:
        await (await make_runnable(tenant, runner.url)).start()
        await machinery.drain()
        request = await runner.next()
    for secret in (SECRET, newer):
        Webhook(secret).verify(request.body, dict(request.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + base64.b64encode(b"x" * 32).decode()).verify(request.body, dict(request.headers))


async def test_a_202_waits_for_its_report_as_long_as_the_flow_says(
    tenant: Tenant, machinery: Machinery, timekeeper: Timekeeper
) -> None:
    async with Receiver() as runner:
        runnable = await make_runnable(tenant, runner.url, timeout=60)
        runner.script(Reply(202, body=b"whatever"), Reply(202))
        reported, silent = [await runnable.start() for _ in range(2)]
        await machinery.drain()
        row = await read_run(tenant, reported)
        assert (row["status"], row["finished_at"]) == ("started", None)
        assert 59 < (row["due_at"] - row["started_at"]).total_seconds() < 62
        done = await starts.report_run(tenant.principal, tenant.database, reported.id, Report(RunStatus.SUCCESS))
        assert done.status == "success"
        await come_due(tenant)
        assert await timekeeper.run_once() == 1
        assert await machinery.drain() == []
        assert len(runner.requests) == 2
    row = await read_run(tenant, silent)
    assert (row["status"], row["reason"], row["attempts"]) == ("failure", "not_reported", 1)
    late = await starts.report_run(tenant.principal, tenant.database, silent.id, Report(RunStatus.SUCCESS))
    assert (late.status, late.reason) == ("failure", "not_reported")
    assert orjson.loads((await read_run(tenant, silent))["late_result"])["status"] == "success"


async def test_a_run_is_run_as_it_was_when_it_was_accepted(tenant: Tenant, machinery: Machinery) -> None:
    async with Receiver() as runner:
        runnable = await make_runnable(tenant, runner.url)
        replaced, deleted = await runnable.start(), await runnable.start()
        async with tenant.database.connection() as connection:
            await connection.execute("UPDATE runs SET digest = $1 WHERE id = $2", b"other", deleted.id)
        new = NewVersion("v1", True, None, content_of(parse_document(b'{"nodes":[]}')))
        await tenant.keep_version(runnable.flow, new, replace=True)
        await machinery.drain()
        (request,) = runner.requests
    assert data_of(request)["run_id"] == replaced.id
    assert data_of(request)["body"]["nodes"][0]["id"] == "a"
    assert (await read_run(tenant, deleted))["reason"] == "version_gone"


async def test_an_answer_after_the_stop_is_kept_and_changes_nothing(tenant: Tenant, machinery: Machinery) -> None:
    async with Receiver() as runner:
        runnable = await make_runnable(tenant, runner.url)
        runner.script(Reply(200, {"Content-Type": "application/json"}, b'{"metrics":{"rows":7}}', Manner.HELD))
        run = await runnable.start()
        sending = asyncio.create_task(machinery.step())
        request = await runner.next()
        stopped = await runnable.stop(run)
        assert (stopped.status, stopped.reason) == ("stopped", "stopped")
        runner.let_go()
        assert await sending == ["settled"]
        runner.script(Reply(204))
        assert await machinery.drain() == ["done"]
        told = await runner.next()
    row = await read_run(tenant, run)
    assert (row["status"], row["result"]) == ("stopped", None)
    assert orjson.loads(row["late_result"])["metrics"] == {"rows": 7}
    event = Webhook(SECRET).verify(told.body, dict(told.headers))
    assert (event["type"], event["data"]["run_id"]) == ("flow.stop", run.id)
    assert event["data"]["webhook_id"] == request.headers["webhook-id"]
    assert told.headers["webhook-id"] == f"stop_{request.headers['webhook-id']}"


async def test_a_runner_that_will_not_hear_of_a_stop_is_let_be(tenant: Tenant, machinery: Machinery) -> None:
    async with Receiver() as runner:
        runnable = await make_runnable(tenant, runner.url)
        runner.script(Reply(202), Reply(404))
        run = await runnable.start()
        await machinery.drain()
        await runnable.stop(run)
        assert await machinery.drain() == ["failed"]
    assert (await read_run(tenant, run))["status"] == "stopped"


async def test_a_run_that_was_never_sent_is_stopped_without_a_word(tenant: Tenant, machinery: Machinery) -> None:
    async with Receiver() as runner:
        runnable = await make_runnable(tenant, runner.url)
        await runnable.stop(await runnable.start())
        assert await machinery.drain() == ["settled"]
        assert not runner.requests


async def write_runner(tenant: Tenant, url: str) -> None:
    """Past the check of the API: what was stored before a rule was made, or resolves to something else now."""
    async with tenant.database.connection() as connection:
        await connection.execute("UPDATE flows SET runner_url = $1", url)
