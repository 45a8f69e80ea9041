"""Two versions beside each other: what differs, how to get from one to the other, and what their runs say."""

from __future__ import annotations

import copy
import json
from datetime import timedelta
from math import comb

import jsonpatch
import pytest

from core.domain.matching import bare
from core.domain.runs import RunStatus
from core.operations.schedules import create_schedule
from tests.support.api import Api
from tests.support.comparisons import PUMP, changed, pair, run_second
from tests.support.metrics import fold_all, run_some
from tests.support.runs import make_runnable
from tests.support.tenants import Tenant, make_tenant


async def test_what_differs_is_told_by_what_it_is(api: Api, tenant: Tenant) -> None:
    path, one, other = await pair(tenant)
    found = (await api.get(path)).json["data"]
    assert [(found[name]["id"], found[name]["name"]) for name in "ab"] == [(one.id, "v1"), (other.id, "v2")]
    assert [found[name]["digest"] for name in "ab"] == [one.digest.hex(), other.digest.hex()]
    changes = found["changes"]
    assert not found["is_same"]
    assert changes["nodes"]["added"] == [{"id": "wait", "type": "DelayNode", "label": None}]
    assert changes["nodes"]["removed"] == []
    assert changes["nodes"]["changed"] == [
        {
            "id": "judge",
            "type": "ConditionalNode",
            "label": "Too high?",
            "changes": [
                {
                    "path": "/config/expression",
                    "before": "{{data.bar}} > 4.25",
                    "after": "{{data.bar}} > {{globals.limitBar}}",
                    "is_cut": False,
                }
            ],
            "is_whole": True,
        }
    ]
    assert changes["edges"] == {
        "added_count": 2,
        "removed_count": 1,
        "added": [
            {"from_type": "node", "from": "wait", "output": 0, "to": "tell"},
            {"from_type": "node", "from": "judge", "output": 1, "to": "wait"},
        ],
        "removed": [{"from_type": "node", "from": "judge", "output": 1, "to": "tell"}],
    }
    (trigger,) = changes["triggers"]["changed"]
    assert [change["path"] for change in trigger["changes"]] == ["/config/seconds"]
    assert (changes["globals"]["changed_count"], changes["settings"]) == (0, [])


async def test_the_patch_makes_the_one_of_the_other(api: Api, tenant: Tenant) -> None:
    path, *_ = await pair(tenant)
    found = (await api.get(path)).json["data"]
    patched = jsonpatch.apply_patch(bare(PUMP), found["patch"])
    by_id = {node["id"]: node for node in patched["nodes"]}
    assert by_id == {node["id"]: node for node in bare(changed())["nodes"]}
    assert patched["triggers"] == bare(changed())["triggers"]
    whole = jsonpatch.apply_patch(PUMP, found["patch"])
    assert whole["nodes"][0]["meta"] == PUMP["nodes"][0]["meta"], "what stayed is drawn where it was"
    assert found["patch_coarse"] == []


async def test_a_version_does_not_differ_from_itself(api: Api, tenant: Tenant) -> None:
    path, one, _ = await pair(tenant)
    found = (await api.get(f"{path.rpartition('/')[0]}/{one.id}")).json["data"]
    assert (found["is_same"], found["patch"]) == (True, [])
    assert found["a"] == found["b"]


async def test_layout_alone_is_no_difference(api: Api, tenant: Tenant) -> None:
    moved = copy.deepcopy(PUMP)
    moved["nodes"].reverse()
    moved["nodes"][0]["meta"].update(x=9, y=9)
    path, *_ = await pair(tenant, moved)
    found = (await api.get(path)).json["data"]
    assert found["a"]["digest"] != found["b"]["digest"]
    assert (found["is_same"], found["patch"]) == (True, [])


async def test_schedules_are_compared_by_their_rules(api: Api, tenant: Tenant) -> None:
    path, one, other = await pair(tenant, PUMP)
    for version, given in (
        (one, {"cron_string": "0 3 * * *", "timezone": "Europe/Berlin"}),
        (one, {"cron_string": "*/5 * * * *"}),
        (other, {"cron_string": "0 3 * * *", "timezone": "Europe/Berlin", "paused": True, "pause_reason": "Harvest"}),
        (other, {"cron_string": "*/5 * * * *"}),
        (other, {"cron_string": "0 * * * *", "deployed_at": None}),
    ):
        await create_schedule(tenant.principal, tenant.database, version.id, given)
    found = (await api.get(path)).json["data"]
    told = found["changes"]["schedules"]
    assert not found["is_same"]
    assert told["added"] == [{"cron_string": "0 * * * *", "timezone": "UTC"}]
    (altered,) = told["changed"]
    assert (altered["cron_string"], altered["timezone"]) == ("0 3 * * *", "Europe/Berlin")
    assert {change["path"]: change.get("after") for change in altered["changes"]} == {
        "/paused": True,
        "/pause_reason": "Harvest",
    }


async def test_a_long_value_is_cut_around_what_is_new_in_it(api: Api, tenant: Tenant) -> None:
    before, after = copy.deepcopy(PUMP), copy.deepcopy(PUMP)
    script = "\n".join(f"line {number};" for number in range(1_000))
    before["nodes"][0]["config"] = {"script": script, "numbers": list(range(1_000))}
    after["nodes"][0]["config"] = {"script": script.replace("line 900;", "other;"), "numbers": [1]}
    flow = await tenant.make_flow()
    one = await tenant.make_version(flow, "v1", json.dumps(before))
    other = await tenant.make_version(flow, "v2", json.dumps(after))
    found = (await api.get(f"/api/v1/flows/{flow.id}/versions/{one.id}/compare/{other.id}")).json["data"]
    script_change, numbers = found["changes"]["nodes"]["changed"][0]["changes"]
    assert script_change["is_cut"]
    assert "line 899;\nother;\nline 901;" in script_change["after"]
    assert "line 899;\nline 900;\nline 901;" in script_change["before"]
    assert len(script_change["after"]) < 500
    assert (numbers["is_cut"], numbers["after"], numbers["before"][:6]) == (True, [1], "[0,1,2")
    assert jsonpatch.apply_patch(before, found["patch"]) == after, "the patch has all of it"


async def test_whole_numbers_of_any_length_come_back(api: Api, tenant: Tenant) -> None:
    before, after = copy.deepcopy(PUMP), copy.deepcopy(PUMP)
    before["nodes"][0]["config"], after["nodes"][0]["config"] = {"n": 10**60}, {"n": 10**60 + 1}
    path, *_ = await pair(tenant, before)
    flow_path = path.rpartition("/versions/")[0]
    flow = await tenant.read_flow(int(flow_path.rpartition("/")[2]))
    third = await tenant.make_version(flow, "v3", json.dumps(after))
    second = path.rpartition("/")[2]
    answer = await api.get(f"{flow_path}/versions/{second}/compare/{third.id}")
    (change,) = json.loads(answer.raw)["data"]["changes"]["nodes"]["changed"][0]["changes"]
    assert (change["before"], change["after"]) == (10**60, 10**60 + 1)


@pytest.mark.leaves_jobs
async def test_runs_are_counted_and_slower_has_a_confidence(api: Api, tenant: Tenant) -> None:
    runnable = await make_runnable(tenant, None)
    second = await tenant.make_version(runnable.flow, "v2", json.dumps(PUMP))
    path = f"/api/v1/flows/{runnable.flow.id}/versions/{runnable.version.id}/compare/{second.id}"
    nothing = (await api.get(path)).json["data"]["runs"]
    assert (nothing["a"]["count"], nothing["failures"], nothing["duration"]) == (0, None, None)
    await run_some(runnable, *[RunStatus.SUCCESS] * 30, took=timedelta(milliseconds=100))
    await run_second(runnable, second, [RunStatus.FAILURE] * 8 + [RunStatus.SUCCESS] * 22, timedelta(milliseconds=900))
    await fold_all(tenant.database)
    runs = (await api.get(path)).json["data"]["runs"]
    assert (runs["a"]["count"], runs["a"]["failures"], runs["a"]["failure_rate"]) == (30, 0, 0.0)
    assert (runs["b"]["count"], runs["b"]["failures"]) == (30, 8)
    assert (runs["failures"]["test"], runs["failures"]["verdict"]) == ("fisher_exact", "fails_more")
    chance = 2 * comb(30, 8) / comb(60, 8)  # that all eight are of the one or all of the other
    assert runs["failures"]["p_value"] == pytest.approx(chance)
    assert runs["failures"]["confidence"] == pytest.approx(1 - chance)
    assert runs["failures"]["difference_from"] < 8 / 30 < runs["failures"]["difference_to"]
    duration = runs["duration"]
    assert (duration["test"], duration["verdict"]) == ("mann_whitney_u", "slower")
    assert duration["confidence"] > 0.9999
    assert duration["chance_of_slower"] == 1
    assert 5 < duration["median_ratio"] < 10
    assert 100 <= runs["a"]["duration_ms"]["p50"] < 400
    other_way = path.replace(f"{runnable.version.id}/compare/{second.id}", f"{second.id}/compare/{runnable.version.id}")
    turned = (await api.get(other_way)).json["data"]["runs"]
    assert (turned["failures"]["verdict"], turned["duration"]["verdict"]) == ("fails_less", "faster")
    past = (await api.get(f"{path}?filter[to]=2020-01-01T00:00:00Z")).json["data"]["runs"]
    assert (past["a"]["count"], past["b"]["count"], past["duration"]) == (0, 0, None)


async def test_versions_of_another_flow_or_company_are_unknown(api: Api, tenant: Tenant) -> None:
    path, one, _ = await pair(tenant)
    _, elsewhere, _ = await pair(tenant)
    stranger = await make_tenant(tenant.database, "Stranger")
    _, theirs, _ = await pair(stranger)
    base = path.rpartition("/versions/")[0]
    for a, b in ((one.id, elsewhere.id), (elsewhere.id, one.id), (one.id, theirs.id), (theirs.id, one.id), (one.id, 0)):
        answer = await api.get(f"{base}/versions/{a}/compare/{b}")
        assert (answer.status, answer.json) == (404, {"message": "Flow version was not found"})
    assert (await api.get(path.replace(base, "/api/v1/flows/999999"))).status == 404


async def test_a_range_that_ends_before_it_begins_is_refused(api: Api, tenant: Tenant) -> None:
    path, *_ = await pair(tenant)
    later, sooner = "2026-11-21T10:00:00Z", "2026-11-20T10:00:00Z"
    answer = await api.get(f"{path}?filter[from]={later}&filter[to]={sooner}")
    assert (answer.status, list(answer.json["errors"])) == (422, ["filter[from]"])
    assert (await api.get(f"{path}?filter[from]={sooner}&filter[to]={sooner}")).status == 200
    for name in ("filter[from]", "filter[to]"):
        for value in ("NaN", "inf", "-1", "yesterday", "1e3"):
            assert (await api.get(f"{path}?{name}={value}")).status == 422
    assert (await api.get(f"{path}?filter[status]=success")).status == 400


async def test_a_token_that_may_not_read_metrics_sees_none(api: Api, tenant: Tenant) -> None:
    path, *_ = await pair(tenant)
    for scopes, seen in ((("flowVersion.get",), False), (("flowVersion.get", "flowVersion.stats"), True)):
        token = await tenant.make_token(*scopes)
        found = (await api.as_(f"Bearer {token.secret}").get(path)).json["data"]
        assert (found["runs"] is not None, len(found["patch"])) == (seen, 4)
    found = (await api.as_(tenant.key).get(path)).json["data"]
    assert found["runs"]["a"]["count"] == 0, "whoever reads everything reads this"


async def test_drafts_are_compared_too(api: Api, tenant: Tenant) -> None:
    path, one, _ = await pair(tenant)
    flow_path = path.rpartition("/versions/")[0]
    draft = (await api.post(f"{flow_path}/versions/{one.id}/copy")).json["data"]
    found = (await api.get(f"{flow_path}/versions/{one.id}/compare/{draft['id']}")).json["data"]
    assert (found["is_same"], found["b"]["name"], found["b"]["status"]) == (True, None, "Draft")
