"""Runners that do whatever can be done wrong, and the worker that has others to serve."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from functools import partial

import aiohttp
import orjson
import psutil
import pytest

from core.domain.runs import Run
from tests.faults.conftest import NewGround, Promise
from tests.faults.deletion import RECOVERY_SECONDS
from tests.faults.ground import Ground
from tests.support.receiver import Manner, Receiver, Reply
from tests.support.runs import make_runnable, read_run, report, statuses
from tests.support.tenants import make_tenant
from tests.support.waiting import now, until

LOOPBACK = {"PENSTOCK_ALLOW_PRIVATE_TARGETS": "1"}
JUNK = b"\x00\xff" * 500
LARGE = 10_000_000
MEGABYTE = 1024 * 1024

MANNERS = {  # what is said first, and what becomes of the run; whoever is asked again has recovered by then
    "hangs": (Reply(200, manner=Manner.SILENT), "success", None),
    "drips": (Reply(200, manner=Manner.DRIPPING), "success", None),
    "hangs up": (Reply(200, manner=Manner.CUT), "success", None),
    "streams for ever": (Reply(200, manner=Manner.ENDLESS), "failure", "bad_answer"),
    "answers 10 MB": (Reply(200, body=b"x" * LARGE), "failure", "bad_answer"),
    "answers junk": (Reply(200, body=JUNK), "failure", "bad_answer"),
    "redirects": (Reply(307, {"Location": "http://127.0.0.1:1/"}), "failure", "runner_refused"),
}
EACH = 8
GOOD = 40
GOOD_SECONDS = 20.0
"""For runs of milliseconds, on a machine that is busy with all the others. Whoever waited for those would need longer:
they take until RECOVERY_SECONDS."""
GROWTH = 100 * MEGABYTE
"""Of the worker's memory: less than what the large answers have, and a fraction of what is streamed."""


@pytest.mark.long
async def test_runners_that_misbehave(new_ground: NewGround, promise: Promise) -> None:
    """runners that hang, drip, hang up, stream for ever, answer 10 MB or junk, or redirect"""
    ground = await new_ground()
    receivers = {manner: Receiver() for manner in MANNERS}
    async with Receiver() as good:
        try:
            await asyncio.gather(*(receiver.__aenter__() for receiver in receivers.values()))
            runs: dict[str, list[Run]] = {}
            for manner, (reply, _, _) in MANNERS.items():
                receivers[manner].script(*[reply] * EACH)
                bad = await make_runnable(ground.tenant, receivers[manner].url, timeout=2)
                runs[manner] = [await bad.start() for _ in range(EACH)]
            fine = await make_runnable(ground.tenant, good.url)
            worked = [await fine.start() for _ in range(GOOD)]
            worker = await ground.start("worker", **LOOPBACK)
            before = psutil.Process(worker.pid).memory_info().rss
            began = now()
            await ground.start("scheduler")
            await until(lambda: all_are(ground, worked, "success"), "the good runner has done its work", GOOD_SECONDS)
            quick = now() - began
            for manner, (_, status, reason) in MANNERS.items():
                await until(partial(all_are, ground, runs[manner], status, reason), manner, RECOVERY_SECONDS)
            growth = psutil.Process(worker.pid).memory_info().rss - before
            assert worker.running
            assert growth < GROWTH
        finally:
            for receiver in receivers.values():
                await receiver.close()
        await ground.roles.end()
    careless = await _careless()
    promise.kept(
        f"{GOOD} runs of the good one in {quick:.1f} s beside {EACH} of each, {growth // MEGABYTE} MB more memory",
        control=f"a client that reads what comes has taken {careless // MEGABYTE} MB of the endless answer in a second",
    )


async def test_runners_that_lie(new_ground: NewGround, promise: Promise) -> None:
    """runners that report twice, on another company's run, and after the stop"""
    ground = await new_ground()
    await asyncio.gather(ground.start("api"), ground.start("scheduler"), ground.start("worker", **LOOPBACK))
    stranger = await make_tenant(ground.database, "Stranger")
    api, foreign = ground.api.as_(ground.tenant.key), ground.api.as_(stranger.key)
    async with Receiver() as runner:
        runnable = await make_runnable(ground.tenant, runner.url)
        runner.script(*[Reply(202)] * 3, report(status="success"))
        twice, theirs, stopped = [await runnable.start() for _ in range(3)]
        await until(lambda: all_are(ground, [twice, theirs, stopped], "started"), "the runner has them")

        said = [await api.post(_report(twice), {"status": status}) for status in ("failure", "success", "success")]
        assert [each.json["data"]["status"] for each in said] == ["failure"] * 3
        row = await read_run(ground.tenant, twice)
        assert (row["status"], orjson.loads(row["late_result"])["status"]) == ("failure", "success")

        refused = await foreign.post(_report(theirs), {"status": "failure"})
        unknown = await foreign.post("/api/v1/flow-runs/4611686018427387904/report", {"status": "failure"})
        assert (refused.status, refused.json) == (404, unknown.json)
        assert (await read_run(ground.tenant, theirs))["status"] == "started"
        assert (await api.post(_report(theirs), {})).status == 200

        assert (await api.post(f"/api/v1/flow-runs/{stopped.id}/stop")).status == 200
        late = await api.post(_report(stopped), {"status": "success"})
        assert (late.status, late.json["data"]["status"]) == (200, "stopped")
        await until(ground.idle, "the runner has heard of the stop")
    assert await statuses(ground.tenant) == {"failure": 1, "success": 1, "stopped": 1}
    await _believe_the_last(ground, twice)
    wrong = (await read_run(ground.tenant, twice))["status"]
    promise.kept("each run ended once, as it was first said", control=f"where the last word counts, {wrong}")


def _report(run: Run) -> str:
    return f"/api/v1/flow-runs/{run.id}/report"


async def all_are(ground: Ground, runs: Sequence[Run], status: str, reason: str | None = None) -> bool:
    async with ground.database.connection() as connection:
        rows = await connection.fetch("SELECT status, reason FROM runs WHERE id = ANY($1)", [run.id for run in runs])
    found = Counter((row["status"], row["reason"] if reason else None) for row in rows)
    return found == {(status, reason): len(runs)}


async def _careless() -> int:
    """Bytes of an endless answer that a client takes in a second which reads whatever comes."""
    taken = 0
    async with Receiver() as endless, aiohttp.ClientSession() as session:
        endless.script(Reply(200, manner=Manner.ENDLESS))
        try:
            async with asyncio.timeout(1), session.post(endless.url) as answer:
                async for piece in answer.content.iter_any():
                    taken += len(piece)
        except TimeoutError:
            pass  # it would go on for ever
    return taken


async def _believe_the_last(ground: Ground, run: Run) -> None:
    """A report that does not ask whether the run has ended."""
    async with ground.database.connection() as connection:
        await connection.execute("UPDATE runs SET status = late_result ->> 'status' WHERE id = $1", run.id)
