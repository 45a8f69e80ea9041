"""The schedules of a version over HTTP: what is stored, what is refused and where, and what a preview shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.domain.flows import Flow
from core.domain.stored_schedules import MOST_SCHEDULES
from core.domain.versions import Version
from tests.api.cases import assert_answer
from tests.support.api import Api, Reply
from tests.support.contents import unchanged
from tests.support.tenants import Tenant

HOURLY = "0 * * * *"


@pytest.fixture
async def flow(tenant: Tenant) -> Flow:
    return await tenant.make_flow()


@pytest.fixture
async def version(tenant: Tenant, flow: Flow) -> Version:
    return await tenant.make_version(flow, "v1")


@pytest.fixture
def path(version: Version) -> str:
    return f"/api/v1/flow-versions/{version.id}/schedules"


async def make(api: Api, path: str, **given: Any) -> dict[str, Any]:
    answer = await api.post(path, {"cron_string": HOURLY, **given})
    assert answer.status == 200, answer.raw
    made: dict[str, Any] = answer.json["data"]
    return made


async def put(api: Api, path: str, made: dict[str, Any], **given: Any) -> Reply:
    return await api.send("PUT", f"{path}/{made['id']}", given)


def assert_named(answer: Reply, name: str, problem: str) -> None:
    assert_answer(answer, 422, {"message": f"{name}: {problem}", "errors": {name: [problem]}})


async def test_a_schedule_has_what_it_was_given_and_defaults_for_the_rest(
    api: Api, version: Version, path: str
) -> None:
    before = datetime.now(UTC)
    made = await make(api, path)
    assert before - timedelta(seconds=1) < datetime.fromisoformat(made.pop("deployed_at")) < datetime.now(UTC)
    assert made["created_at"] == made["updated_at"]
    assert {name: made[name] for name in made if name not in ("id", "created_at", "updated_at")} == {
        "flow_version_id": version.id,
        "cron_string": HOURLY,
        "timezone": "UTC",
        "overlap_policy": "skip",
        "catchup_window_seconds": 600,
        "paused": False,
        "pause_reason": None,
    }
    given = {
        "cron_string": " 30  2 * * 0 ",
        "timezone": "Europe/Berlin",
        "overlap_policy": "buffer_one",
        "catchup_window_seconds": 0,
        "paused": True,
        "pause_reason": "until the move is over",
        "deployed_at": "2999-12-31T23:59:59.123456Z",
    }
    full = await make(api, path, **given)
    assert {name: full[name] for name in given} == given


async def test_when_it_counts_from_is_now_or_never_or_ahead_or_past(api: Api, path: str) -> None:
    assert (await make(api, path))["deployed_at"] is not None
    assert (await make(api, path, deployed_at=None))["deployed_at"] is None
    ahead = await make(api, path, deployed_at="2030-01-01T00:00:00+02:00")
    assert ahead["deployed_at"] == "2029-12-31T22:00:00.000000Z"
    past = await make(api, path, deployed_at="2001-01-01t00:00:00.123456789z")
    assert past["deployed_at"] == "2001-01-01T00:00:00.123456Z"


async def test_schedules_can_be_written_on_any_version(api: Api, tenant: Tenant, flow: Flow, version: Version) -> None:
    await tenant.make_draft(flow)
    await tenant.deploy(flow, await tenant.make_version(flow, "live"))
    async with tenant.database.connection() as connection:
        rows = await connection.fetch("SELECT id, status FROM flow_versions WHERE flow_id = $1", flow.id)
    assert {row["status"] for row in rows} == {"Draft", "Inactive", "Deployed"}
    for row in rows:
        path = f"/api/v1/flow-versions/{row['id']}/schedules"
        made = await make(api, path)
        assert (await put(api, path, made, cron_string="5 * * * *")).status == 200
        assert (await api.delete(f"{path}/{made['id']}")).status == 200


async def test_they_are_listed_page_by_page_as_they_were_made(api: Api, path: str) -> None:
    made = [await make(api, path, cron_string=f"{minute} * * * *") for minute in range(5)]
    page = await api.get(f"{path}?page=2&per_page=2")
    assert page.json["data"] == made[2:4]
    assert (page.json["meta"]["total"], page.json["meta"]["last_page"], page.json["meta"]["from"]) == (5, 3, 3)
    assert page.json["links"]["next"].endswith(f"{path}?per_page=2&page=3")
    assert (await api.get(f"{path}?page=9")).json["data"] == []
    assert (await api.get(path)).json["data"] == made


async def test_a_change_changes_what_it_names_and_nothing_else(api: Api, path: str) -> None:
    made = await make(api, path, timezone="Asia/Kathmandu")
    answer = await put(api, path, made, cron_string="15 4 * * 1-5", catchup_window_seconds=60.0)
    changed = answer.json["data"]
    assert changed.pop("updated_at") > made.pop("updated_at")
    assert changed == {**made, "cron_string": "15 4 * * 1-5", "catchup_window_seconds": 60}
    silent = (await put(api, path, made, deployed_at=None)).json["data"]
    assert silent["deployed_at"] is None
    assert (await put(api, path, made, timezone="UTC")).json["data"]["deployed_at"] is None, "absent is no change"


async def test_a_change_that_changes_nothing_leaves_no_trace(api: Api, tenant: Tenant, path: str) -> None:
    made = await make(api, path)
    async with unchanged(tenant.database):
        for given in ({}, {"cron_string": HOURLY}, {"deployed_at": made["deployed_at"], "paused": False}):
            answer = await put(api, path, made, **given)
            assert (answer.json["data"], answer.headers["ETag"]) == (made, '"r1"')


async def test_a_reason_goes_with_its_pause(api: Api, path: str) -> None:
    problem = "is there only while the schedule is paused"
    assert_named(await api.post(path, {"cron_string": HOURLY, "pause_reason": "why"}), "pause_reason", problem)
    made = await make(api, path)
    assert_named(await put(api, path, made, pause_reason="why"), "pause_reason", problem)
    paused = (await put(api, path, made, paused=True, pause_reason="why")).json["data"]
    assert (paused["paused"], paused["pause_reason"]) == (True, "why")
    assert_named(await put(api, path, made, paused=False, pause_reason="why"), "pause_reason", problem)
    resumed = (await put(api, path, made, paused=False)).json["data"]
    assert (resumed["paused"], resumed["pause_reason"]) == (False, None)


async def test_a_deleted_schedule_is_gone_and_said_to_be(api: Api, path: str) -> None:
    made, other = await make(api, path), await make(api, path)
    assert_answer(await api.delete(f"{path}/{made['id']}"), 200, {"message": "The schedule was deleted."})
    unknown = {"message": "Schedule was not found"}
    assert_answer(await api.delete(f"{path}/{made['id']}"), 404, unknown)
    assert_answer(await put(api, path, made, paused=True), 404, unknown)
    assert (await api.get(path)).json["data"] == [other]


async def test_a_version_has_so_many_at_most(api: Api, tenant: Tenant, path: str) -> None:
    made = await make(api, path)
    async with tenant.database.connection() as connection:
        names = "company_id, flow_id, flow_version_id, cron_string, timezone, overlap_policy, catchup_window_seconds"
        names += ", paused, created_by_type, updated_by_type"
        await connection.execute(
            f"INSERT INTO schedules ({names}) SELECT {names} FROM schedules, generate_series(2, {MOST_SCHEDULES})"
        )
    problem = f"A version can have {MOST_SCHEDULES} schedules, and this one has as many."
    async with unchanged(tenant.database):
        assert_answer(await api.post(path, {"cron_string": HOURLY}), 409, {"message": problem})
    assert (await api.delete(f"{path}/{made['id']}")).status == 200
    await make(api, path)


async def test_a_write_can_be_guarded(api: Api, tenant: Tenant, path: str) -> None:
    first = await api.post(path, {"cron_string": HOURLY})
    made, seen = first.json["data"], {"If-Match": first.headers["ETag"]}
    address = f"{path}/{made['id']}"
    second = await api.send("PUT", address, {"paused": True}, headers=seen)
    assert (second.status, second.headers["ETag"]) == (200, '"r2"')
    async with unchanged(tenant.database):
        for method, body in (("PUT", {"paused": False}), ("DELETE", None)):
            assert (await api.send(method, address, body, headers=seen)).status == 412
    assert (await api.delete(address, headers={"If-Match": second.headers["ETag"]})).status == 200


async def test_what_was_done_is_in_the_audit_trail(api: Api, tenant: Tenant, version: Version, path: str) -> None:
    made = await make(api, path, deployed_at=None)
    await put(api, path, made, cron_string="5 * * * *", deployed_at="2030-01-01T00:00:00Z")
    await api.delete(f"{path}/{made['id']}")
    async with tenant.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT action, details->>'version' AS version, details->'changes' AS changes,"
            " details->'rules'->>'cron_string' AS cron FROM audit_events"
            " WHERE subject_type = 'schedule' AND subject_id = $1 ORDER BY id",
            made["id"],
        )
    assert [row["action"] for row in rows] == ["schedule.create", "schedule.change", "schedule.delete"]
    assert [row["cron"] for row in rows] == [HOURLY, None, "5 * * * *"], "the deleted one can still be read"
    assert {row["version"] for row in rows} == {str(version.id)}
    assert '"cron_string": {"after": "5 * * * *", "before": "0 * * * *"}' in rows[1]["changes"]


async def test_the_schedules_of_what_is_deleted_are_unknown(
    api: Api, tenant: Tenant, flow: Flow, version: Version, path: str
) -> None:
    made = await make(api, path)
    await api.delete(f"/applications/{tenant.application}/flows/{flow.id:024x}/versions/v1")
    for answer in (await api.get(path), await api.post(path, {"cron_string": HOURLY}), await put(api, path, made)):
        assert_answer(answer, 404, {"message": "Flow version was not found"})


@pytest.mark.leaves_jobs
async def test_the_schedules_of_a_flow_that_is_being_removed_are_unknown(
    api: Api, tenant: Tenant, flow: Flow, path: str
) -> None:
    made = await make(api, path)
    await api.delete(f"/applications/{tenant.application}/flows/{flow.id:024x}")
    for answer in (await api.get(path), await api.post(path, {"cron_string": HOURLY}), await put(api, path, made)):
        assert_answer(answer, 404, {"message": "Flow version was not found"})


# What is refused, and where


REFUSED = {
    "0 0 * * * *": "field 6, character 11: there are 6 fields and five are understood, without seconds or years",
    "0 0 * * * 2027": "field 6, character 11: there are 6 fields and five are understood, without seconds or years",
    "* * * *": "weekday, character 8: is missing; five fields are needed (minute hour day month weekday)",
    "": "minute, character 1: is missing; five fields are needed (minute hour day month weekday)",
    "R * * * *": "minute, character 1: 'R' is not understood here; there are numbers and * , - /",
    "0 H * * *": "hour, character 3: 'H' is not understood here; there are numbers and * , - /",
    "61 * * * *": "minute, character 1: 61 is not from 0 to 59",
    "0 0 * * 7": "weekday, character 9: 7 is not from 0 to 6; Sunday is 0",
    "0 0 30 2 *": "day, character 5: no such day is in any of these months, so it never fires",
    "0 0 * JAN *": "month, character 7: names are not understood; write 1 for JAN",
    "0 0 * * MON-FRI": "weekday, character 9: names are not understood; write 1 for MON",
    "0 22-2 * * *": "hour, character 3: the range 22-2 runs backwards; write 22-23,0-2",
    "*/90 * * * *": "minute, character 3: a step of 90 is not from 1 to 60",
    "@daily": "minute, character 1: a macro such as @daily is not understood; write five fields, 0 0 * * *",
    "\u0661 * * * *": r"minute, character 1: '\u0661' is not understood here; there are numbers and * , - /",
    "0 \uff13 * * *": r"hour, character 3: '\uff13' is not understood here; there are numbers and * , - /",
    "0\u00a00 * * *": "minute, character 2: only spaces and tabs separate fields",
    "0," * 5_000 + "0 * * * *": "expression, character 129: has 10009 characters and may have 128",
}


@pytest.mark.parametrize("cron_string", REFUSED, ids=lambda text: ascii(text[:20]))
async def test_an_expression_that_cannot_be_is_refused_with_its_place(
    api: Api, tenant: Tenant, path: str, cron_string: str
) -> None:
    made = await make(api, path)
    async with unchanged(tenant.database):
        for answer in (
            await api.post(path, {"cron_string": cron_string}),
            await put(api, path, made, cron_string=cron_string),
        ):
            assert_named(answer, "cron_string", REFUSED[cron_string])
            assert len(answer.raw) < 500, "a long expression must not come back"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("Europe/Nowhere", "is not a time zone; write a name of the IANA database such as UTC or Europe/Berlin"),
        ("europe/berlin", "is not a time zone; write Europe/Berlin"),
        ("+02:00", "is not a time zone; write a name of the IANA database such as UTC or Europe/Berlin"),
        ("../../etc/passwd", "is not a time zone; write a name of the IANA database such as UTC or Europe/Berlin"),
        ("Factory", "is not a time zone; write a name of the IANA database such as UTC or Europe/Berlin"),
        ("", "Length must be between 1 and 64."),
    ],
)
async def test_a_zone_that_does_not_exist_is_refused(
    api: Api, tenant: Tenant, path: str, name: str, problem: str
) -> None:
    made = await make(api, path)
    async with unchanged(tenant.database):
        for answer in (
            await api.post(path, {"cron_string": HOURLY, "timezone": name}),
            await put(api, path, made, timezone=name),
            await api.post("/api/v1/schedules/preview", {"cron_string": HOURLY, "timezone": name}),
        ):
            assert_named(answer, "timezone", problem)


FORM = "must be a date and time with its zone, such as 2026-11-21T10:00:00Z"
NO_DATE = "is no date and time that there is"
OTHER_YEARS = "must be of the years 1970 to 2999"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("soon", FORM),
        ("2026-11-21", FORM),
        ("2026-11-21T10:00:00", FORM),
        ("2026-11-21 10:00:00Z", FORM),
        ("\u0662026-11-21T10:00:00Z", FORM),
        ("2026-11-21T10:00:00Z\n", FORM),
        ("2026-02-30T10:00:00Z", NO_DATE),
        ("2026-11-21T24:00:00Z", NO_DATE),
        ("2026-11-21T10:00:60Z", NO_DATE),
        ("2026-11-21T10:00:00+24:00", NO_DATE),
        ("0000-01-01T00:00:00Z", NO_DATE),
        ("9999-12-31T23:59:59Z", OTHER_YEARS),
        ("9999-12-31T23:59:59-14:00", OTHER_YEARS),
        ("0001-01-01T00:00:00+14:00", OTHER_YEARS),
    ],
)
async def test_what_is_no_instant_is_refused(api: Api, tenant: Tenant, path: str, text: str, problem: str) -> None:
    made = await make(api, path)
    async with unchanged(tenant.database):
        assert_named(await api.post(path, {"cron_string": HOURLY, "deployed_at": text}), "deployed_at", problem)
        assert_named(await put(api, path, made, deployed_at=text), "deployed_at", problem)
        preview = await api.post("/api/v1/schedules/preview", {"cron_string": HOURLY, "from": text})
        assert_named(preview, "from", problem)


# The preview


async def preview(api: Api, cron_string: str, **given: Any) -> dict[str, Any]:
    answer = await api.post("/api/v1/schedules/preview", {"cron_string": cron_string, **given})
    assert answer.status == 200, answer.raw
    shown: dict[str, Any] = answer.json
    return shown


async def test_a_preview_shows_the_days_the_clocks_change(api: Api) -> None:
    spring = await preview(api, "30 2 * * *", timezone="Europe/Berlin", count=2, **{"from": "2027-03-27T12:00:00Z"})
    assert spring["data"] == [
        {
            "nominal": "2027-03-28T02:30:00",
            "utc": "2027-03-28T01:30:00.000000Z",
            "local": "2027-03-28T03:30:00+02:00",
            "offset": "+02:00",
            "warnings": ["DST_GAP"],
        },
        {
            "nominal": "2027-03-29T02:30:00",
            "utc": "2027-03-29T00:30:00.000000Z",
            "local": "2027-03-29T02:30:00+02:00",
            "offset": "+02:00",
            "warnings": [],
        },
    ]
    assert spring["meta"]["warnings"] == ["DST_GAP"]
    autumn = await preview(api, "30 * * * *", timezone="Europe/Berlin", count=4, **{"from": "2026-10-24T23:00:00Z"})
    assert [(entry["local"], entry["warnings"]) for entry in autumn["data"]] == [
        ("2026-10-25T01:30:00+02:00", []),
        ("2026-10-25T02:30:00+02:00", ["DST_REPEAT"]),
        ("2026-10-25T02:30:00+01:00", ["DST_REPEAT"]),
        ("2026-10-25T03:30:00+01:00", []),
    ]


async def test_a_preview_begins_now_and_shows_ten_in_utc(api: Api) -> None:
    before = datetime.now(UTC).replace(second=0, microsecond=0)
    shown = await preview(api, "* * * * *")
    instants = [datetime.fromisoformat(entry["utc"]) for entry in shown["data"]]
    assert instants == [instants[0] + timedelta(minutes=number) for number in range(10)]
    assert before < instants[0] <= datetime.now(UTC) + timedelta(minutes=1)
    meta = shown["meta"]
    assert (meta["timezone"], meta["complete"], meta["warnings"]) == ("UTC", False, [])
    assert datetime.fromisoformat(meta["until"]) - datetime.fromisoformat(meta["from"]) == timedelta(days=1830)


async def test_a_preview_includes_the_instant_it_begins_with(api: Api) -> None:
    for start, first in (
        ("2026-11-21T10:00:00Z", "2026-11-21T10:00:00.000000Z"),
        ("2026-11-21T10:00:00.000001Z", "2026-11-21T11:00:00.000000Z"),
    ):
        assert (await preview(api, HOURLY, count=1, **{"from": start}))["data"][0]["utc"] == first


async def test_a_preview_says_what_surprises(api: Api) -> None:
    never = await preview(api, "0 0 30 2 *")
    assert (never["data"], never["meta"]["complete"], never["meta"]["warnings"]) == ([], True, ["NEVER_FIRES"])
    either = await preview(api, "0 0 13 * 5", count=1.0)
    assert (len(either["data"]), either["meta"]["warnings"]) == (1, ["DOM_DOW_OR"])
    far = {"from": "2096-03-01T00:00:00Z"}
    leap = await preview(api, "0 0 29 2 *", **far)
    assert (leap["data"], leap["meta"]["warnings"]) == ([], ["NEVER_FIRES"]), "2100 is no leap year"


async def test_a_preview_ends_where_time_does(api: Api) -> None:
    last = await preview(api, "0 0 31 12 *", **{"from": "2999-01-01T00:00:00Z"})
    assert ([entry["utc"] for entry in last["data"]], last["meta"]["complete"]) == (
        ["2999-12-31T00:00:00.000000Z"],
        True,
    )


async def test_a_preview_in_a_zone_of_odd_offsets(api: Api) -> None:
    shown = await preview(api, "0 0 * * *", timezone="Africa/Monrovia", count=1, **{"from": "1970-06-01T00:00:00Z"})
    assert shown["data"][0]["local"] == "1970-06-01T00:00:00-00:44:30"
    assert shown["data"][0]["offset"] == "-00:44:30"
