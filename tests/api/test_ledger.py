"""What the ledger says over HTTP: runs and gaps, what is to come, and making up for what was missed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.store.database import Database
from tests.support.api import Api
from tests.support.fires import Live, fire_all, make_live
from tests.support.tenants import Tenant

pytestmark = pytest.mark.leaves_jobs


@pytest.fixture
def key(anonymous: Api, tenant: Tenant) -> Api:
    return anonymous.as_(tenant.key)


async def behind(tenant: Tenant, by: timedelta, **given: object) -> Live:
    live = await make_live(tenant, **{"overlap_policy": "allow", **given})  # type: ignore[arg-type]
    await live.fall_behind(by)
    await fire_all(tenant.database)
    return live


async def test_runs_are_listed_the_latest_first(key: Api, tenant: Tenant) -> None:
    live = await behind(tenant, timedelta(minutes=3))
    answer = await key.get("/api/v1/flow-runs?per_page=2")
    assert answer.status == 200
    rows = answer.json["data"]
    assert [row["schedule_id"] for row in rows] == [live.schedule.id] * 2
    assert rows[0]["scheduled_for"] > rows[1]["scheduled_for"]
    assert answer.json["meta"]["total"] >= 4
    one = await key.get(f"/api/v1/flow-runs/{rows[0]['id']}")
    assert one.json == {"data": {**rows[0], "result": None, "late_result": None}}
    assert (rows[0]["trigger"], rows[0]["status"], rows[0]["attempts"]) == ("schedule", "queued", 0)


@pytest.mark.parametrize(
    ("query", "finds"),
    [
        ("filter[status]=queued", True),
        ("filter[status]=1,queued", True),
        ("filter[status]=2", False),
        ("filter[status]=success,failure", False),
        ("filter[trigger]=schedule", True),
        ("filter[trigger]=manual", False),
        ("filter[flow_id]={flow}", True),
        ("filter[flow_id]=999", False),
        ("filter[flow_version_id]={version}", True),
        ("filter[schedule_id]={schedule}", True),
        ("filter[schedule_id]=999", False),
        ("filter[started_after]=2020-01-01T00:00:00Z", False),
        ("filter[started_before]=1800000000000", False),
        ("sort=-started_at", True),
        ("sort=scheduled_for,-id", True),
    ],
)
async def test_runs_are_narrowed_and_sorted(key: Api, tenant: Tenant, query: str, finds: bool) -> None:
    live = await behind(tenant, timedelta())
    asked = query.format(flow=live.flow.id, version=live.version.id, schedule=live.schedule.id)
    answer = await key.get(f"/api/v1/flow-runs?{asked}")
    assert answer.status == 200, answer.raw
    assert bool(answer.json["data"]) == finds


async def test_when_a_run_began_narrows_by_either_form(key: Api, tenant: Tenant, database: Database) -> None:
    await behind(tenant, timedelta())
    async with database.connection() as connection:
        await connection.execute("UPDATE runs SET status = 'started', started_at = '2026-06-01T12:00:00Z'")
    for moment in ("2026-06-01T11:59:59Z", "1780315199000"):
        assert (await key.get(f"/api/v1/flow-runs?filter[started_after]={moment}")).json["data"]
        assert not (await key.get(f"/api/v1/flow-runs?filter[started_before]={moment}")).json["data"]


@pytest.mark.parametrize(
    ("query", "status", "path"),
    [
        ("filter[status]=9", 422, "filter[status]"),
        ("filter[started_after]=yesterday", 422, "filter[started_after]"),
        ("filter[started_after]=2026-01-01", 422, "filter[started_after]"),
        ("filter[schedule_id]=x", 422, "filter[schedule_id]"),
        ("filter[colour]=red", 400, None),
        ("sort=colour", 400, None),
    ],
)
async def test_what_cannot_be_asked_is_refused(key: Api, query: str, status: int, path: str | None) -> None:
    answer = await key.get(f"/api/v1/flow-runs?{query}")
    assert answer.status == status
    if path:
        assert list(answer.json["errors"]) == [path]


async def test_gaps_are_written_out(key: Api, tenant: Tenant) -> None:
    live = await behind(tenant, timedelta(hours=8))
    answer = await key.get(f"/api/v1/schedules/{live.schedule.id}/gaps")
    (gap,) = answer.json["data"]
    assert (gap["reason"], gap["cron_string"], gap["timezone"]) == ("missed", "* * * * *", "UTC")
    assert gap["count"] in (470, 471)
    assert len(gap["instants"]) == 100
    assert gap["instants"][0] == gap["from"] < gap["until"]


async def test_a_calendar_is_the_ledgers_own_future(key: Api, tenant: Tenant, database: Database) -> None:
    live = await make_live(tenant, cron="*/7 3 * * *", timezone="Europe/Berlin")
    answer = await key.get(f"/api/v1/schedules/{live.schedule.id}/calendar?count=3")
    async with database.connection() as connection:
        first = await connection.fetchval("SELECT next_due FROM schedule_states")
    assert answer.json["data"][0]["utc"][:19] == first.isoformat()[:19]
    assert len(answer.json["data"]) == 3
    later = await key.get(f"/api/v1/schedules/{live.schedule.id}/calendar?from=1900000000000&count=1")
    assert later.json["data"][0]["utc"].startswith("2030-03-1")


async def test_a_repair_runs_exactly_what_was_missed_and_only_once(
    key: Api, tenant: Tenant, database: Database
) -> None:
    live = await behind(tenant, timedelta(hours=1))
    before = len(await live.ledger())
    answer = await key.post(f"/api/v1/schedules/{live.schedule.id}/repair")
    assert answer.status == 202
    told = answer.json["data"]
    assert told["repaired"] in (50, 51)
    assert told["left"] == 0
    assert (await key.get(f"/api/v1/schedules/{live.schedule.id}/gaps")).json["data"] == []
    assert len(await live.ledger()) == before + told["repaired"]
    repaired = await key.get("/api/v1/flow-runs?filter[trigger]=repair&per_page=1")
    assert repaired.json["meta"]["total"] == told["repaired"]
    again = await key.post(f"/api/v1/schedules/{live.schedule.id}/repair")
    assert again.json["data"] == {"schedule_id": live.schedule.id, "repaired": 0, "left": 0}
    async with database.connection() as connection:
        state = await connection.fetchrow("SELECT * FROM schedule_states")
    assert (state["active_runs"], state["buffered_runs"]) == (before + told["repaired"], 0)


async def test_a_repair_without_overlap_begins_one_after_the_other(
    key: Api, tenant: Tenant, database: Database
) -> None:
    live = await behind(tenant, timedelta(minutes=5), overlap_policy="skip", catchup_window_seconds=0)
    async with database.connection() as connection:
        await connection.execute("UPDATE runs SET status = 'success', finished_at = now() WHERE status = 'queued'")
        await connection.execute("UPDATE schedule_states SET active_runs = 0")
    told = (await key.post(f"/api/v1/schedules/{live.schedule.id}/repair")).json["data"]
    async with database.connection() as connection:
        state = await connection.fetchrow("SELECT * FROM schedule_states")
        first = await connection.fetchval(
            "SELECT scheduled_for = (SELECT min(scheduled_for) FROM runs WHERE trigger = 'repair')"
            " FROM runs WHERE trigger = 'repair' AND NOT buffered"
        )
    assert (state["active_runs"], state["buffered_runs"]) == (1, told["repaired"] - 1)
    assert first
