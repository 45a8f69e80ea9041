"""Losant's application job log: the same jobs as under /api/v1/jobs, in Losant's words."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from core.domain.access import ActorType, Principal
from core.domain.identifiers import hex_id
from core.domain.jobs import Job
from core.operations import jobs
from core.store.database import Database
from tests.api.cases import assert_error
from tests.api.jobs.test_jobs import accept, start
from tests.api.test_flows import INSTANT
from tests.support.api import Api
from tests.support.arrangements import make_sibling
from tests.support.machinery import Machinery
from tests.support.paths import flow_path, job_logs_path, versions_path
from tests.support.tenants import Tenant
from tests.support.trash import empty_trash


async def record(tenant: Tenant, name: str) -> Job:
    return await jobs.read_job(tenant.principal, tenant.database, name)


async def test_an_entry_tells_what_was_asked_and_what_became_of_it(
    api: Api, tenant: Tenant, machinery: Machinery
) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 3)
    await tenant.deploy(flow, await tenant.make_version(flow, "deployed"))
    raw = b'{"query":{"version": {"$ne":"v1"}},"email":"ops@example.com","callbackUrl":"http://127.0.0.1:9/x"}'
    accepted = await api.post(f"{versions_path(tenant, flow)}/delete", raw=raw)
    name = accepted.json["jobId"]
    number = hex_id((await record(tenant, name)).id)
    queued = (await api.get(f"{job_logs_path(tenant)}/{number}")).json
    assert INSTANT.fullmatch(queued["runQueuedAt"])
    assert queued == {
        "id": number,
        "jobId": number,
        "name": "Bulk delete of flow versions",
        "applicationId": tenant.application,
        "runQueuedAt": queued["runQueuedAt"],
        "status": "queued",
        "requestedByType": "apiToken",
        "requestedById": hex_id(tenant.token_id),
        "ownerType": "application",
        "ownerId": tenant.application,
        "resourceType": "application",
        "resourceId": tenant.application,
        "progress": {"completed": 0, "total": 3, "status": "queued"},
        "input": {
            "jobId": name,
            "query": '{"version": {"$ne":"v1"}}',
            "emails": ["ops@example.com"],
            "callbackUrl": "http://127.0.0.1:9/x",
        },
    }
    await start(machinery, name)
    running = (await api.get(f"{job_logs_path(tenant)}/{number}")).json
    assert INSTANT.fullmatch(running["runStartedAt"])
    assert {**running, "runStartedAt": ""} == {
        **queued,
        "status": "inProgress",
        "runStartedAt": "",
        "progress": {"completed": 0, "total": 3, "status": "inProgress"},
    }
    await _lose_worker(machinery)
    await machinery.drain()
    ended = (await api.get(f"{job_logs_path(tenant)}/{number}")).json
    assert (ended["status"], ended["output"]) == ("completed", {"removed": 2, "failed": 1})
    assert ended["progress"] == {"completed": 3, "total": 3, "status": "completed"}
    assert INSTANT.fullmatch(ended["runCompletedAt"])
    assert "error" not in ended
    await _give_up_callbacks(machinery)


async def _lose_worker(machinery: Machinery) -> None:
    async with machinery.tools.database.connection() as connection:
        await connection.execute("UPDATE jobs SET leased_until = now() - interval '1 s' WHERE status = 'in_progress'")
    await machinery.rescuer.run_once()


async def _give_up_callbacks(machinery: Machinery) -> None:
    """Nobody listens on port 9, and the callback would be tried for an hour."""
    database = machinery.tools.database
    for job in await jobs.list_recent_jobs(database, "queued", 10):
        operator = Principal(job.company_id, ActorType.CLI, None)
        await jobs.discard_job(operator, database, job, machinery.tools.terms)


async def test_an_entry_is_found_by_either_form_of_its_id(api: Api, tenant: Tenant, machinery: Machinery) -> None:
    name = await accept(tenant)
    number = hex_id((await record(tenant, name)).id)
    answers = [await api.get(f"{job_logs_path(tenant)}/{form}") for form in (name, number, number.upper())]
    assert {(answer.status, answer.raw) for answer in answers} == {(200, answers[0].raw)}
    await machinery.drain()


async def test_a_cancelled_job_reads_as_failed_and_says_why(api: Api, tenant: Tenant) -> None:
    """Losant has no word for it."""
    name = await accept(tenant, 2)
    await api.post(f"/api/v1/jobs/{name}/cancel")
    entry = (await api.get(f"{job_logs_path(tenant)}/{name}")).json
    assert (entry["status"], entry["progress"]["status"]) == ("failed", "failed")
    assert entry["error"] == {"name": "Cancelled", "message": "The job was cancelled before its end."}
    assert entry["output"] == {"removed": 0, "failed": 2}
    assert "runStartedAt" not in entry


@pytest.mark.parametrize(("removed", "status"), [(0, "failed"), (2, "errored")])
async def test_a_job_that_gave_up_says_why(
    api: Api, tenant: Tenant, machinery: Machinery, removed: int, status: str
) -> None:
    """Errored is one that had already removed something."""
    name = await accept(tenant, 3)
    await start(machinery, name, items=removed)
    async with tenant.database.connection() as connection:
        await connection.execute("UPDATE jobs SET failures = 11")
    await _lose_worker(machinery)
    entry = (await api.get(f"{job_logs_path(tenant)}/{name}")).json
    assert (entry["status"], entry["progress"]["status"]) == (status, status)
    assert (entry["error"]["name"], bool(entry["error"]["message"])) == ("worker_lost", True)
    assert entry["output"] == {"removed": removed, "failed": 3 - removed}
    native = (await api.get(f"/api/v1/jobs/{name}")).json["data"]
    assert (native["status"], native["error"]["code"]) == (status, "worker_lost")


async def test_who_has_no_word_is_the_system_and_an_error_may_have_no_message(
    api: Api, tenant: Tenant, machinery: Machinery
) -> None:
    """One and the same in the list and alone, before the end as well."""
    name = await accept(tenant, 1)
    async with tenant.database.connection() as connection:
        await connection.execute("UPDATE jobs SET requested_by_type = 'apiKey', requested_by_id = 7, error_code = 'x'")
    entry = (await api.get(f"{job_logs_path(tenant)}/{name}")).json
    assert (entry["requestedByType"], entry["requestedById"]) == ("system", hex_id(7))
    assert (entry["error"], entry["status"]) == ({"name": "x", "message": ""}, "queued")
    assert (await api.get(job_logs_path(tenant))).json["items"] == [entry]
    async with tenant.database.connection() as connection:
        await connection.execute("UPDATE jobs SET requested_by_type = 'cli', requested_by_id = NULL")
    entry = (await api.get(f"{job_logs_path(tenant)}/{name}")).json
    assert (entry["requestedByType"], "requestedById" in entry) == ("system", False)
    await machinery.drain()


async def test_the_removal_of_a_flow_is_an_entry_too(api: Api, tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 2)
    name = (await api.delete(flow_path(tenant, flow))).headers["Location"].rpartition("/")[2]
    await machinery.drain()
    entry = (await api.get(f"{job_logs_path(tenant)}/{name}")).json
    assert (entry["name"], entry["status"]) == ("Removal of a flow", "completed")
    assert entry["input"] == {"jobId": name}
    assert entry["output"] == {"removed": 2, "failed": 0}


async def test_the_log_is_in_order_of_acceptance_page_by_page(api: Api, tenant: Tenant, machinery: Machinery) -> None:
    names = [await accept(tenant, 1) for _ in range(5)]
    await accept(await make_sibling(tenant), 1)

    async def page(query: str) -> dict[str, Any]:
        answer = await api.get(job_logs_path(tenant) + query)
        assert answer.status == 200, answer.raw
        found: dict[str, Any] = answer.json
        return found

    def of(found: dict[str, Any]) -> list[str]:
        return [item["input"]["jobId"] for item in found["items"]]

    whole = await page("")
    assert of(whole) == names
    assert {key: value for key, value in whole.items() if key != "items"} == {
        "count": 5,
        "totalCount": 5,
        "page": 0,
        "perPage": 100,
        "sortField": "runQueuedAt",
        "sortDirection": "asc",
        "applicationId": tenant.application,
    }
    assert of(await page("?sortDirection=desc")) == names[::-1]
    assert of(await page("?sortDirection=DESC&perPage=2&page=1")) == [names[2], names[1]]
    beyond = await page("?perPage=2&page=9")
    assert (beyond["items"], beyond["count"], beyond["totalCount"]) == ([], 0, 5)
    alone = [(await api.get(f"{job_logs_path(tenant)}/{name}")).json for name in names]
    assert whole["items"] == alone
    await machinery.drain()


async def test_letters_are_no_entries(api: Api, tenant: Tenant, machinery: Machinery) -> None:
    """They are found on the job they tell about."""
    name = await accept(tenant, 1, email="ops@example.com")
    await machinery.drain()
    letter = (await api.get(f"/api/v1/jobs/{name}")).json["data"]["notifications"][0]["job"]
    log = (await api.get(job_logs_path(tenant))).json
    assert [item["input"]["jobId"] for item in log["items"]] == [name]
    number = hex_id((await record(tenant, letter)).id)
    for form in (letter, number):
        assert_error(await api.get(f"{job_logs_path(tenant)}/{form}"), 404, "NotFound", "Job was not found")


async def test_an_expired_entry_is_gone_and_another_applications_is_unknown(
    anonymous: Api, api: Api, tenant: Tenant, machinery: Machinery, database: Database
) -> None:
    name = await accept(tenant, 1)
    number = hex_id((await record(tenant, name)).id)
    await machinery.drain()
    await empty_trash(database)
    assert await jobs.expire_jobs(database, older_than=timedelta(0), limit=10) == 1
    sibling = await make_sibling(tenant)
    gone = "This job ended too long ago to be read; its record has expired."
    for form in (name, number):
        assert_error(await api.get(f"{job_logs_path(tenant)}/{form}"), 410, "Gone", gone)
        answer = await anonymous.as_(f"Bearer {sibling.token}").get(f"{job_logs_path(sibling)}/{form}")
        assert_error(answer, 404, "NotFound", "Job was not found")
    assert (await api.get(job_logs_path(tenant))).json["items"] == []
