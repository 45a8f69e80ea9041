"""The marketplace from the outside: uploaded, seen, downloaded, installed, taken back."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
import pytest

from core.domain.access import Role
from core.domain.artifacts import verify
from core.domain.signing import Keys, read_keys
from core.operations import lifecycle, schedules
from schemas.patchworks import SHOWN_FLOW_VERSION
from tests.support.api import Api
from tests.support.contents import unchanged
from tests.support.machinery import Machinery
from tests.support.market import MARKET, Shop, administrator, deployed, make_item, open_shop, yank
from tests.support.tenants import KEEP, Tenant

BODY = '{"triggers":[],"nodes":[{"id":"a","type":"x","n":1.50,"z":"\\u00e4"}],"globals":[]}'


@pytest.fixture
async def shop(anonymous: Api, tenant: Tenant) -> Shop:
    """As the company's administrator."""
    return await open_shop(anonymous, tenant)


async def keys_of(api: Api) -> Keys:
    answer = await api.as_(None).get("/.well-known/penstock-keys.json")
    assert answer.status == 200
    return read_keys(answer.json)


# Upload


async def test_a_deployed_version_becomes_an_item(shop: Shop, tenant: Tenant, machinery: Machinery) -> None:
    flow, version = await deployed(tenant, body=BODY)
    answer = await shop.upload(version)
    assert answer.status == 202
    assert answer.json | {"jobId": ""} == {
        "success": True,
        "jobQueued": True,
        "jobId": "",
        "message": "The flow version will be uploaded to the marketplace.",
    }
    assert answer.headers["Location"] == f"/api/v1/jobs/{answer.json['jobId']}"
    assert await shop.items() == []
    assert await machinery.drain() == ["settled"]

    job = await shop.job(answer.json["jobId"])
    (item,) = await shop.items()
    assert (job["kind"], job["status"], job["progress"]) == ("upload_version", "completed", None)
    assert job["result"] == {"item_id": item["id"], "digest": item["digest"], "size": item["size"]}
    assert (item["name"], item["version"], item["flow_id"], item["flow_version_id"]) == (
        "Orders",
        "1.0",
        flow.id,
        version.id,
    )
    assert (item["private"], item["is_yanked"], item["installed_count"]) == (True, False, 0)
    assert item["company"] == {"id": tenant.company_id, "name": "Acme"}


async def test_the_artifact_says_what_it_is_and_who_vouches_for_it(
    shop: Shop, tenant: Tenant, machinery: Machinery
) -> None:
    flow, version = await deployed(tenant, body=BODY)
    job = (await shop.upload(version)).json["jobId"]
    await machinery.drain()
    (item,) = await shop.items()
    answer = await shop.artifact(item["id"])
    assert answer.headers["ETag"] == f'"{item["digest"]}"'
    assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"

    verified = verify(answer.raw, await keys_of(shop.api))
    assert hashlib.sha256(verified.artifact).hexdigest() == item["digest"]
    assert len(verified.artifact) == item["size"]
    artifact = orjson.loads(verified.artifact)
    assert artifact["content"] == orjson.loads(BODY)
    assert b'"n":1.5,' in verified.artifact, "numbers are canonical"
    assert (artifact["flow"]["name"], artifact["version"], artifact["schedules"]) == ("Orders", "1.0", [])
    provenance = verified.statement.provenance
    assert (provenance["job"], provenance["flow_id"], provenance["version_id"]) == (job, flow.id, version.id)
    assert provenance["company"] == {"id": tenant.company_id, "name": "Acme"}
    assert provenance["content_digest"] == version.digest.hex()
    assert provenance["requested_by"]["type"] == "user"
    assert provenance["instance"] == "http://penstock.example"


async def test_whoever_has_the_artifact_is_not_sent_it_again(shop: Shop, tenant: Tenant) -> None:
    item_id = await make_item(tenant)
    tag = (await shop.artifact(item_id)).headers["ETag"]
    for header in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        answer = await shop.artifact(item_id, If_None_Match=header)
        assert (answer.status, answer.raw, answer.headers["ETag"]) == (304, b"", tag)
    assert (await shop.artifact(item_id, If_None_Match='"other"')).status == 200


async def test_who_waits_gets_the_item(shop: Shop, tenant: Tenant, machinery: Machinery) -> None:
    """The same bytes again are the same item, and the log has one entry for it."""
    _, version = await deployed(tenant)
    item_id = (await _uploaded(shop, version, machinery))["item_id"]
    assert (await _uploaded(shop, version, machinery))["item_id"] == item_id
    (item,) = await shop.items()
    assert item["id"] == item_id
    log = (await shop.api.get("/api/v1/marketplace/log")).json["data"]
    assert [(entry["kind"], entry["item_id"]) for entry in log] == [("upload", item_id)]


async def _uploaded(shop: Shop, version: Any, machinery: Machinery) -> dict[str, Any]:
    answer = await shop.upload(version)
    assert answer.status == 202, answer.raw
    await machinery.drain()
    result: dict[str, Any] = (await shop.job(answer.json["jobId"]))["result"]
    return result


async def test_an_upload_that_is_repeated_under_its_key_is_one_job(
    shop: Shop, tenant: Tenant, machinery: Machinery
) -> None:
    _, version = await deployed(tenant)
    first = await shop.upload(version, {"private": True}, Idempotency_Key="k")
    again = await shop.upload(version, {"private": True}, Idempotency_Key="k")
    other = await shop.upload(version, {"private": "1"}, Idempotency_Key="k")
    assert (again.status, again.json) == (202, first.json)
    assert other.status == 422
    await machinery.drain()
    assert len(await shop.items()) == 1


async def test_a_repeat_is_answered_even_when_the_version_would_no_longer_do(
    shop: Shop, tenant: Tenant, machinery: Machinery
) -> None:
    flow, version = await deployed(tenant)
    first = await shop.upload(version, Idempotency_Key="k")
    await tenant.deploy(flow, await tenant.make_version(flow, "2.0"))
    again = await shop.upload(version, Idempotency_Key="k")
    assert (again.status, again.json) == (202, first.json)
    assert (await shop.upload(version, Idempotency_Key="other")).status == 409
    await machinery.drain()
    assert [item["version"] for item in await shop.items()] == ["1.0"]


@pytest.mark.leaves_jobs
@pytest.mark.parametrize("private", [True, 1, "1", "true", None])
async def test_private_is_what_every_client_calls_true(shop: Shop, tenant: Tenant, private: Any) -> None:
    _, version = await deployed(tenant)
    assert (await shop.upload(version, {} if private is None else {"private": private})).status == 202


@pytest.mark.parametrize("private", ["maybe", "", "yes", "TRUE", 2, -1, 1.0, None, [], {}])
async def test_private_is_nothing_else(shop: Shop, tenant: Tenant, private: Any) -> None:
    _, version = await deployed(tenant)
    async with unchanged(tenant.database):
        answer = await shop.upload(version, {"private": private})
    assert (answer.status, list(answer.json["errors"])) == (422, ["private"])


@pytest.mark.parametrize("private", [False, 0, "0", "false"])
async def test_without_a_public_shelf_nothing_is_put_there(shop: Shop, tenant: Tenant, private: Any) -> None:
    _, version = await deployed(tenant)
    async with unchanged(tenant.database):
        answer = await shop.upload(version, {"private": private})
    assert answer.status == 422
    assert answer.json["errors"] == {"private": ["must be true: this installation has no public shelf"]}


async def test_only_what_is_deployed_and_enabled_is_uploaded(shop: Shop, tenant: Tenant) -> None:
    flow, _ = await deployed(tenant)
    older = await tenant.make_version(flow, "0.9")
    draft = await lifecycle.create_draft(tenant.principal, tenant.database, flow.id, SHOWN_FLOW_VERSION)
    off = await tenant.make_flow("Off", enabled=False)
    disabled = await tenant.make_version(off, "1.0")
    await tenant.deploy(off, disabled)
    messages = {
        older.id: "Only a deployed version can be uploaded; this one is Inactive.",
        draft.id: "Only a deployed version can be uploaded; this one is Draft.",
        disabled.id: "This flow is disabled; enable it before uploading its version.",
    }
    async with unchanged(tenant.database):
        for version_id, message in messages.items():
            answer = await shop.api.post(f"/api/v1/flow-versions/{version_id}/upload")
            assert (answer.status, answer.json) == (409, {"message": message})


@pytest.mark.leaves_jobs
async def test_a_foreign_version_is_unknown(shop: Shop, anonymous: Api, tenant: Tenant, stranger: Tenant) -> None:
    _, version = await deployed(tenant)
    other = await open_shop(anonymous, stranger)
    async with unchanged(tenant.database):
        answer = await other.upload(version)
        unknown = await other.api.post("/api/v1/flow-versions/9223372036854775806/upload")
    assert (answer.status, answer.raw) == (404, unknown.raw)
    assert (await shop.upload(version)).status == 202


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('{"nodes":[{"id":"a","type":"x","config":{"n":9007199254740992}}]}', "content.nodes[0].config.n"),
        ('{"nodes":[{"id":"a","type":"x","big":-123456789012345678901234567890}]}', "content.nodes[0].big"),
    ],
)
async def test_content_without_a_canonical_form_is_refused(shop: Shop, tenant: Tenant, text: str, path: str) -> None:
    _, version = await deployed(tenant, body=text)
    async with unchanged(tenant.database):
        answer = await shop.upload(version)
    problem = "is an integer beyond 2^53 - 1, which canonical JSON cannot express"
    assert (answer.status, answer.json["errors"]) == (422, {path: [problem]})


async def test_long_digits_that_are_no_large_integer_do_no_harm(
    shop: Shop, tenant: Tenant, machinery: Machinery
) -> None:
    body = '{"nodes":[{"id":"a","type":"12345678901234567890","x":0.12345678901234567,"y":9007199254740991}]}'
    _, version = await deployed(tenant, body=body)
    assert (await _uploaded(shop, version, machinery))["size"] > len(body)


# The revision that was accepted


async def test_what_is_uploaded_is_what_was_accepted(shop: Shop, tenant: Tenant, machinery: Machinery) -> None:
    """Replaced, undeployed and deleted while the job waits: the trash still has it."""
    flow, version = await deployed(tenant, body=BODY)
    answer = await shop.upload(version)
    other = await tenant.make_version(flow, "2.0")
    await tenant.deploy(flow, other)
    await lifecycle.remove_version(administrator(tenant), tenant.database, flow.id, version.id, keep=KEEP)
    await machinery.drain()
    (item,) = await shop.items()
    assert (await shop.job(answer.json["jobId"]))["result"]["item_id"] == item["id"]
    artifact = orjson.loads(verify((await shop.artifact(item["id"])).raw, await keys_of(shop.api)).artifact)
    assert (artifact["version"], artifact["content"]) == ("1.0", orjson.loads(BODY))


async def test_an_upload_whose_content_is_gone_says_so(shop: Shop, tenant: Tenant, machinery: Machinery) -> None:
    flow, version = await deployed(tenant)
    answer = await shop.upload(version)
    other = await tenant.make_version(flow, "2.0", BODY)
    await tenant.deploy(flow, other)
    await lifecycle.remove_version(administrator(tenant), tenant.database, flow.id, version.id, keep=KEEP)
    async with tenant.database.connection() as connection:
        await connection.execute("DELETE FROM deleted_versions")
    assert await machinery.drain() == ["failed"]
    job = await shop.job(answer.json["jobId"])
    assert (job["status"], job["result"], job["error"]["code"]) == ("failed", None, "content_gone")
    assert await shop.items() == []


async def test_schedules_go_along(shop: Shop, tenant: Tenant, machinery: Machinery) -> None:
    _, version = await deployed(tenant)
    owner = administrator(tenant)
    for given in (
        {"cron_string": "*/5 * * * *"},
        {"cron_string": "30 2 * * 1", "timezone": "Europe/Berlin", "deployed_at": None, "paused": True},
    ):
        await schedules.create_schedule(owner, tenant.database, version.id, given)
    item_id = (await _uploaded(shop, version, machinery))["item_id"]
    artifact = orjson.loads(verify((await shop.artifact(item_id)).raw, await keys_of(shop.api)).artifact)
    assert [
        (each["cron_string"], each["timezone"], each["live"], each["paused"]) for each in artifact["schedules"]
    ] == [
        ("*/5 * * * *", "UTC", True, False),
        ("30 2 * * 1", "Europe/Berlin", False, True),
    ]
    installed = (await _installed(shop, item_id, machinery))["flow_version_id"]
    rows = (await shop.api.get(f"/api/v1/flow-versions/{installed}/schedules")).json["data"]
    assert [(row["cron_string"], row["timezone"], row["deployed_at"] is None, row["paused"]) for row in rows] == [
        ("*/5 * * * *", "UTC", False, False),
        ("30 2 * * 1", "Europe/Berlin", True, True),
    ]


# Jobs


async def test_an_upload_is_cancelled_by_an_administrator(
    shop: Shop, anonymous: Api, tenant: Tenant, machinery: Machinery
) -> None:
    _, version = await deployed(tenant)
    job = (await shop.upload(version)).json["jobId"]
    manager = await open_shop(anonymous, tenant, Role.MANAGER)
    assert (await manager.api.post(f"/api/v1/jobs/{job}/cancel")).status == 403
    assert (await shop.api.post(f"/api/v1/jobs/{job}/cancel")).json["data"]["status"] == "cancelled"
    assert await machinery.drain() == []
    assert await shop.items() == []


# Install


async def test_an_installed_flow_is_disabled_and_a_draft(shop: Shop, tenant: Tenant, machinery: Machinery) -> None:
    item_id = await make_item(tenant, body=BODY)
    result = await _installed(shop, item_id, machinery)
    flow = (await shop.api.get(f"/api/v1/flows/{result['flow_id']}?include=versions")).json["data"]
    assert (flow["name"], flow["is_enabled"], flow["installed_from"]) == ("Orders", False, item_id)
    (version,) = flow["versions"]
    assert (version["id"], version["status"], version["name"]) == (result["flow_version_id"], "Draft", None)
    async with tenant.database.connection() as connection:
        body = await connection.fetchval("SELECT body FROM flow_versions WHERE id = $1", version["id"])
    assert orjson.loads(body) == orjson.loads(BODY)
    assert (await shop.item(item_id)).json["data"]["installed_count"] == 1


async def _installed(shop: Shop, item_id: int, machinery: Machinery, body: Any = None) -> dict[str, Any]:
    answer = await shop.install(item_id, body)
    assert answer.status == 202, answer.raw
    assert await machinery.drain() == ["settled"]
    job = await shop.job(answer.json["jobId"])
    assert (job["kind"], job["status"]) == ("install_item", "completed")
    result: dict[str, Any] = job["result"]
    return result


async def test_an_item_is_installed_under_another_name(shop: Shop, tenant: Tenant, machinery: Machinery) -> None:
    result = await _installed(shop, await make_item(tenant), machinery, {"name": "Ours"})
    assert (await shop.api.get(f"/api/v1/flows/{result['flow_id']}")).json["data"]["name"] == "Ours"


async def test_who_reads_only_installs_nothing(anonymous: Api, tenant: Tenant, shop: Shop) -> None:
    item_id = await make_item(tenant)
    for role in (Role.READ_ONLY, Role.USER):
        caller = await open_shop(anonymous, tenant, role)
        async with unchanged(tenant.database):
            assert (await caller.install(item_id)).status == 403
        assert (await caller.item(item_id)).status == 200


@pytest.mark.leaves_jobs
async def test_a_yanked_item_is_installed_only_by_force(shop: Shop, tenant: Tenant, machinery: Machinery) -> None:
    item_id = await make_item(tenant)
    assert (await shop.yank(item_id)).status == 200
    async with unchanged(tenant.database):
        for body in (None, {}, {"force": False}):
            answer = await shop.install(item_id, body)
            assert answer.status == 409
            assert "It loses every second order." in answer.json["message"]
    assert (await shop.artifact(item_id)).status == 200, "who has pinned it can still have it"
    await _installed(shop, item_id, machinery, {"force": True})


async def test_an_item_that_is_yanked_while_its_install_waits_is_not_installed(
    shop: Shop, tenant: Tenant, machinery: Machinery
) -> None:
    item_id = await make_item(tenant)
    job = (await shop.install(item_id)).json["jobId"]
    await yank(tenant, item_id)
    assert await machinery.drain() == ["failed"]
    assert (await shop.job(job))["error"]["code"] == "yanked"
    assert len((await shop.api.get("/api/v1/flows")).json["data"]) == 1, "the one it came from"


# Yank


async def test_a_yank_is_told_with_its_reason(shop: Shop, tenant: Tenant) -> None:
    item_id = await make_item(tenant)
    answer = await shop.yank(item_id, "It loses every second order.")
    shown = answer.json["data"]
    assert (shown["is_yanked"], shown["yank_reason"]) == (True, "It loses every second order.")
    assert (await shop.item(item_id)).json["data"] == shown
    assert await shop.items("?filter[is_yanked]=false") == []
    again = await shop.yank(item_id, "Another reason.")
    assert (again.status, again.json) == (409, {"message": "This item was yanked before."})


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": None}, {"reason": 1}, {"reason": "x" * 2001}])
async def test_a_yank_needs_a_reason(shop: Shop, tenant: Tenant, body: dict[str, Any]) -> None:
    item_id = await make_item(tenant)
    async with unchanged(tenant.database):
        answer = await shop.api.post(f"{MARKET}/{item_id}/yank", body)
    assert (answer.status, list(answer.json["errors"])) == (422, ["reason"])


# Export and import


async def test_an_exported_version_comes_back_as_a_flow(shop: Shop, tenant: Tenant) -> None:
    flow, version = await deployed(tenant, body=BODY)
    answer = await shop.api.get(f"/api/v1/flows/{flow.id}/versions/{version.id}/export")
    assert answer.status == 200
    imported = await shop.api.post("/api/v1/flows/import", answer.raw)
    assert imported.status == 200, imported.raw
    made = imported.json["data"]
    assert (made["name"], made["is_enabled"], made["installed_from"]) == ("Orders", False, None)
    (draft,) = (await shop.api.get(f"/api/v1/flows/{made['id']}/versions")).json["data"]
    again = await shop.api.get(f"/api/v1/flows/{made['id']}/versions/{draft['id']}/export")
    keys = await keys_of(shop.api)
    contents = [orjson.loads(verify(file.raw, keys).artifact)["content"] for file in (answer, again)]
    assert contents[0] == contents[1] == orjson.loads(BODY)
