"""Every way of reading a job, at random moments of many jobs' lives: they never disagree."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from yarl import URL

from core.domain.identifiers import hex_id
from core.domain.jobs import ClaimedJob
from core.operations import deletions, jobs
from tests.support.api import Api
from tests.support.machinery import Machinery
from tests.support.smtp import SmtpCatcher
from tests.support.tenants import Tenant

ITEMS = 40


async def claim(machinery: Machinery) -> ClaimedJob:
    (name,) = await machinery.deliver()
    job = await machinery.runner._claim(name)
    assert job is not None
    return job


async def read(api: Api, job_id: str) -> dict[str, Any]:
    reply = await api.get(f"/api/v1/jobs/{job_id}")
    assert reply.status == 200
    document: dict[str, Any] = reply.json["data"]
    return document


async def events(api: Api, job_id: str, last: str | None = None) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Server-sent events as (id, data), until the server ends the stream."""
    headers = {"Authorization": str(api.credential), **({"Last-Event-ID": last} if last else {})}
    async with api.session.get(URL(f"{api.url}/api/v1/jobs/{job_id}/events"), headers=headers) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
        number = ""
        async for raw in answer.content:
            line = raw.decode().rstrip("\n")
            if line.startswith("id: "):
                number = line[4:]
            elif line.startswith("data: "):
                yield number, orjson.loads(line[6:])["data"]


async def lines(api: Api, job_id: str) -> list[dict[str, Any]]:
    reply = await api.get(f"/api/v1/jobs/{job_id}/results", headers={"Accept": "application/x-ndjson"})
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/x-ndjson"
    return [orjson.loads(line) for line in reply.raw.splitlines()]


async def _work_when_staged(machinery: Machinery) -> None:
    """As the relay and a worker would, as soon as there is something to do."""
    for _ in range(10_000):
        if await machinery.step():
            return
    raise AssertionError("nothing was ever staged")


async def agree(api: Api, tenant: Tenant, job_id: str) -> None:
    """Reads the job, which stands still for the moment, in every way there is."""
    document = await read(api, job_id)
    (listed,) = (await api.get("/api/v1/jobs?per_page=1")).json["data"]
    assert listed == document
    number, first = await anext(events(api, job_id))
    assert first == document
    items = await lines(api, job_id)
    paged = [
        item
        for page in (1, 2, 3)
        for item in (await api.get(f"/api/v1/jobs/{job_id}/results?per_page=20&page={page}")).json["data"]
    ]
    assert paged == items
    outcomes = [item["outcome"] for item in items]
    result = document["result"]
    assert len(items) == result["matched"] == document["progress"]["total"]
    assert (outcomes.count("removed"), outcomes.count("failed")) == (result["removed"], result["failed"])
    assert outcomes.count("pending") == document["progress"]["total"] - document["progress"]["done"]
    reasons = [item["reason"] for item in items if item["reason"]]
    assert {reason: reasons.count(reason) for reason in reasons} == result["reasons"]
    log = (await api.get(f"/applications/{tenant.application}/jobLogs/{job_id}")).json
    assert log["progress"]["completed"] == document["progress"]["done"]
    assert log["status"] == {"in_progress": "inProgress", "cancelled": "failed"}.get(
        document["status"], document["status"]
    )
    stored = await jobs.find_job(tenant.database, job_id)
    assert stored is not None
    assert str(stored.revision) == number


@pytest.mark.parametrize("seed", range(6))
async def test_all_surfaces_agree_at_every_moment(
    tenant: Tenant, api: Api, machinery: Machinery, smtp: SmtpCatcher, seed: int
) -> None:
    chance = random.Random(seed)
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, ITEMS)
    await tenant.deploy(flow, await tenant.make_version(flow, "live"))
    job_id = await tenant.ask_deletion(flow, email="ops@example.com")
    await agree(api, tenant, job_id)
    job = await claim(machinery)
    await agree(api, tenant, job_id)
    while True:
        batch = await deletions.delete_batch(
            tenant.database, job, limit=chance.randint(1, 15), terms=machinery.tools.terms
        )
        await agree(api, tenant, job_id)
        if batch.finished:
            break
        if chance.random() < 0.15:
            await api.post(f"/api/v1/jobs/{job_id}/cancel")
            await agree(api, tenant, job_id)
    await machinery.drain()
    await agree(api, tenant, job_id)
    assert len(smtp.letters) == 1


@pytest.mark.parametrize("page", [2, 43_000_000, 999_999_999])
async def test_a_page_of_results_beyond_the_last_is_empty(
    tenant: Tenant, api: Api, machinery: Machinery, page: int
) -> None:
    """Places are counted in 32 bits where they are stored; what is asked for need not fit."""
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 30)
    job_id = await tenant.ask_deletion(flow)
    await machinery.drain()
    await tenant.make_versions(flow, 1)
    undo_id = (await api.post(f"/api/v1/jobs/{job_id}/undo")).json["jobId"]
    await machinery.drain()
    for name, total in ((job_id, 30), (undo_id, 1)):
        reply = await api.get(f"/api/v1/jobs/{name}/results?per_page=50&page={page}")
        assert (reply.status, reply.json["data"], reply.json["meta"]["total"]) == (200, [], total)


async def test_events_follow_a_job_to_its_end(tenant: Tenant, api: Api, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 30)
    job_id = await tenant.ask_deletion(flow)
    seen: list[tuple[int, dict[str, Any]]] = []
    began = asyncio.Event()

    async def follow() -> None:
        async for number, document in events(api, job_id):
            seen.append((int(number), document))
            began.set()

    following = asyncio.create_task(follow())
    await began.wait()
    await machinery.drain()
    await following

    assert seen[0][1]["status"] == "queued"
    assert seen[-1][1] == await read(api, job_id)
    assert seen[-1][1]["status"] == "completed"
    assert [number for number, _ in seen] == sorted({number for number, _ in seen}), "revisions only rise"


async def test_resuming_shows_the_current_state_if_newer(tenant: Tenant, api: Api, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 3)
    job_id = await tenant.ask_deletion(flow)
    number, _ = await anext(events(api, job_id))
    await machinery.drain()
    resumed = [event async for event in events(api, job_id, last=number)]
    assert [document["status"] for _, document in resumed] == ["completed"]
    again = await api.get(f"/api/v1/jobs/{job_id}/events", headers={"Last-Event-ID": resumed[-1][0]})
    assert again.status == 204, "there is nothing more to come back for"


async def test_prefer_wait_answers_with_the_outcome_in_time(tenant: Tenant, api: Api, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 3)
    path = f"/applications/{tenant.application}/flows/{hex_id(flow.id)}/versions/delete"
    prefer = {"Prefer": "respond-async, wait=20"}

    reply, _ = await asyncio.gather(api.post(path, {"query": {}}, headers=prefer), _work_when_staged(machinery))
    assert (reply.status, reply.json) == (200, {"removed": 3, "failed": 0})
    job_id = reply.headers["Location"].rpartition("/")[2]
    assert (await read(api, job_id))["status"] == "completed"


async def test_prefer_wait_gives_up_with_the_usual_answer(tenant: Tenant, api: Api, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    path = f"/applications/{tenant.application}/flows/{hex_id(flow.id)}/versions/delete"
    for prefer in ("wait=0", "respond-async", "wait=x", "wait=0.5, respond-async"):
        reply = await api.post(path, {"query": {}}, headers={"Prefer": prefer})
        assert reply.status == 202, prefer
        assert set(reply.json) == {"success", "jobQueued", "jobId"}
    await machinery.drain()


async def test_a_dry_run_counts_and_writes_nothing(tenant: Tenant, api: Api) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 120)
    await tenant.make_draft(flow)
    live = await tenant.make_version(flow, "vlive")
    await tenant.deploy(flow, live)
    base = f"/applications/{tenant.application}/flows/{hex_id(flow.id)}/versions"
    async with tenant.database.connection() as connection:
        before = await connection.fetchval("SELECT count(*) FROM audit_events")
    reply = await api.post(
        f"{base}/delete?dryRun=true", {"query": {"version": {"$startsWith": "v"}}, "email": "a@b.example"}
    )
    assert reply.status == 200
    assert (reply.json["matched"], reply.json["protected"], len(reply.json["sample"])) == (121, 1, 100)
    assert [one["id"] for one in reply.json["sample"]] == sorted(one["id"] for one in reply.json["sample"])
    assert reply.json["sample"][0]["version"] == "v1"
    async with tenant.database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM jobs") == 0
        assert await connection.fetchval("SELECT count(*) FROM audit_events") == before
        assert await connection.fetchval("SELECT count(*) FROM flow_versions") == 122
    refused = await api.post(f"{base}/delete?dryRun=true", {"query": {"nobody": 1}})
    assert refused.status == 400, "the same checks as the real call"


async def test_undo_over_http(tenant: Tenant, api: Api, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 3)
    job_id = await tenant.ask_deletion(flow)
    early = await api.post(f"/api/v1/jobs/{job_id}/undo")
    assert early.status == 409
    await machinery.drain()
    assert (await read(api, job_id))["links"]["undo"].endswith(f"/api/v1/jobs/{job_id}/undo")
    first, second = [await api.post(f"/api/v1/jobs/{job_id}/undo") for _ in range(2)]
    assert (first.status, first.json) == (second.status, second.json)
    assert set(first.json) == {"success", "jobQueued", "jobId"}
    await machinery.drain()
    told = await read(api, first.json["jobId"])
    assert (told["kind"], told["status"], told["result"]["removed"]) == ("undo_deletion", "completed", 3)
    assert len(await tenant.names(flow)) == 3
    assert await lines(api, first.json["jobId"]) == []


async def test_the_trash_over_http(tenant: Tenant, api: Api) -> None:
    flow = await tenant.make_flow()
    await tenant.make_version(flow, "a")
    base = f"/applications/{tenant.application}/flows/{hex_id(flow.id)}/versions"
    assert (await api.delete(f"{base}/a")).status == 200
    reply = await api.get(f"/api/v1/flows/{flow.id}/trash")
    (entry,) = reply.json["data"]
    assert (entry["name"], entry["reason"], entry["job"], reply.json["meta"]["total"]) == ("a", "deleted", None, 1)
    restored = await api.post(f"/api/v1/flows/{flow.id}/trash/{entry['id']}/restore")
    assert restored.status == 200
    assert (await api.get(f"{base}/a")).json["id"] == restored.json["data"]["hex_id"]
    again = await api.post(f"/api/v1/flows/{flow.id}/trash/{entry['id']}/restore")
    assert again.status == 404


async def test_if_match_guards_every_write_of_a_version(tenant: Tenant, api: Api) -> None:
    flow = await tenant.make_flow()
    await tenant.make_version(flow, "a")
    path = f"/applications/{tenant.application}/flows/{hex_id(flow.id)}/versions"
    seen = (await api.get(f"{path}/a")).headers["ETag"]
    changed = await api.patch(f"{path}/a", {"notes": "new"}, headers={"If-Match": seen})
    assert (changed.status, changed.json["notes"]) == (200, "new")
    stale = {"If-Match": seen}
    assert (await api.patch(f"{path}/a", {"notes": "stale"}, headers=stale)).status == 412
    assert (await api.delete(f"{path}/a", headers=stale)).status == 412
    assert (await api.post(f"{path}?allowReplacement=true", {"version": "a"}, headers=stale)).status == 412
    assert (await api.get(f"{path}/a")).json["notes"] == "new"
    for accepted in ("{}", '"other", {}', "*"):
        header = {"If-Match": accepted.format(changed.headers["ETag"])}
        changed = await api.patch(f"{path}/a", {"enabled": True}, headers=header)
        assert changed.status == 200, accepted


async def test_if_match_guards_every_write_of_a_flow(tenant: Tenant, api: Api, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    path = f"/applications/{tenant.application}/flows/{hex_id(flow.id)}"
    seen = (await api.get(path)).headers["ETag"]
    version = await tenant.make_version(flow, "a")
    await tenant.deploy(flow, version)
    stale = {"If-Match": seen}
    assert (await api.patch(path, {"name": "x"}, headers=stale)).status == 412, "a deploy changes the flow"
    assert (await api.delete(path, headers=stale)).status == 412
    fresh = (await api.get(path)).headers["ETag"]
    assert (await api.delete(path, headers={"If-Match": fresh})).status == 200
    await machinery.drain()


async def test_lists_are_narrowed_by_query_and_filter(tenant: Tenant, api: Api) -> None:
    flow = await tenant.make_flow()
    for name in ("nightly-1", "nightly-2", "release%1"):
        await tenant.make_version(flow, name)
    path = f"/applications/{tenant.application}/flows/{hex_id(flow.id)}/versions"

    async def names(**asked: str) -> list[str]:
        reply = await api.get(str(URL(path).with_query(asked)))
        assert reply.status == 200, reply.json
        assert reply.json["totalCount"] == len(reply.json["items"])
        return [one["version"] for one in reply.json["items"]]

    assert await names(filter="nightly*") == ["nightly-1", "nightly-2"]
    assert await names(filterField="version", filter="*1") == ["nightly-1", "release%1"]
    assert await names(filter="release%1") == ["release%1"]
    assert await names(filter="%") == []
    assert await names(query='{"version": {"$contains": "%"}}', filter="nightly*") == ["release%1"], "query wins"
    assert len(await names(query="{}")) == 3
    envelope = (await api.get(f"{path}?filter=n*&filterField=version")).json
    assert (envelope["filter"], envelope["filterField"]) == ("n*", "version")
    assert "filter" not in (await api.get(path)).json
    for bad in ("[]", "{", '{"nobody":1}', '{"a":1,"a":2}'):
        reply = await api.get(str(URL(path).with_query(query=bad)))
        assert (reply.status, reply.json["type"]) == (400, "Validation"), bad
        assert "query" in reply.json["message"]


async def test_a_bulk_job_of_one_company_does_not_wait_for_anothers(
    tenant: Tenant, stranger: Tenant, machinery: Machinery
) -> None:
    """The cap on running bulk jobs is a company's own."""
    flow, other = await tenant.make_flow(), await stranger.make_flow()
    for _ in range(5):
        await tenant.ask_deletion(flow)
    await stranger.ask_deletion(other)
    first = await machinery.deliver()
    assert len(first) == 3, "two of the first company, one of the second"
    for name in first:
        await machinery.runner.run(name)
    assert await machinery.drain() == ["settled"] * 3
