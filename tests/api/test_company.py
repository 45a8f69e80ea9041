"""/api/v1/company: what people see and change of their own company, and what signs what is sent for it."""

from __future__ import annotations

import hashlib

import pytest

from core.domain.access import Role
from core.operations import access
from core.store.database import Database
from tests.support.api import Api
from tests.support.contents import unchanged
from tests.support.logs import Logs
from tests.support.people import make_robot, operator
from tests.support.tenants import SECRET, Tenant

PATH = "/api/v1/company"
SECRETS = f"{PATH}/webhook-secrets"
RUNNER = "https://runner.example:8443/run?team=a"


@pytest.fixture
async def administrator(anonymous: Api, tenant: Tenant) -> Api:
    return anonymous.as_(await make_robot(tenant))


@pytest.fixture
async def manager(anonymous: Api, tenant: Tenant) -> Api:
    """An API key, which acts as one."""
    return anonymous.as_(tenant.key)


async def put(api: Api, url: object, **headers: str) -> tuple[int, object]:
    answer = await api.send("PUT", PATH, {"runner_url": url}, headers=headers)
    return answer.status, answer.json


async def test_a_company_says_what_it_is_and_what_limits_it_has(
    manager: Api, tenant: Tenant, database: Database
) -> None:
    first = (await manager.get(PATH)).json["data"]
    assert first.pop("created_at").endswith("Z")
    assert first == {
        "id": tenant.company_id,
        "name": "Acme",
        "runner_url": None,
        "limits": {"requests_per_minute": None, "letters_per_day": 500},
    }
    await access.set_rate_limit(operator(tenant), database, 90)
    assert (await manager.get(PATH)).json["data"]["limits"]["requests_per_minute"] == 90


async def test_a_runner_is_set_and_taken_back(manager: Api, tenant: Tenant, stranger: Tenant, anonymous: Api) -> None:
    set_to = await manager.send("PUT", PATH, {"runner_url": RUNNER})
    assert (set_to.status, set_to.json["data"]["runner_url"]) == (200, RUNNER)
    read = await manager.get(PATH)
    assert (read.raw, read.headers["ETag"]) == (set_to.raw, set_to.headers["ETag"])
    assert (await anonymous.as_(stranger.key).get(PATH)).json["data"]["runner_url"] is None
    status, _ = await put(manager, None)
    assert status == 200
    assert (await manager.get(PATH)).json["data"]["runner_url"] is None


async def test_a_change_is_audited_with_what_was_there_before(manager: Api, administrator: Api, tenant: Tenant) -> None:
    await put(manager, RUNNER)
    await put(manager, None)
    events = (await administrator.get("/api/v1/audit-events?filter[action]=company.runner")).json["data"]
    digest = hashlib.sha256(RUNNER.encode()).hexdigest()
    seen = [(event["before_digest"], event["after_digest"], event["details"]) for event in events]
    assert seen == [
        (digest, None, {"before": RUNNER, "after": None}),
        (None, digest, {"before": None, "after": RUNNER}),
    ]
    assert {(event["actor_type"], event["subject_type"], event["subject_id"]) for event in events} == {
        ("apiKey", "company", tenant.company_id)
    }


async def test_a_change_can_be_guarded(manager: Api, database: Database) -> None:
    old = (await manager.get(PATH)).headers["ETag"]
    assert (await put(manager, RUNNER, **{"If-Match": old}))[0] == 200
    async with unchanged(database):
        status, body = await put(manager, None, **{"If-Match": old})
    assert (status, body) == (412, {"message": "This was changed since you read it: its ETag is another one now."})
    assert (await put(manager, None, **{"If-Match": "*"}))[0] == 200


@pytest.mark.parametrize(
    "url",
    [
        "ftp://runner.example", "//runner.example", "runner.example", "https://", "https://:80", "https://a@b.example",
        "https://runner.example:0", "https://runner.example:65536", "https://runner.example/#a", "https://a b.example",
        "https://r\u00fcnner.example", "https://[::1", "javascript:alert(1)", "https://x/" + "a" * 1024,
    ],
)  # fmt: skip
async def test_a_url_that_no_runner_has_is_refused(manager: Api, database: Database, url: str) -> None:
    async with unchanged(database):
        status, body = await put(manager, url)
    assert status == 422
    assert isinstance(body, dict)
    assert list(body["errors"]) == ["runner_url"]


async def test_secrets_are_shown_newest_first_and_kept_by_nobody(
    administrator: Api, tenant: Tenant, stranger: Tenant, database: Database, logs: Logs
) -> None:
    first = await administrator.get(SECRETS)
    assert [row["secret"] for row in first.json["data"]] == [SECRET]
    assert first.headers["Cache-Control"] == "no-store"
    newer = [f"whsec_{letter * 43}=" for letter in "ab"]
    for secret in newer:
        await access.add_webhook_secret(operator(tenant), database, secret)
    both = (await administrator.get(SECRETS)).json
    assert [row["secret"] for row in both["data"]] == newer[::-1], "the two that sign"
    assert both["meta"]["total"] == 2
    second = (await administrator.get(f"{SECRETS}?per_page=1&page=2")).json
    assert [row["secret"] for row in second["data"]] == newer[:1]
    assert "whsec_" not in str(logs.events)


async def test_nobody_below_an_administrator_sees_a_secret(anonymous: Api, tenant: Tenant) -> None:
    callers = [tenant.key, f"Bearer {tenant.token}"]
    callers += [await make_robot(tenant, role) for role in Role if role is not Role.ADMINISTRATOR]
    for credential in callers:
        answer = await anonymous.as_(credential).get(SECRETS)
        assert (answer.status, b"whsec_" in answer.raw) == (403, False)
