"""Jobs over HTTP: one record, read alone, in lists and by whoever polls; and how a job is stopped."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from core.domain.identifiers import hex_id
from core.operations import jobs
from core.operations.deletions import delete_batch
from core.operations.settling import Terms
from core.settings import Settings
from core.store import jobs as store
from core.store.database import Connection, Database
from tests.api.cases import assert_answer
from tests.support.api import Api
from tests.support.arrangements import make_sibling
from tests.support.contents import unchanged
from tests.support.machinery import Machinery
from tests.support.paths import flow_path
from tests.support.receiver import Receiver
from tests.support.tenants import Tenant
from tests.support.trash import empty_trash

JOBS = "/api/v1/jobs"
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)

UNKNOWN = {"message": "Job was not found"}


async def accept(
    tenant: Tenant, versions: int = 3, *, email: str | None = None, callback_url: str | None = None
) -> str:
    """A queued bulk delete of that many versions."""
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, versions)
    return await tenant.ask_deletion(flow, email=email, callback_url=callback_url)


async def start(machinery: Machinery, name: str, *, items: int = 0) -> None:
    """Claims a job as a worker would and, with `items`, removes that many versions; then the worker falls silent."""
    database = machinery.tools.database
    found = await jobs.find_job(database, name)
    assert found is not None

    async def work(connection: Connection) -> Any:
        return await store.claim(connection, found.id, found.attempts, timedelta(seconds=60))

    claimed = await database.transaction(work)
    assert claimed is not None
    if items:
        await delete_batch(database, claimed, limit=items, terms=machinery.tools.terms)


async def read(api: Api, name: str) -> dict[str, Any]:
    answer = await api.get(f"{JOBS}/{name}")
    assert answer.status == 200, answer.raw
    data: dict[str, Any] = answer.json["data"]
    return data


# The document


async def test_a_job_tells_its_whole_story_from_queued_to_completed(
    api: Api, tenant: Tenant, machinery: Machinery, settings: Settings
) -> None:
    name = await accept(tenant, 3, email="ops@example.com")
    queued = await read(api, name)
    address = f"{settings.public_url}{JOBS}/{name}"
    of_items = {"results": f"{address}/results", "events": f"{address}/events"}
    assert INSTANT.fullmatch(queued["created_at"])
    assert queued == {
        "id": name,
        "kind": "delete_versions",
        "status": "queued",
        "progress": {"done": 0, "total": 3},
        "attempts": 0,
        "result": {"matched": 3, "removed": 0, "failed": 0, "reasons": {}},
        "error": None,
        "requested_by": {"type": "apiToken", "id": tenant.token_id},
        "created_at": queued["created_at"],
        "started_at": None,
        "finished_at": None,
        "undo_until": None,
        "notifications": [],
        "links": {"self": address, "cancel": f"{address}/cancel", **of_items},
    }

    await start(machinery, name, items=2)
    running = await read(api, name)
    assert (running["status"], running["attempts"]) == ("in_progress", 1)
    assert running["progress"] == {"done": 2, "total": 3}
    assert running["result"] == {"matched": 3, "removed": 2, "failed": 0, "reasons": {}}
    assert INSTANT.fullmatch(running["started_at"])
    assert INSTANT.fullmatch(running["undo_until"])

    await _forget_worker(machinery)
    await machinery.drain()
    ended = await read(api, name)
    letter = ended["notifications"][0]
    assert ended == {
        **running,
        "status": "completed",
        "attempts": 2,
        "progress": {"done": 3, "total": 3},
        "result": {"matched": 3, "removed": 3, "failed": 0, "reasons": {}},
        "error": None,
        "finished_at": ended["finished_at"],
        "notifications": [
            {
                "kind": "send_mail",
                "job": letter["job"],
                "to": "ops@example.com",
                "status": "completed",
                "attempts": 1,
                "error": None,
            }
        ],
        "links": {"self": address, **of_items, "undo": f"{address}/undo"},
    }
    assert INSTANT.fullmatch(ended["finished_at"])


async def _forget_worker(machinery: Machinery) -> None:
    """Lets the lease of a silent worker run out, and the rescuer find that."""
    async with machinery.tools.database.connection() as connection:
        await connection.execute("UPDATE jobs SET leased_until = now() - interval '1 s' WHERE status = 'in_progress'")
    await machinery.rescuer.run_once()


async def test_a_letter_is_a_job_that_can_be_looked_at(api: Api, tenant: Tenant, machinery: Machinery) -> None:
    name = await accept(tenant, 1, email="ops@example.com")
    await machinery.drain()
    letter = (await read(api, name))["notifications"][0]["job"]
    document = await read(api, letter)
    assert (document["kind"], document["status"]) == ("send_mail", "completed")
    assert (document["progress"], document["result"]) == (None, None)
    assert document["links"] == {"self": document["links"]["self"]}


async def test_a_callback_is_told_the_document_itself(api: Api, tenant: Tenant, machinery: Machinery) -> None:
    async with Receiver() as receiver:
        name = await accept(tenant, 1, callback_url=receiver.url)
        await machinery.drain()
        request = await receiver.next()
    document = await read(api, name)
    assert (document["notifications"][0]["kind"], document["notifications"][0]["status"]) == (
        "post_callback", "completed",
    )  # fmt: skip
    assert document["id"].encode() in request.body


async def test_a_job_is_found_by_its_number_in_hexadecimal_too(api: Api, tenant: Tenant, machinery: Machinery) -> None:
    """As the Losant job log shows it."""
    name = await accept(tenant)
    found = await jobs.read_job(tenant.principal, tenant.database, name)
    by_name, by_number = await api.get(f"{JOBS}/{name}"), await api.get(f"{JOBS}/{hex_id(found.id)}")
    assert by_name.raw == by_number.raw
    assert by_name.headers["ETag"] == by_number.headers["ETag"]
    await machinery.drain()


# Polling


async def test_a_poller_is_told_to_come_back_until_the_job_has_ended(
    api: Api, tenant: Tenant, machinery: Machinery
) -> None:
    name = await accept(tenant)
    path = f"{JOBS}/{name}"
    assert (await api.get(path)).headers["Retry-After"] == "1"
    await start(machinery, name, items=1)
    assert (await api.get(path)).headers["Retry-After"] == "1"
    await _forget_worker(machinery)
    await machinery.drain()
    assert "Retry-After" not in (await api.get(path)).headers


@pytest.mark.parametrize(
    "header", ["{}", "W/{}", '"other", {}', '{}, "other"', '"a",W/{},"b"', "*", " {} ", '"other" , *']
)
async def test_what_has_not_changed_is_not_sent_again(
    api: Api, tenant: Tenant, machinery: Machinery, header: str
) -> None:
    name = await accept(tenant, 1)
    path = f"{JOBS}/{name}"
    first = await api.get(path)
    assert re.fullmatch(r'"[0-9a-f]{32}"', first.headers["ETag"])
    known = {"If-None-Match": header.format(first.headers["ETag"])}
    again = await api.get(path, headers=known)
    assert (again.status, again.raw) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Retry-After"] == "1", "a poller needs it here too"
    assert "Content-Type" not in again.headers
    await machinery.drain()
    if "*" not in header:
        changed = await api.get(path, headers=known)
        assert (changed.status, changed.json["data"]["status"]) == (200, "completed")
        assert changed.headers["ETag"] != first.headers["ETag"]


@pytest.mark.parametrize("header", ['"other"', "", ",", "W/", "unquoted", '"{}', "{}x"])
async def test_what_a_poller_does_not_have_is_sent(api: Api, tenant: Tenant, machinery: Machinery, header: str) -> None:
    name = await accept(tenant, 1)
    etag = (await api.get(f"{JOBS}/{name}")).headers["ETag"]
    answer = await api.get(f"{JOBS}/{name}", headers={"If-None-Match": header.format(etag.strip('"'))})
    assert (answer.status, answer.json["data"]["id"]) == (200, name)
    await machinery.drain()


async def test_every_change_a_reader_can_see_changes_the_etag(api: Api, tenant: Tenant, machinery: Machinery) -> None:
    name = await accept(tenant, 4)
    tags = [(await api.get(f"{JOBS}/{name}")).headers["ETag"]]
    await start(machinery, name, items=1)
    tags.append((await api.get(f"{JOBS}/{name}")).headers["ETag"])
    await _forget_worker(machinery)
    tags.append((await api.get(f"{JOBS}/{name}")).headers["ETag"])
    await machinery.drain()
    tags.append((await api.get(f"{JOBS}/{name}")).headers["ETag"])
    assert len(set(tags)) == len(tags)
    assert (await api.get(f"{JOBS}/{name}")).headers["ETag"] == tags[-1]


# Who may


async def test_who_may_enqueue_a_job_may_read_it_and_nobody_else(
    anonymous: Api, tenant: Tenant, machinery: Machinery
) -> None:
    """A token of another kind answers like for a job there is not; a key reads all of its company."""
    versions = await accept(tenant)
    flow = await tenant.make_flow()
    made = await anonymous.as_(f"Bearer {tenant.token}").delete(flow_path(tenant, flow))
    removal = made.headers["Location"].rpartition("/")[2]

    async def reads(credential: str, name: str) -> int:
        answer = await anonymous.as_(credential).get(f"{JOBS}/{name}")
        assert answer.status != 404 or answer.json == UNKNOWN
        return answer.status

    of_versions = f"Bearer {(await tenant.make_token('flowVersions.delete')).secret}"
    of_flows = f"Bearer {(await tenant.make_token('flow.delete')).secret}"
    of_neither = f"Bearer {(await tenant.make_token('flowVersions.post', 'all.Application.read')).secret}"
    assert [await reads(of_versions, name) for name in (versions, removal)] == [200, 404]
    assert [await reads(of_flows, name) for name in (versions, removal)] == [404, 200]
    assert [await reads(of_neither, name) for name in (versions, removal, "A" * 21)] == [403] * 3
    assert [await reads(tenant.key, name) for name in (versions, removal)] == [200, 200]

    async def lists(credential: str) -> list[str]:
        answer = await anonymous.as_(credential).get(JOBS)
        return [job["id"] for job in answer.json["data"]]

    assert await lists(of_versions) == [versions]
    assert await lists(of_flows) == [removal]
    assert await lists(tenant.key) == [removal, versions]
    assert (await anonymous.as_(of_neither).get(JOBS)).json == {
        "message": "The token's scope does not include this operation."
    }
    await machinery.drain()


async def test_a_token_sees_its_own_application_and_a_key_all_of_its_company(
    anonymous: Api, tenant: Tenant, stranger: Tenant, machinery: Machinery
) -> None:
    sibling = await make_sibling(tenant)
    own, near, far = await accept(tenant), await accept(sibling), await accept(stranger)
    seen = {
        title: [job["id"] for job in (await anonymous.as_(credential).get(JOBS)).json["data"]]
        for title, credential in {
            "own token": f"Bearer {tenant.token}",
            "sibling token": f"Bearer {sibling.token}",
            "key": tenant.key,
            "stranger key": stranger.key,
        }.items()
    }
    assert seen == {"own token": [own], "sibling token": [near], "key": [near, own], "stranger key": [far]}
    assert (await anonymous.as_(tenant.key).post(f"{JOBS}/{near}/cancel")).status == 200
    assert_answer(await anonymous.as_(tenant.key).post(f"{JOBS}/{far}/cancel"), 404, UNKNOWN)
    await machinery.drain()


# Jobs there are no more


async def test_an_expired_job_is_gone_and_one_that_never_was_is_unknown(
    anonymous: Api, api: Api, tenant: Tenant, stranger: Tenant, machinery: Machinery, database: Database
) -> None:
    """Gone for whoever could have read it; for all others it never was."""
    name = await accept(tenant, 1, email="ops@example.com")
    await machinery.drain()
    number = (await jobs.read_job(tenant.principal, database, name)).id
    letter = (await read(api, name))["notifications"][0]["job"]
    await empty_trash(database)
    assert await jobs.expire_jobs(database, older_than=timedelta(0), limit=10) == 1

    message = {"message": "This job ended too long ago to be read; its record has expired."}
    for form in (name, hex_id(number), letter):
        assert_answer(await api.get(f"{JOBS}/{form}"), 410, message)
        assert_answer(await api.post(f"{JOBS}/{form}/cancel"), 410, message)
        assert_answer(await anonymous.as_(tenant.key).get(f"{JOBS}/{form}"), 410, message)
        sibling, flow_only = await make_sibling(tenant), await tenant.make_token("flow.delete")
        for credential in (f"Bearer {stranger.token}", stranger.key, f"Bearer {sibling.token}"):
            assert_answer(await anonymous.as_(credential).get(f"{JOBS}/{form}"), 404, UNKNOWN)
        if form != letter:
            assert_answer(await anonymous.as_(f"Bearer {flow_only.secret}").get(f"{JOBS}/{form}"), 404, UNKNOWN)
    assert_answer(await api.get(f"{JOBS}/{'A' * 21}"), 404, UNKNOWN)
    assert (await api.get(JOBS)).json["data"] == []

    async with database.connection() as connection:
        await store.forget_tombstones(connection, timedelta(0))
    assert_answer(await api.get(f"{JOBS}/{name}"), 404, UNKNOWN)


# Cancelling


async def test_a_queued_job_is_cancelled_at_once(api: Api, tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 3)
    name = await tenant.ask_deletion(flow, email="ops@example.com")
    answer = await api.post(f"{JOBS}/{name}/cancel")
    job = answer.json["data"]
    assert (answer.status, job["status"], job["started_at"]) == (200, "cancelled", None)
    assert job["result"] == {"matched": 3, "removed": 0, "failed": 3, "reasons": {"not_attempted": 3}}
    assert set(job["links"]) == {"self", "results", "events"}, "nothing was removed, so nothing can be undone"
    assert answer.headers["ETag"] == (await api.get(f"{JOBS}/{name}")).headers["ETag"]
    assert await machinery.drain() == ["done"], "the letter goes out, the deletion never starts"
    assert await tenant.names(flow) == ["v1", "v2", "v3"]


async def test_a_running_job_stops_at_its_next_batch(api: Api, tenant: Tenant, machinery: Machinery) -> None:
    name = await accept(tenant, 5)
    await start(machinery, name, items=2)
    for _ in range(2):
        answer = await api.post(f"{JOBS}/{name}/cancel")
        assert (answer.status, answer.json["data"]["status"]) == (200, "in_progress")
    await _forget_worker(machinery)
    await machinery.drain()
    job = await read(api, name)
    assert job["status"] == "cancelled"
    assert job["result"] == {"matched": 5, "removed": 2, "failed": 3, "reasons": {"not_attempted": 3}}


@pytest.mark.parametrize("end", ["completed", "cancelled", "failed"])
async def test_a_job_that_has_ended_cannot_be_cancelled(
    api: Api, tenant: Tenant, machinery: Machinery, database: Database, settings: Settings, end: str
) -> None:
    name = await accept(tenant)
    if end == "completed":
        await machinery.drain()
    elif end == "cancelled":
        await api.post(f"{JOBS}/{name}/cancel")
    else:
        await _fail(database, name, settings)
    before = await api.get(f"{JOBS}/{name}")
    assert before.json["data"]["status"] == end
    async with unchanged(database):
        answer = await api.post(f"{JOBS}/{name}/cancel")
    assert_answer(answer, 409, {"message": f"This job has already ended as {end}."})
    assert (await api.get(f"{JOBS}/{name}")).raw == before.raw


async def _fail(database: Database, name: str, settings: Settings) -> None:
    job = await jobs.find_job(database, name)
    assert job is not None

    async def work(connection: Connection) -> Any:
        return await store.claim(connection, job.id, job.attempts, timedelta(seconds=60))

    claimed = await database.transaction(work)
    await jobs.fail_job(database, claimed, ("worker_lost", "No."), Terms.of(settings))


async def test_the_removal_of_a_flow_cannot_be_cancelled(
    api: Api, tenant: Tenant, machinery: Machinery, database: Database
) -> None:
    """The flow is hidden already; stopping now would leave it half empty for ever."""
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 2)
    path = (await api.delete(flow_path(tenant, flow))).headers["Location"]
    async with unchanged(database):
        answer = await api.post(f"{path}/cancel")
    assert answer.status == 409
    assert answer.json["message"].startswith("The removal of a flow cannot be")
    assert "cancel" not in (await api.get(path)).json["data"]["links"]
    await machinery.drain()
    job = (await api.get(path)).json["data"]
    assert (job["kind"], job["status"]) == ("delete_flow", "completed")
    assert job["result"] == {"matched": 2, "removed": 2, "failed": 0, "reasons": {}}
    assert await tenant.names(flow) == []


async def test_what_follows_from_a_job_is_stopped_by_whoever_may_enqueue_that_job(
    anonymous: Api, tenant: Tenant, machinery: Machinery, database: Database
) -> None:
    """A token of the other kind may look at an undo and a letter, but neither stop them nor begin them."""
    of_versions = anonymous.as_(f"Bearer {(await tenant.make_token('flowVersions.delete')).secret}")
    of_flows = anonymous.as_(f"Bearer {(await tenant.make_token('flow.delete')).secret}")
    name = await accept(tenant, email="ops@example.com")
    await machinery.step()
    (letter,) = (await read(of_versions, name))["notifications"]
    assert_answer(await of_flows.post(f"{JOBS}/{name}/undo"), 404, UNKNOWN)
    undoing = (await of_versions.post(f"{JOBS}/{name}/undo")).json["jobId"]

    for following in (letter["job"], undoing):
        assert (await read(of_flows, following))["status"] == "queued"
        async with unchanged(database):
            answer = await of_flows.post(f"{JOBS}/{following}/cancel")
        assert_answer(answer, 403, {"message": "The token's scope does not include this operation."})
        assert (await of_versions.post(f"{JOBS}/{following}/cancel")).json["data"]["status"] == "cancelled"


async def test_the_undo_of_a_flows_removal_is_stopped_by_whoever_may_remove_flows(
    anonymous: Api, tenant: Tenant, machinery: Machinery
) -> None:
    of_versions = anonymous.as_(f"Bearer {(await tenant.make_token('flowVersions.delete')).secret}")
    of_flows = anonymous.as_(f"Bearer {(await tenant.make_token('flow.delete')).secret}")
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 2)
    removal = (await of_flows.delete(flow_path(tenant, flow))).headers["Location"]
    await machinery.drain()
    undoing = (await of_flows.post(f"{removal}/undo")).json["jobId"]
    assert (await of_versions.post(f"{JOBS}/{undoing}/cancel")).status == 403
    assert (await of_flows.post(f"{JOBS}/{undoing}/cancel")).json["data"]["status"] == "cancelled"


async def test_cancelling_takes_no_body_and_minds_none(api: Api, tenant: Tenant) -> None:
    for raw in (b"", b"{}", b"nonsense"):
        name = await accept(tenant)
        assert (await api.post(f"{JOBS}/{name}/cancel", raw=raw)).json["data"]["status"] == "cancelled"


# Lists


async def listed(api: Api, query: str = "") -> dict[str, Any]:
    answer = await api.get(JOBS + query)
    assert answer.status == 200, answer.raw
    page: dict[str, Any] = answer.json
    assert set(page) == {"data", "meta", "links"}
    assert set(page["meta"]) == {"current_page", "from", "last_page", "path", "per_page", "to", "total"}
    assert set(page["links"]) == {"first", "last", "prev", "next"}
    return page


@pytest.fixture
async def seven(tenant: Tenant, api: Api) -> list[str]:
    """Seven jobs, newest first: cancelled and queued by turns."""
    names = [await accept(tenant, 1) for _ in range(7)]
    for name in names[::2]:
        await api.post(f"{JOBS}/{name}/cancel")
    return names[::-1]


@pytest.mark.leaves_jobs
async def test_a_page_of_jobs_says_where_it_stands(api: Api, seven: list[str], settings: Settings) -> None:
    path = f"{settings.public_url}{JOBS}"
    page = await listed(api, "?per_page=3&page=2")
    assert [job["id"] for job in page["data"]] == seven[3:6]
    assert page["meta"] == {
        "current_page": 2, "from": 4, "last_page": 3, "path": path, "per_page": 3, "to": 6, "total": 7,
    }  # fmt: skip
    assert page["links"] == {
        "first": f"{path}?per_page=3&page=1",
        "last": f"{path}?per_page=3&page=3",
        "prev": f"{path}?per_page=3&page=1",
        "next": f"{path}?per_page=3&page=3",
    }


@pytest.mark.leaves_jobs
async def test_the_first_the_last_and_the_pages_beyond(api: Api, seven: list[str]) -> None:
    first, last, beyond = [await listed(api, f"?per_page=3&page={number}") for number in (1, 3, 4)]
    assert (first["links"]["prev"], first["meta"]["from"], first["meta"]["to"]) == (None, 1, 3)
    assert (last["links"]["next"], last["meta"]["from"], last["meta"]["to"]) == (None, 7, 7)
    assert (beyond["data"], beyond["links"]["next"]) == ([], None)
    assert (beyond["meta"]["from"], beyond["meta"]["to"]) == (None, None)
    assert (beyond["meta"]["current_page"], beyond["meta"]["last_page"], beyond["meta"]["total"]) == (4, 3, 7)
    assert [job["id"] for page in (first, last) for job in page["data"]] == [*seven[:3], *seven[6:]]


async def test_no_jobs_are_one_empty_page(api: Api, settings: Settings) -> None:
    page = await listed(api)
    path = f"{settings.public_url}{JOBS}"
    assert page["data"] == []
    assert page["meta"] == {
        "current_page": 1, "from": None, "last_page": 1, "path": path, "per_page": 15, "to": None, "total": 0,
    }  # fmt: skip
    assert (page["links"]["prev"], page["links"]["next"]) == (None, None)


@pytest.mark.leaves_jobs
async def test_links_lead_through_all_pages_with_the_filters_they_came_with(api: Api, seven: list[str]) -> None:
    query = "?per_page=2&filter%5Bstatus%5D=queued,cancelled&filter%5Bkind%5D=delete_versions&unheard=of"
    found: list[str] = []
    while query:
        page = await listed(api, query)
        found += [job["id"] for job in page["data"]]
        following = urlsplit(page["links"]["next"] or "")
        query = f"?{following.query}" if following.query else ""
        if query:
            kept = parse_qs(following.query)
            assert kept["filter[status]"] == ["queued,cancelled"]
            assert kept["filter[kind]"] == ["delete_versions"]
    assert found == seven


@pytest.mark.leaves_jobs
async def test_a_filter_takes_one_word_or_several(api: Api, seven: list[str], tenant: Tenant) -> None:
    removal = (await api.delete(flow_path(tenant, await tenant.make_flow()))).headers["Location"].rpartition("/")[2]
    cancelled, queued = seven[0::2], seven[1::2]
    for query, expected in {
        "": [removal, *seven],
        "?filter[status]=cancelled": cancelled,
        "?filter[status]=queued": [removal, *queued],
        "?filter[status]=queued,cancelled": [removal, *seven],
        "?filter[status]=completed,failed,errored,in_progress": [],
        "?filter[kind]=delete_flow": [removal],
        "?filter[kind]=delete_versions,delete_flow": [removal, *seven],
        "?filter[kind]=send_mail,post_callback": [],
        "?filter[kind]=delete_versions&filter[status]=queued": queued,
    }.items():
        page = await listed(api, query.replace("[", "%5B").replace("]", "%5D"))
        assert [job["id"] for job in page["data"]] == expected, query
        assert page["meta"]["total"] == len(expected)


async def test_letters_and_callbacks_are_listed_when_asked_for(api: Api, tenant: Tenant, machinery: Machinery) -> None:
    name = await accept(tenant, 1, email="ops@example.com")
    await machinery.drain()
    assert [job["id"] for job in (await listed(api))["data"]] == [name]
    letters = (await listed(api, "?filter%5Bkind%5D=send_mail"))["data"]
    assert [letter["id"] for letter in letters] == [(await read(api, name))["notifications"][0]["job"]]


@pytest.mark.leaves_jobs
async def test_a_list_shows_each_job_as_it_is_read_alone(api: Api, seven: list[str]) -> None:
    assert (await listed(api))["data"] == [await read(api, name) for name in seven]


@pytest.mark.leaves_jobs
@pytest.mark.parametrize(("asked", "served"), [(1, 1), (100, 100), (101, 100), (250, 100), (999_999_999, 100)])
async def test_a_page_has_100_jobs_at_most_and_says_so(api: Api, seven: list[str], asked: int, served: int) -> None:
    """Published clients ask for 200 and 250, and go by `meta.last_page`."""
    page = await listed(api, f"?per_page={asked}")
    assert page["meta"]["per_page"] == served
    assert page["meta"]["last_page"] == (7 if served == 1 else 1)
    assert len(page["data"]) == min(served, 7)


@pytest.mark.parametrize("name", ["page", "per_page"])
@pytest.mark.parametrize("value", ["0", "-1", "abc", "1.5", "%2B1", "1_0", "%D9%A1", ""])
async def test_a_page_that_is_no_number_from_1_is_422(anonymous: Api, tenant: Tenant, name: str, value: str) -> None:
    answer = await anonymous.as_(tenant.key).get(f"{JOBS}?{name}={value}")
    problem = "must be a whole number from 1 to 999999999"
    assert_answer(answer, 422, {"message": f"{name}: {problem}", "errors": {name: [problem]}})


async def test_a_filter_of_unknown_words_is_422(api: Api) -> None:
    answer = await api.get(f"{JOBS}?filter%5Bstatus%5D=queued,done")
    problem = "must be one or more of queued, in_progress, completed, failed, errored, cancelled"
    assert_answer(answer, 422, {"message": f"filter[status]: {problem}", "errors": {"filter[status]": [problem]}})


async def test_an_unknown_filter_is_400_and_those_there_are_are_named(api: Api) -> None:
    """Passed over, it would leave jobs in the list that were not meant."""
    answer = await api.get(f"{JOBS}?filter%5Bstatus%5D=queued&filter%5Bstate%5D=queued")
    message = "Requested filter(s) `state` are not allowed. Allowed filter(s) are `status, kind`."
    assert_answer(answer, 400, {"message": message})
