"""Version metrics over HTTP, from what runners answered to what is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from core.domain.runs import RunStatus
from core.store.database import Database
from tests.support.api import Api
from tests.support.machinery import Machinery
from tests.support.metrics import end, fold_all, move, run_some
from tests.support.receiver import Receiver, Reply
from tests.support.runs import Runnable, make_runnable, read_run, report
from tests.support.tenants import Tenant


@pytest.fixture
def key(anonymous: Api, tenant: Tenant) -> Api:
    return anonymous.as_(tenant.key)


async def ask(api: Api, runnable: Runnable, query: str = "") -> list[Mapping[str, Any]]:
    answer = await api.get(f"/api/v1/flows/{runnable.flow.id}/version-metrics?per_page=100&{query}")
    assert answer.status == 200, answer.raw
    rows: list[Mapping[str, Any]] = answer.json["data"]
    return rows


def values(rows: list[Mapping[str, Any]]) -> dict[str, float]:
    return {row["key"]: row["value"] for row in rows}


async def test_what_runners_answered_is_told(
    key: Api, tenant: Tenant, machinery: Machinery, database: Database
) -> None:
    async with Receiver() as runner:
        runner.script(
            report(metrics={"rows": 3, "a,b:c": -1.5}), report(status="failure", metrics={"rows": 4}), Reply(200)
        )
        runnable = await make_runnable(tenant, runner.url)
        for _ in range(3):
            await runnable.start({"a": 1})
            await machinery.drain()
    await fold_all(database)
    rows = await ask(key, runnable, "filter[interval]=day")
    assert {row["flow_version_id"] for row in rows} == {runnable.version.id}
    assert {row["interval"] for row in rows} == {"day"}
    assert {row["period_start"][10:] for row in rows} == {"T00:00:00.000000Z"}
    of = {kind: values([row for row in rows if row["type"] == kind]) for kind in {row["type"] for row in rows}}
    assert of["runs"] == {"success": 2, "failure": 1, "attempts": 3}
    assert of["payload"] == dict.fromkeys(of["payload"], 7) | {"count": 3, "sum": 21}
    assert of["custom"] == {
        "rows:avg": 3.5, "rows:count": 2, "rows:max": 4, "rows:min": 3, "rows:sum": 7,
        "rows:p50": of["custom"]["rows:p50"], "rows:p95": 4, "rows:p99": 4,
        "a,b:c:avg": -1.5, "a,b:c:count": 1, "a,b:c:max": -1.5, "a,b:c:min": -1.5, "a,b:c:sum": -1.5,
        "a,b:c:p50": -1.5, "a,b:c:p95": -1.5, "a,b:c:p99": -1.5,
    }  # fmt: skip
    assert abs(of["custom"]["rows:p50"] - 3) <= 3 / 64
    assert set(of["duration"]) == set(of["lateness"]) == set(of["payload"])
    assert of["duration"]["count"] == of["lateness"]["count"] == 3
    assert 0 < of["duration"]["min"] <= of["duration"]["p50"] <= of["duration"]["p99"] <= of["duration"]["max"]


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("filter[type]=runs", {"success", "failure"}),
        ("filter[type]=runs,duration&filter[key]=success,p95", {"success", "p95"}),
        ("filter[key]=p95", {"p95"}),
        ("filter[key]=rows:max", {"rows:max"}),
        ("filter[key]=rows:max,p50,failure,other", {"rows:max", "p50", "failure"}),
        ("filter[type]=custom,runs&filter[key]=rows:sum,success", {"rows:sum", "success"}),
        (
            "filter[type]=custom",
            {f"rows:{stat}" for stat in ("avg", "count", "max", "min", "p50", "p95", "p99", "sum")},
        ),
        ("filter[key]=other", set()),
        ("filter[type]=payload", set()),
        ("filter[type]=custom&filter[key]=p95", set()),
        ("filter[version]={version}&filter[key]=failure", {"failure"}),
        ("filter[version]=999&filter[key]=failure", set()),
        ("filter[to]={past}", set()),
        ("filter[from]={future}", set()),
        ("filter[from]={now}&filter[to]={now}&filter[interval]=day", set()),
    ],
)
@pytest.mark.leaves_jobs
async def test_numbers_are_narrowed(key: Api, tenant: Tenant, database: Database, query: str, keys: set[str]) -> None:
    runnable = await make_runnable(tenant, None)
    await run_some(runnable, RunStatus.SUCCESS, RunStatus.FAILURE)
    await end(runnable, await runnable.start(), metrics={"rows": 1})
    await fold_all(database)
    now = datetime.now(UTC)
    asked = query.format(
        version=runnable.version.id,
        now="2026-01-01T00:00:00Z",
        past=quote((now - timedelta(days=1)).isoformat()),
        future=quote((now + timedelta(days=1)).isoformat()),
    )
    rows = await ask(key, runnable, asked)
    assert set(values(rows)) == keys
    one = await key.get(f"/api/v1/flows/{runnable.flow.id}/version-metrics?per_page=1&{asked}")
    assert one.json["meta"]["total"] == len(rows)


@pytest.mark.leaves_jobs
async def test_pages_follow_each_other_in_any_order(key: Api, tenant: Tenant, database: Database) -> None:
    runnable = await make_runnable(tenant, None)
    for _ in range(3):
        await run_some(runnable, RunStatus.SUCCESS, RunStatus.FAILURE)
        await end(runnable, await runnable.start({"a": 1}), metrics={"rows": 1})
        await move(database, timedelta(hours=5))
    await fold_all(database)
    everything = [row for page in (1, 2, 3, 4) for row in await ask(key, runnable, f"page={page}")]
    order = [(row["type"], row["period_start"]) for row in everything]
    assert order == sorted(order)
    places = {(row["interval"], row["period_start"], row["type"], row["key"]) for row in everything}
    assert len(places) == len(everything)
    for sort in ("-period_start", "key,-interval", "type,-period_start", "-flow_version_id"):
        path = f"/api/v1/flows/{runnable.flow.id}/version-metrics?per_page=7&sort={sort}"
        found: list[Mapping[str, Any]] = []
        while path:
            answer = await key.get(path)
            assert answer.json["meta"]["total"] == len(everything)
            found += answer.json["data"]
            path = (answer.json["links"]["next"] or "").removeprefix("http://penstock.example")
        assert {(row["interval"], row["period_start"], row["type"], row["key"]) for row in found} == places
        assert len(found) == len(everything)
        if sort == "-period_start":
            assert [row["period_start"] for row in found] == sorted(
                (row["period_start"] for row in found), reverse=True
            )


async def test_a_flow_that_never_ran_has_an_empty_page(key: Api, tenant: Tenant) -> None:
    flow = await tenant.make_flow()
    answer = await key.get(f"/api/v1/flows/{flow.id}/version-metrics")
    assert (answer.status, answer.json["data"], answer.json["meta"]["total"]) == (200, [], 0)


TEN_YEARS = "filter[from]=2016-01-01T00:00:00Z&filter[to]=2025-12-31T00:00:00Z"


@pytest.mark.parametrize(
    ("query", "status", "told"),
    [
        ("filter[from]=2026-02-01T00:00:00Z&filter[to]=2026-01-01T00:00:00Z", 422, "must not be later than filter[to]"),
        (f"{TEN_YEARS}&filter[interval]=5m", 422, "must be at most 31 days before filter[to] for the interval 5m"),
        (TEN_YEARS, 422, "must be at most 31 days before filter[to] for the interval 5m"),
        (f"{TEN_YEARS}&filter[interval]=day,hour", 422, "must be at most 366 days before filter[to]"),
        (f"{TEN_YEARS}&filter[interval]=day", 200, None),
        ("filter[from]=0&filter[interval]=day", 422, "must be at most 3660 days before filter[to]"),
        ("filter[to]=0001-01-01T00:00:00Z", 200, None),
        ("filter[from]=9999-12-31T23:59:59Z", 200, None),
        ("filter[interval]=minute", 422, "must be one or more of 5m, hour, day"),
        ("filter[type]=speed", 422, "must be one or more of runs, duration, lateness, payload, custom"),
        ("filter[key]=p42", 422, "must be one or more of attempts, failure"),
        ("filter[colour]=red", 400, "Allowed filter(s) are `interval, type, key, version, from, to`."),
        ("sort=value", 400, "Allowed sort(s) are `type, period_start, flow_version_id, key, interval`."),
    ],
)
async def test_what_cannot_be_asked_is_refused(
    key: Api, tenant: Tenant, query: str, status: int, told: str | None
) -> None:
    flow = await tenant.make_flow()
    answer = await key.get(f"/api/v1/flows/{flow.id}/version-metrics?{query}")
    assert answer.status == status
    assert told is None or told in answer.json["message"]


@pytest.mark.parametrize(
    "metrics",
    [
        '{"' + "n" * 10_000 + '":1}',
        '{"a\\u0000":1}',
        '{"a":NaN}',
        '{"a":Infinity}',
        '{"a":1e999}',
        '{"a":"1"}',
        '{"":1}',
    ],
    ids=["10 kB", "NUL", "NaN", "infinity", "too large", "a text", "no name"],
)
async def test_what_a_runner_cannot_mean_ends_its_run_and_is_not_counted(
    key: Api, tenant: Tenant, machinery: Machinery, database: Database, metrics: str
) -> None:
    async with Receiver() as runner:
        runner.script(Reply(200, {"Content-Type": "application/json"}, f'{{"metrics":{metrics}}}'.encode()))
        runnable = await make_runnable(tenant, runner.url)
        run = await runnable.start()
        await machinery.drain()
    row = await read_run(tenant, run)
    assert (row["status"], row["reason"]) == ("failure", "bad_answer")
    assert len(row["message"]) < 1_000
    await fold_all(database)
    rows = await ask(key, runnable, "filter[interval]=hour")
    assert values([row for row in rows if row["type"] == "runs"]) == {"attempts": 1, "failure": 1}
    assert not [row for row in rows if row["type"] == "custom"]


async def test_values_whose_names_are_too_many_are_counted(
    key: Api, tenant: Tenant, machinery: Machinery, database: Database
) -> None:
    async with Receiver() as runner:
        runner.script(*(report(metrics={f"{n}-{m}": m for m in range(100)}) for n in range(3)))
        runnable = await make_runnable(tenant, runner.url)
        for _ in range(3):
            await runnable.start()
            await machinery.drain()
    await fold_all(database)
    assert values(await ask(key, runnable, "filter[key]=other&filter[interval]=5m")) == {"other": 100}
    answer = await key.get(f"/api/v1/flows/{runnable.flow.id}/version-metrics?filter[type]=custom&filter[interval]=5m")
    assert answer.json["meta"]["total"] == 200 * 8 + 1
