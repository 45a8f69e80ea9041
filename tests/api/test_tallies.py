"""What Losant's clients are told of runs: stats, errors and logs of a flow and of its versions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.domain.identifiers import LARGEST_ID, hex_id
from core.domain.runs import Run
from tests.api.cases import assert_error
from tests.support.api import Api
from tests.support.machinery import Machinery
from tests.support.runs import Runnable, end_run, make_runnable
from tests.support.tenants import Tenant

NOW = datetime.now(UTC).replace(microsecond=0)
NOON = NOW - timedelta(days=1)
"""When most of these runs have ended."""


def ms(instant: datetime) -> int:
    return round(instant.timestamp() * 1_000)


def shown(instant: datetime) -> str:
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Scene:
    api: Api
    runnable: Runnable

    @property
    def tenant(self) -> Tenant:
        return self.runnable.tenant

    def path(self, rest: str) -> str:
        return f"/applications/{self.tenant.application}/flows/{hex_id(self.runnable.flow.id)}/{rest}"

    async def get(self, rest: str, **parameters: object) -> Any:
        asked = "&".join(f"{name}={value}" for name, value in parameters.items())
        reply = await self.api.get(self.path(rest) + (f"?{asked}" if asked else ""))
        assert reply.status == 200, reply.raw
        return reply.json

    async def ran(
        self,
        status: str,
        *logs: object,
        at: datetime | None = None,
        message: str | None = None,
        version_id: int | None = None,
    ) -> Run:
        run = await self.runnable.start(version_id=version_id)
        await end_run(self.tenant, run, status, *logs, message=message, at=at)
        return run

    async def ledger(self, run: Run, what: str) -> Any:
        async with self.tenant.database.connection() as connection:
            return await connection.fetchval(f"SELECT {what} FROM runs WHERE id = $1", run.id)


@pytest.fixture
async def scene(tenant: Tenant, api: Api) -> Scene:
    return Scene(api, await make_runnable(tenant, None))


pytestmark = pytest.mark.leaves_jobs
"""The runs are ended without ever being sent."""


def totals(stats: dict[str, Any]) -> tuple[int, int, int]:
    points = stats["metrics"]
    runs, completed, failed = (
        sum(point[name] for point in points) for name in ("runCount", "pathsCompleted", "pathsFailed")
    )
    return runs, completed, failed


# Stats


async def test_runs_are_counted_by_how_and_when_they_ended(scene: Scene) -> None:
    first = await scene.ran("success", at=NOON)
    second = await scene.ran("partial_success", at=NOON + timedelta(minutes=59, milliseconds=999))
    await scene.ran("failure", at=NOON + timedelta(hours=1))
    await scene.ran("success", at=NOON + timedelta(hours=2))  # the first moment that is outside
    end = NOON + timedelta(hours=2)
    stats = await scene.get("stats", end=ms(end), duration=3 * 3_600_000)
    took = sum([await scene.ledger(run, "finished_at - started_at") for run in (first, second)], timedelta())
    assert stats == {
        "start": shown(NOON - timedelta(hours=1)), "end": shown(end), "resolution": 3_600_000,
        "metrics": [
            {
                "time": shown(NOON - timedelta(hours=1)), "runCount": 0, "pathsCompleted": 0, "pathsFailed": 0,
                "wallTime": 0,
            },
            {
                "time": shown(NOON), "runCount": 2, "pathsCompleted": 2, "pathsFailed": 1,
                "wallTime": round(took.total_seconds() * 1_000),
            },
            {**stats["metrics"][2], "time": shown(end - timedelta(hours=1)), "runCount": 1, "pathsCompleted": 0,
             "pathsFailed": 1},
        ],
    }  # fmt: skip


async def test_the_usual_is_a_day_until_now_by_hours(scene: Scene) -> None:
    await scene.ran("success")
    for stats in (await scene.get("stats"), await scene.get("stats", end=0)):
        assert totals(stats) == (1, 1, 0), "what has just ended is inside"
        assert (len(stats["metrics"]), stats["metrics"][-1]["runCount"]) == (24, 1)
        start, end = (datetime.fromisoformat(stats[name]) for name in ("start", "end"))
        assert end - start == timedelta(days=1)
        assert abs(end - datetime.now(UTC)) < timedelta(minutes=1)


async def test_one_interval_of_the_whole_is_one_number_and_the_last_may_be_shorter(scene: Scene) -> None:
    for minute in range(7):
        await scene.ran("success", at=NOON + timedelta(minutes=minute))
    asked = {"end": ms(NOON + timedelta(minutes=7)), "duration": 7 * 60_000}
    whole = await scene.get("stats", **asked, resolution=7 * 60_000)
    assert [point["runCount"] for point in whole["metrics"]] == [7]
    parts = await scene.get("stats", **asked, resolution=3 * 60_000)
    assert [point["runCount"] for point in parts["metrics"]] == [3, 3, 1]
    assert [point["time"] for point in parts["metrics"]] == [shown(NOON + timedelta(minutes=n)) for n in (0, 3, 6)]


async def test_what_was_never_run_is_not_counted(scene: Scene) -> None:
    """What goes on, what was stopped before it was sent, what was skipped; but a stop of what was sent is a run."""
    await scene.runnable.start()
    await scene.runnable.stop(await scene.runnable.start())
    sent = await scene.runnable.start()
    async with scene.tenant.database.connection() as connection:
        await connection.execute("UPDATE runs SET attempts = 1 WHERE id = $1", sent.id)
        await connection.execute(
            """
            INSERT INTO runs (company_id, flow_id, flow_version_id, schedule_id, scheduled_for, trigger, status,
                              version_name, version_iteration, version_revision, digest, finished_at, reason)
            SELECT company_id, flow_id, flow_version_id, n, scheduled_for, 'schedule',
                   CASE n WHEN 1 THEN 'skipped' ELSE 'missed' END, version_name, 1, 1, digest, clock_timestamp(), 'x'
            FROM runs, generate_series(1, 2) AS n WHERE id = $1
            """,
            sent.id,
        )
    await scene.runnable.stop(sent)
    assert totals(await scene.get("stats")) == (1, 0, 0)
    [entry] = await scene.get("logs", limit=10)
    assert (entry["runCount"], entry["pathsCompleted"], entry["pathsFailed"], entry["errors"]) == (1, 0, 0, [])
    assert (await scene.get("errors"))["errors"] == []


async def test_a_run_without_a_runner_has_failed(tenant: Tenant, api: Api, machinery: Machinery) -> None:
    scene = Scene(api, await make_runnable(tenant, None))
    await scene.runnable.start()
    await machinery.drain()
    assert totals(await scene.get("stats")) == (1, 0, 1)
    [error] = (await scene.get("errors"))["errors"]
    assert error["error"]["name"] == "no_runner"
    assert error["error"]["message"]


async def test_a_run_that_was_due_weeks_ago_belongs_to_when_it_ended(scene: Scene) -> None:
    """It was missed then, and run after all."""
    run = await scene.ran("failure", at=NOON)
    async with scene.tenant.database.connection() as connection:
        await connection.execute("UPDATE runs SET scheduled_for = $2 WHERE id = $1", run.id, NOON - timedelta(days=60))
    asked = {"end": ms(NOON + timedelta(minutes=1)), "duration": 120_000}
    assert totals(await scene.get("stats", **asked)) == (1, 0, 1)
    assert len((await scene.get("errors", **asked))["errors"]) == 1
    assert len(await scene.get("logs", since=ms(NOON))) == 1


async def test_versions_and_develop_are_told_apart_and_add_up_to_the_flow(scene: Scene) -> None:
    """A draft that is deployed becomes a version: what it ran before remains develop's."""
    tenant, flow, v1 = scene.tenant, scene.runnable.flow, scene.runnable.version
    await scene.ran("success")
    v2 = await tenant.make_version(flow, "v2")
    await scene.ran("failure", version_id=v2.id)
    await tenant.make_draft(flow)
    async with tenant.database.connection() as connection:
        draft = await connection.fetchval("SELECT id FROM flow_versions WHERE status = 'Draft'")
    for _ in range(3):
        await scene.ran("partial_success", version_id=draft)
    put = await scene.api.as_(tenant.key).send(
        "PUT", f"/api/v1/flows/{flow.id}/versions/{draft}", {"deployed_at": "2026-01-01T00:00:00Z"}
    )
    assert put.status == 200, put.raw
    name = put.json["data"]["name"]

    assert totals(await scene.get("stats")) == (5, 4, 4)
    by = {word: await scene.get("stats", flowVersion=word) for word in ("v1", "v2", name, "develop")}
    assert {word: totals(stats)[0] for word, stats in by.items()} == {"v1": 1, "v2": 1, name: 0, "develop": 3}
    assert (by["v1"]["flowVersion"], by["v1"]["flowVersionId"]) == ("v1", hex_id(v1.id))
    assert (by["develop"]["flowVersion"], "flowVersionId" in by["develop"]) == ("develop", False)
    assert "flowVersion" not in await scene.get("stats")
    at = {"duration": 600_000, "end": ms(datetime.now(UTC) + timedelta(minutes=1))}
    for segment in ("v2", hex_id(v2.id), hex_id(v2.id).upper()):
        same = [await scene.get("stats", flowVersion=segment, **at), await scene.get(f"versions/{segment}/stats", **at)]
        assert same[0] == same[1]
        assert totals(same[0]) == (1, 0, 1)
    errors = (await scene.get("errors", flowVersion="develop"))["errors"]
    assert [(error["flowVersion"], "flowVersionId" in error) for error in errors] == [("develop", False)] * 3
    log = await scene.get("logs", limit=10)
    assert [entry["flowVersionId"] for entry in log] == ["develop"] * 3 + [hex_id(v2.id), hex_id(v1.id)]
    [entry] = await scene.get("versions/v2/logs", limit=10)
    assert entry["flowVersionId"] == hex_id(v2.id)


async def test_a_deleted_version_is_still_told_of_by_the_flow(scene: Scene) -> None:
    tenant = scene.tenant
    version = await tenant.make_version(scene.runnable.flow, "old")
    await scene.ran("failure", version_id=version.id)
    assert (await scene.api.delete(scene.path("versions/old"))).status == 200
    for segment in ("old", hex_id(version.id)):
        assert totals(await scene.get("stats", flowVersion=segment)) == (1, 0, 1)
        assert len((await scene.get("errors", flowVersion=segment))["errors"]) == 1
        for what in ("stats", "errors", "logs"):
            gone = await scene.api.get(scene.path(f"versions/{segment}/{what}"))
            assert_error(gone, 404, "NotFound", "Flow version was not found")
    assert totals(await scene.get("stats", flowVersion="never")) == (0, 0, 0)


async def test_no_run_is_a_devices(scene: Scene) -> None:
    await scene.ran("failure")
    device = "575ed18f7ae143cd83dc4bb6"
    stats, errors = await scene.get("stats", deviceId=device), await scene.get("errors", deviceId=device)
    assert (totals(stats), len(stats["metrics"]), stats["deviceId"]) == ((0, 0, 0), 24, device)
    assert (errors["errors"], errors["deviceId"]) == ([], device)


# Errors


async def test_errors_are_what_the_runner_said(scene: Scene) -> None:
    """A line that tells of one, with its place if it says so; the run's own message; and something at any rate."""
    version = {"flowVersion": "v1", "flowVersionId": hex_id(scene.runnable.version.id)}
    details = {"nodeId": "a", "nodeLabel": "Insert", "name": "MongoError", "more": 1}
    await scene.ran(
        "partial_success", "fine", {"level": "error", "message": "No such table.", "details": details},
        {"level": "warning", "message": "slow"}, {"level": "fatal", "message": "x" * 8_000, "details": {"nodeId": 7}},
        at=NOON,
    )  # fmt: skip
    await scene.ran("failure", message="2 of 3 failed", at=NOON + timedelta(seconds=1))
    await scene.ran("failure", {"level": "error", "message": "one"}, message="told", at=NOON + timedelta(seconds=2))
    await scene.ran("failure", at=NOON + timedelta(seconds=3))
    await scene.ran("partial_success", at=NOON + timedelta(seconds=4))
    await scene.ran("success", {"level": "error", "message": "caught"}, at=NOON + timedelta(seconds=5))
    # The lines were written when the runs really ended.
    async with scene.tenant.database.connection() as connection:
        await connection.execute("UPDATE run_logs l SET received_at = r.finished_at FROM runs r WHERE r.id = l.run_id")
    asked = {"end": ms(NOON + timedelta(minutes=1)), "duration": 120_000}
    up = await scene.get("errors", **asked, sortDirection="asc")
    said = [(error["time"], error["error"]) for error in up["errors"]]
    times = [shown(NOON + timedelta(seconds=second)) for second in range(5)]
    assert said == [
        (times[0], {"name": "MongoError", "message": "No such table."}),
        (times[0], {"name": "fatal", "message": "x" * 1_000}),
        (times[1], {"name": "reported", "message": "2 of 3 failed"}),
        (times[2], {"name": "reported", "message": "told"}),
        (times[2], {"name": "error", "message": "one"}),
        (times[3], {"name": "reported", "message": "The run failed, and its runner did not say why."}),
        (times[4], {"name": "partial_success",
                    "message": "The run succeeded in part, and its runner did not say what failed."}),
    ]  # fmt: skip
    assert up["errors"][0] == {
        "time": times[0], **version, "nodeId": "a", "nodeLabel": "Insert",
        "error": {"name": "MongoError", "message": "No such table."},
    }  # fmt: skip
    assert not {"nodeId", "nodeLabel"} & set(up["errors"][1])
    assert {**up, "errors": []} == {
        "start": shown(NOON - timedelta(minutes=1)), "end": shown(NOON + timedelta(minutes=1)), "limit": 25,
        "sortDirection": "asc", "errors": [],
    }  # fmt: skip
    down = await scene.get("errors", **asked)
    assert down["sortDirection"] == "desc"
    assert [error["time"] for error in down["errors"]] == [time for time, _ in reversed(said)]
    assert [error["time"] for error in (await scene.get("errors", **asked, limit=3))["errors"]] == [
        times[4], times[3], times[2]
    ]  # fmt: skip
    log = await scene.get("logs", limit=10, since=ms(NOON))
    assert [len(entry["errors"]) for entry in log] == [0, 1, 1, 2, 1, 2], "without those of a run that went well"
    assert log[-1]["errors"] == up["errors"][:2]


async def test_a_run_with_a_thousand_errors_shows_the_first_ten(scene: Scene) -> None:
    await scene.ran("failure", *({"level": "error", "message": f"e{n}"} for n in range(1_000)))
    errors = (await scene.get("errors", limit=1_000))["errors"]
    assert [error["error"]["message"] for error in errors] == [f"e{n}" for n in range(10)]


# Logs


async def test_the_log_is_read_on_without_a_gap(scene: Scene) -> None:
    """By the last time seen; one that began long before the others and ended after them is not passed over."""
    for second in range(3):
        await scene.ran("success", at=NOON + timedelta(seconds=second, microseconds=700))
    [last] = await scene.get("logs")
    assert last["time"] == shown(NOON + timedelta(seconds=2))
    slow = await scene.ran("failure", at=NOON + timedelta(seconds=9))
    async with scene.tenant.database.connection() as connection:
        await connection.execute(
            "UPDATE runs SET scheduled_for = $2, started_at = $2 WHERE id = $1", slow.id, NOON - timedelta(minutes=5)
        )
    seen = ms(datetime.fromisoformat(last["time"]))
    more = await scene.get("logs", since=seen, limit=100)
    assert [entry["time"] for entry in more] == [shown(NOON + timedelta(seconds=9)), last["time"]]
    assert more[0]["wallTime"] == 309_000
    assert await scene.get("logs", since=seen + 60_000, limit=100) == []
    assert len(await scene.get("logs", limit=1_000)) == 4


# Refusals


REFUSED = [
    (
        "stats?duration=157784630000&resolution=1",
        "resolution: would give 157784630000 points, and there may be at most 10080: for this duration it has to be"
        " at least 15653238",
    ),
    (
        "stats?resolution=8571",
        "resolution: would give 10081 points, and there may be at most 10080: for this duration it has to be at"
        " least 8572",
    ),
    ("stats?end=-3600000", "end: must be a whole number of milliseconds from 0 to 32503679999999"),
    ("stats?end=2026-11-22T00:00:00Z", "end: must be a whole number of milliseconds from 0 to 32503679999999"),
    ("errors?duration=0", "duration: must be a whole number of milliseconds from 1 to 3162240000000"),
    ("errors?limit=1001", "limit: must be a whole number from 1 to 1000"),
    ("logs?limit=0", "limit: must be a whole number from 1 to 1000"),
    ("errors?sortDirection=up", "sortDirection: must be one of asc, desc, ASC, DESC"),
    ("versions/v1/stats?deviceId=1", "deviceId: must be 24 hexadecimal digits"),
]


async def test_what_cannot_be_answered_is_refused_by_name(scene: Scene) -> None:
    for rest, message in REFUSED:
        assert_error(await scene.api.get(scene.path(rest)), 400, "Validation", message)


async def test_nobody_is_told_of_anothers_runs(scene: Scene, stranger: Tenant) -> None:
    """Neither by the flow's id nor by a version's under a flow of one's own."""
    await scene.ran("failure")
    theirs = await make_runnable(stranger, None)
    other = await scene.tenant.make_flow("Another")
    for path in (
        f"flows/{hex_id(theirs.flow.id)}", f"flows/{hex_id(LARGEST_ID)}", "flows/nonsense",
        f"flows/{hex_id(theirs.flow.id)}/versions/v1", f"flows/{hex_id(other.id)}/versions/v1",
        f"flows/{hex_id(other.id)}/versions/{hex_id(scene.runnable.version.id)}",
        f"flows/{hex_id(scene.runnable.flow.id)}/versions/develop",
    ):  # fmt: skip
        for what in ("stats", "errors", "logs"):
            reply = await scene.api.get(f"/applications/{scene.tenant.application}/{path}/{what}")
            unknown = (
                "Flow version" if f"{hex_id(scene.runnable.flow.id)}/v" in path or hex_id(other.id) in path else "Flow"
            )
            assert_error(reply, 404, "NotFound", f"{unknown} was not found")
    assert totals(await scene.get("stats", flowVersion=hex_id(theirs.version.id))) == (0, 0, 0)
