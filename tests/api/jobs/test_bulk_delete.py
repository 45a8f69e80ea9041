"""Asking for a bulk delete over HTTP: what is accepted and answered, what is refused and named."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import orjson
import pytest

from core.domain.flows import Flow
from core.domain.identifiers import hex_id
from core.settings import Settings
from tests.api.cases import assert_error
from tests.api.conftest import Ground
from tests.support.api import Api, open_api
from tests.support.contents import unchanged
from tests.support.machinery import Machinery
from tests.support.paths import versions_path
from tests.support.smtp import SmtpCatcher
from tests.support.tenants import Tenant


@pytest.fixture
async def flow(ground: Ground) -> Flow:
    flow = await ground.owner.make_flow()
    await ground.owner.make_versions(flow, 2)
    return flow


def deletion_path(tenant: Tenant, flow: Flow) -> str:
    return f"{versions_path(tenant, flow)}/delete"


async def test_an_accepted_request_answers_with_the_job_alone(ground: Ground, flow: Flow) -> None:
    """Exactly these three: a client tells 202 from 200 by `jobQueued` in the body."""
    answer = await ground.api.post(deletion_path(ground.owner, flow), {"query": {}})
    assert answer.status == 202
    assert answer.json == {"success": True, "jobQueued": True, "jobId": answer.json["jobId"]}
    assert re.fullmatch(r"[A-Za-z0-9_-]{21}", answer.json["jobId"])
    assert answer.headers["Location"] == f"/api/v1/jobs/{answer.json['jobId']}"
    assert answer.headers["Retry-After"] == "1"
    assert (await ground.api.get(answer.headers["Location"])).json["data"]["id"] == answer.json["jobId"]
    assert await ground.owner.names(flow) == ["v1", "v2"], "nothing is deleted before the worker has the job"


async def test_every_request_is_a_job_of_its_own(ground: Ground, flow: Flow) -> None:
    answers = [await ground.api.post(deletion_path(ground.owner, flow), {"query": {}}) for _ in range(2)]
    assert len({answer.json["jobId"] for answer in answers}) == 2


@pytest.mark.parametrize(
    ("query", "removed"),
    [
        ({}, ["a1", "a2", "B1"]),
        ({"version": "a1"}, ["a1"]),
        ({"version": {"$startsWith": "a"}}, ["a1", "a2"]),
        ({"version": {"$startsWith": "b", "$ci": True}}, ["B1"]),
        ({"version": {"$in": ["a1", "B1", "none"]}}, ["a1", "B1"]),
        ({"$nor": [{"version": "a1"}, {"version": {"$endsWith": "2"}}]}, ["B1"]),
        ({"version": {"$gt": "a1", "$lte": "a2"}}, ["a2"]),
        ({"$or": []}, ["a1", "a2", "B1"]),
        ({"$nor": []}, []),
        ({"version": "none"}, []),
        ({"version": 5}, []),
    ],
    ids=str,
)
async def test_what_matches_is_removed_and_counted(
    api: Api, tenant: Tenant, machinery: Machinery, query: dict[str, Any], removed: list[str]
) -> None:
    """A query that matches nothing is a job as well, and ends with nothing removed."""
    flow, other = await tenant.make_flow(), await tenant.make_flow()
    for name in ("a1", "a2", "B1"):
        await tenant.make_version(flow, name)
    await tenant.make_version(other, "a1")
    accepted = await api.post(deletion_path(tenant, flow), {"query": query})
    assert accepted.status == 202
    await machinery.drain()
    job = (await api.get(accepted.headers["Location"])).json["data"]
    assert (job["status"], job["result"]["matched"], job["result"]["removed"]) == (
        "completed", len(removed), len(removed),
    )  # fmt: skip
    assert await tenant.names(flow) == [name for name in ("a1", "a2", "B1") if name not in removed]
    assert await tenant.names(other) == ["a1"]


async def test_ids_in_a_query_are_those_the_api_shows(api: Api, tenant: Tenant, machinery: Machinery) -> None:
    """Another company's id, and one there is not, match nothing."""
    flow = await tenant.make_flow()
    made = [(await api.post(versions_path(tenant, flow), {"version": f"v{n}"})).json["id"] for n in range(3)]
    ids = [made[0], made[2].upper(), "f" * 24, "0" * 24, hex_id(2**40)]
    accepted = await api.post(deletion_path(tenant, flow), {"query": {"id": {"$in": ids}}})
    await machinery.drain()
    assert (await api.get(accepted.headers["Location"])).json["data"]["result"]["removed"] == 2
    assert await tenant.names(flow) == ["v1"]


async def test_the_default_version_stays_and_is_accounted_for(api: Api, tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 3)
    await tenant.deploy(flow, await tenant.make_version(flow, "deployed"))
    accepted = await api.post(deletion_path(tenant, flow), {"query": {}})
    await machinery.drain()
    result = (await api.get(accepted.headers["Location"])).json["data"]["result"]
    assert result == {"matched": 4, "removed": 3, "failed": 1, "reasons": {"protected": 1}}
    assert await tenant.names(flow) == ["deployed"]


async def test_whoever_is_named_is_told(api: Api, tenant: Tenant, machinery: Machinery, smtp: SmtpCatcher) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 2)
    body = {"query": {"version": "v1"}, "email": "ops@example.com"}
    accepted = await api.post(deletion_path(tenant, flow), body)
    await machinery.drain()
    letter = await smtp.next()
    assert letter.recipients == ("ops@example.com",)
    told = (await api.get(accepted.headers["Location"])).json["data"]["notifications"]
    assert [(entry["kind"], entry["to"], entry["status"]) for entry in told] == [
        ("send_mail", "ops@example.com", "completed")
    ]


async def test_a_letter_goes_to_an_allowed_domain_only(
    settings: Settings, tenant: Tenant, machinery: Machinery
) -> None:
    flow = await tenant.make_flow()
    async with open_api(replace(settings, mail_domains=("example.com",))) as anonymous:
        api = anonymous.as_(f"Bearer {tenant.token}")
        body = {"query": {}, "email": "ops@elsewhere.example"}
        answer = await api.post(deletion_path(tenant, flow), body)
        assert_error(answer, 400, "Validation", "email: is at a domain this server may not write to")
        body["email"] = "ops@EXAMPLE.com"
        assert (await api.post(deletion_path(tenant, flow), body)).status == 202
    await machinery.drain()


# What is refused


@pytest.mark.parametrize(
    ("email", "problem"),
    [
        ("ops@example.com\n", "must be one address such as name@example.com"),
        ("ops@example.com\r\nBcc: all@example.com", "must be one address such as name@example.com"),
        ("ops@example.com,other@example.com", "must be one address such as name@example.com"),
        ("Ops <ops@example.com>", "must be one address such as name@example.com"),
        ("ops", "must be one address such as name@example.com"),
        ("\u00f6ps@example.com", "must be ASCII; write a domain in another script in its xn-- form"),
        ("", "Length must be between 1 and 1024."),
        (["ops@example.com"], "must be a string"),
        (None, "must not be null"),
    ],
)
async def test_an_address_that_is_none_is_refused(ground: Ground, flow: Flow, email: Any, problem: str) -> None:
    body = {"query": {}, "email": email}
    async with unchanged(ground.database):
        answer = await ground.api.post(deletion_path(ground.owner, flow), body)
    assert_error(answer, 400, "Validation", f"email: {problem}")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("ftp://example.com/", "must begin with http:// or https://"),
        ("javascript:alert(1)", "must begin with http:// or https://"),
        ("//example.com/", "must begin with http:// or https://"),
        ("http:///path", "must name a host, and a port only as :number"),
        ("http://user:password@example.com/", "must not carry a user or password"),
        ("http://example.com/#part", "must not have a fragment (#…)"),
        ("http://example.com/a b", "may hold only the characters of a URL; percent-encode any other"),
        ("http://example.com/\r\nX: y", "may hold only the characters of a URL; percent-encode any other"),
        ("http://example.com:99999/", "must have a port from 1 to 65535"),
        ("", "Length must be between 1 and 1024."),
        (5, "must be a string"),
    ],
)
async def test_a_callback_url_that_is_none_is_refused(ground: Ground, flow: Flow, url: Any, problem: str) -> None:
    body = {"query": {}, "callbackUrl": url}
    async with unchanged(ground.database):
        answer = await ground.api.post(deletion_path(ground.owner, flow), body)
    assert_error(answer, 400, "Validation", f"callbackUrl: {problem}")


async def test_the_query_is_kept_as_it_was_sent(ground: Ground, flow: Flow) -> None:
    """Letters and job logs show what was asked, not our reading of it."""
    text = b'{ "version" : {"$gte":1e2, "$in":["\\u00e9",1.50]} }'
    answer = await ground.api.post(deletion_path(ground.owner, flow), raw=b'{"query":' + text + b"}")
    async with ground.database.connection() as connection:
        arguments = await connection.fetchval("SELECT arguments FROM jobs WHERE public_id = $1", answer.json["jobId"])
    assert orjson.loads(arguments)["query"] == text.decode()
