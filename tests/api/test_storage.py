"""A flow's storage over Losant's routes, and its trash beside them."""

from __future__ import annotations

import asyncio
from typing import Any

import losant_rest
import pytest

from core.domain.flows import Flow
from core.domain.identifiers import hex_id
from core.domain.storage import MOST_VALUE
from tests.api.cases import assert_answer, assert_error
from tests.support.api import Api
from tests.support.tenants import Tenant


@pytest.fixture
async def flow(tenant: Tenant) -> Flow:
    return await tenant.make_flow()


@pytest.fixture
def path(tenant: Tenant, flow: Flow) -> str:
    return f"/applications/{tenant.application}/flows/{hex_id(flow.id)}/storage"


async def test_values_are_set_read_and_cleared(api: Api, path: str) -> None:
    assert_answer(await api.get(path), 200, {})
    assert_answer(await api.get(f"{path}-metadata"), 200, {"memoryUsed": 0, "keysCount": 0})
    for key, value in (("myStorageKey", "hello"), ("other key", [13, 21, 34]), ("myStorageKey", 12)):
        assert_answer(await api.patch(path, {"key": key, "value": value}), 200, {"success": True})
    assert_answer(await api.get(path), 200, {"myStorageKey": 12, "other key": [13, 21, 34]})
    use = {"memoryUsed": len("myStorageKey12other key[13,21,34]"), "keysCount": 2}
    assert_answer(await api.get(f"{path}-metadata"), 200, use)
    assert_answer(await api.delete(path), 200, {})
    assert_answer(await api.get(path), 200, {})
    assert_answer(await api.get(f"{path}-metadata"), 200, {"memoryUsed": 0, "keysCount": 0})


@pytest.mark.parametrize(
    "value",
    [
        "null", "true", "false", "0", "-0", "-0.0", "1.50", "1E+2", "12345678901234567890123456789", '""', '"\\u00e4"',
        "[]", "{}", '[ 1 ,\n2 ]', '{"b":1,"a":{"__proto__":null}}', '"\\ud83d\\ude00"',
    ],
)  # fmt: skip
async def test_a_value_is_read_as_it_was_sent(api: Api, path: str, value: str) -> None:
    for raw in (f'{{"key":"k","value":{value}}}', f'{{ "value" : {value} , "key" : "k" }}'):
        assert (await api.patch(path, raw=raw.encode())).status == 200
        assert (await api.get(path)).raw == f'{{"k":{value}}}'.encode()


async def test_null_is_a_value_and_no_value_deletes(api: Api, path: str) -> None:
    await api.patch(path, {"key": "a", "value": None})
    await api.patch(path, {"key": "b", "value": False})
    assert_answer(await api.get(path), 200, {"a": None, "b": False})
    assert_answer(await api.patch(path, {"key": "a"}), 200, {"success": True})
    assert_answer(await api.get(path), 200, {"b": False})
    assert_answer(await api.patch(path, {"key": "never there"}), 200, {"success": True})
    assert_answer(await api.get(path), 200, {"b": False})


async def test_what_is_too_large_is_refused_and_changes_nothing(api: Api, path: str) -> None:
    longest = "x" * (MOST_VALUE - 2)
    assert (await api.patch(path, {"key": "k" * 255, "value": longest})).status == 200
    too_long = await api.patch(path, {"key": "k" * 255, "value": longest + "x"})
    assert_error(too_long, 400, "Validation", "value: must have at most 65536 bytes as JSON")
    assert (await api.patch(path, {"key": "k" * 256, "value": 1})).json["message"].startswith("key: ")
    assert (await api.patch(path, {"key": "", "value": 1})).json["message"].startswith("key: ")
    assert_answer(await api.get(path), 200, {"k" * 255: longest})


async def test_a_full_storage_says_so(api: Api, tenant: Tenant, flow: Flow, path: str) -> None:
    await api.patch(path, {"key": "a", "value": 1})
    async with tenant.database.connection() as connection:
        await connection.execute("UPDATE flow_storages SET keys_count = 10000")
    full = await api.patch(path, {"key": "b", "value": 1})
    assert_error(full, 400, "Validation", "The storage of a flow holds at most 10000 keys.")


async def test_every_write_can_be_guarded(api: Api, path: str) -> None:
    """One ETag for the storage and its metadata, which is another one after each change."""
    seen = [(await api.get(path)).headers["ETag"]]
    writes: list[tuple[str, Any]] = [
        ("PATCH", {"key": "a", "value": 1}),
        ("PATCH", {"key": "a", "value": 1}),
        ("PATCH", {"key": "a"}),
        ("PATCH", {"key": "b", "value": 1}),
        ("DELETE", None),
    ]
    for method, body in writes:
        for old in [*seen[:-1], 'W/"r1"', '"x"', ""]:
            refused = await api.send(method, path, body, headers={"If-Match": old})
            message = "This was changed since you read it: its ETag is another one now."
            assert_error(refused, 412, "PreconditionFailed", message)
        done = await api.send(method, path, body, headers={"If-Match": seen[-1]})
        assert done.status == 200
        assert done.headers["ETag"] not in seen
        seen.append(done.headers["ETag"])
        assert (await api.get(path)).headers["ETag"] == seen[-1]
        assert (await api.get(f"{path}-metadata")).headers["ETag"] == seen[-1]
    assert (await api.patch(path, {"key": "a", "value": 1}, headers={"If-Match": "*"})).status == 200


async def test_what_changes_nothing_keeps_the_etag(api: Api, path: str) -> None:
    await api.patch(path, {"key": "a", "value": 1})
    await api.delete(path)
    before = (await api.get(path)).headers["ETag"]
    assert (await api.delete(path)).headers["ETag"] == before
    assert (await api.patch(path, {"key": "gone"})).headers["ETag"] == before


async def test_the_trash_is_listed_and_restored(
    api: Api, anonymous: Api, tenant: Tenant, flow: Flow, path: str
) -> None:
    for key in ("a", "b"):
        await api.patch(path, {"key": key, "value": key})
    await api.patch(path, {"key": "a"})
    await api.delete(path)
    await api.patch(path, {"key": "b", "value": "newer"})
    trash = f"/api/v1/flows/{flow.id}/storage/trash"

    listed = (await api.get(trash)).json
    assert [(entry["reason"], entry["first_keys"], entry["keys_count"]) for entry in listed["data"]] == [
        ("cleared", ["b"], 1),
        ("deleted", ["a"], 1),
    ]
    assert (listed["meta"]["total"], listed["meta"]["path"]) == (2, f"http://penstock.example{trash}")
    second = (await api.get(f"{trash}?per_page=1&page=2")).json
    assert second["data"] == listed["data"][1:]

    cleared, deleted = (entry["id"] for entry in listed["data"])
    by_key = anonymous.as_(tenant.key)
    done = await by_key.post(f"{trash}/{cleared}/restore")
    assert_answer(done, 200, {"data": {"keys_count": 1, "replaced": 1}})
    done = await api.post(f"{trash}/{deleted}/restore")
    assert_answer(done, 200, {"data": {"keys_count": 1, "replaced": 0}})
    assert_answer(await api.get(path), 200, {"a": "a", "b": "b"})
    assert_answer(await api.post(f"{trash}/{deleted}/restore"), 404, {"message": "Trash entry was not found"})
    (left,) = (await api.get(trash)).json["data"]
    assert (left["reason"], left["first_keys"]) == ("replaced", ["b"])


async def test_two_flows_keep_their_values_apart(api: Api, tenant: Tenant, path: str) -> None:
    other = await tenant.make_flow("Other")
    other_path = f"/applications/{tenant.application}/flows/{hex_id(other.id)}/storage"
    await api.patch(path, {"key": "a", "value": 1})
    await api.patch(other_path, {"key": "a", "value": 2})
    assert_answer(await api.delete(path), 200, {})
    assert_answer(await api.get(other_path), 200, {"a": 2})


async def test_the_official_client_notices_no_difference(anonymous: Api, tenant: Tenant, flow: Flow) -> None:
    client = losant_rest.Client(auth_token=tenant.token, url=anonymous.url)
    at = {"applicationId": tenant.application, "flowId": hex_id(flow.id)}

    def work() -> list[Any]:
        return [
            client.flow.set_storage_entry(**at, entry={"key": "größe", "value": {"µ": [1, None]}}),
            client.flow.set_storage_entry(**at, entry={"key": "b", "value": 2}),
            client.flow.get_storage_entries(**at),
            client.flow.get_storage_entries_metadata(**at),
            client.flow.set_storage_entry(**at, entry={"key": "b"}),
            client.flow.clear_storage_entries(**at),
            client.flow.get_storage_entries(**at),
        ]

    set_one, set_two, values, use, deleted, cleared, left = await asyncio.to_thread(work)
    assert set_one == set_two == deleted == {"success": True}
    assert values == {"größe": {"µ": [1, None]}, "b": 2}
    assert use["keysCount"] == 2
    assert cleared == left == {}
