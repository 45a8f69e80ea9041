"""Routes that take people and keys but no application's token, one by one; and files that are no good."""

from __future__ import annotations

import io
import secrets
from typing import Any

import orjson
import pytest
from aiohttp import ClientError

from core.domain.artifacts import MOST_FILE, seal, split, write_artifact
from core.domain.signing import PublicKey, SecretKey, new_key
from core.operations import artifact_keys
from core.store import artifact_keys as key_store
from service.routes import Route
from tests.api.cases import arrange, ask, assert_invalid, assert_refused, every, is_market, names_of
from tests.api.conftest import Ground
from tests.api.test_every_route_access import MALFORMED, respelled
from tests.api.test_every_route_input import right_parameters, wrong_parameters, wrong_values
from tests.support.api import Api
from tests.support.arrangements import UNKNOWN
from tests.support.contents import unchanged
from tests.support.market import MARKET, Shop, administrator, make_item, open_shop, yank
from tests.support.people import operator
from tests.support.tenants import Tenant, make_tenant

IMPORT = "/api/v1/flows/import"

every_peoples_route = every(is_market, market=True)


@pytest.fixture(scope="module")
async def people(ground: Ground) -> Api:
    """The owner's administrator."""
    return (await open_shop(ground.anonymous, ground.owner)).api


@every_peoples_route
async def test_nobody_gets_in_without_a_credential_or_by_a_token(ground: Ground, people: Api, route: Route) -> None:
    arranged = await arrange(route, ground.owner)
    async with unchanged(ground.database):
        for credential in (None, "Bearer nonsense", "nonsense", "Basic YTpi"):
            answer = await ask(ground.anonymous.as_(credential), route, arranged)
            assert_refused(route, answer, 401, "Unauthorized", "Invalid access token")
        answer = await ask(ground.api, route, arranged)
        assert_refused(route, answer, 403, "Forbidden", "The token's scope does not include this operation.")
    assert (await ask(people, route, arranged)).status == route.success


@every(lambda route: is_market(route) and "{" in route.path, market=True)
async def test_an_id_that_is_none_is_unknown(ground: Ground, people: Api, route: Route) -> None:
    arranged = await arrange(route, ground.owner)
    (name,) = names_of(route)
    unknown = await ask(people, route, arranged, **{name: UNKNOWN[name]})
    assert unknown.status == 404
    async with unchanged(ground.database):
        for title, segment in (MALFORMED | respelled(arranged.ids[name])).items():
            path = arranged.path(route, **{name: "~"}).replace("~", segment)
            answer = await people.send(route.method, path, arranged.body)
            assert (answer.status, answer.raw) == (404, unknown.raw), title


@every(lambda route: is_market(route) and route.body, market=True)
async def test_a_field_that_is_wrong_is_named(ground: Ground, people: Api, route: Route) -> None:
    arranged = await arrange(route, ground.owner)
    assert route.body is not None
    assert arranged.body is not None
    async with unchanged(ground.database):
        for field in route.body().fields.values():
            name = str(field.data_key or field.name)
            values = ["maybe", "", 2, [], {}, None] if name == "private" else wrong_values(field)
            for value in values:
                answer = await people.send(route.method, arranged.path(route), {**arranged.body, name: value})
                assert_invalid(route, answer, name)
        answer = await people.send(route.method, arranged.path(route), {**arranged.body, "surprise": 1})
        assert_invalid(route, answer, "surprise")
        for raw in (b"[]", b"{", b"a=b", b'{"a":1,"a":2}', b'{"a":' + b"[" * 100 + b"]" * 100 + b"}"):
            assert (await people.send(route.method, arranged.path(route), raw=raw)).status == 422


@every(lambda route: is_market(route) and route.query().fields, market=True)
async def test_parameters_are_read_as_they_are_told(ground: Ground, people: Api, route: Route) -> None:
    arranged = await arrange(route, ground.owner)
    for field in route.query().fields.values():
        name = str(field.data_key or field.name)
        for value in wrong_parameters(field):
            answer = await people.send(route.method, arranged.path(route, {name: value}))
            assert answer.status in (400, 422), (name, value, answer.raw)
            assert len(answer.raw) < 1000
        for value in right_parameters(field):
            answer = await people.send(route.method, arranged.path(route, {name: value}))
            assert answer.status == 200, (name, value, answer.raw)


# The list


@pytest.fixture(scope="module")
async def shelf(ground: Ground) -> tuple[Shop, list[int]]:
    """A company of its own with four items, the third of which is yanked."""
    tenant = await make_tenant(ground.database, "Shelf")
    ids = [
        await make_item(tenant, name, body=f'{{"nodes":[{{"id":"a","type":"{"x" * size}"}}]}}')
        for name, size in (("Orders", 30), ("Stock \u00c4", 10), ("orders again", 20), ("Zebra", 5))
    ]
    await yank(tenant, ids[2])
    return await open_shop(ground.anonymous, tenant), ids


@pytest.mark.parametrize(
    ("parameters", "places"),
    [
        ("", [3, 2, 1, 0]),
        ("?sort=id", [0, 1, 2, 3]),
        ("?sort=name", [0, 1, 3, 2]),
        ("?sort=-size", [0, 2, 1, 3]),
        ("?sort=-created_at,id", [3, 2, 1, 0]),
        ("?filter[name]=ORDERS", [2, 0]),
        ("?filter[name]=%C3%A4", [1]),
        ("?filter[version]=1.0&filter[name]=zebra,stock", [3, 1]),
        ("?filter[version]=2.0", []),
        ("?filter[is_yanked]=1", [2]),
        ("?filter[is_yanked]=false&sort=id", [0, 1, 3]),
        ("?filter[is_latest]=true&sort=id", [0, 1, 3]),
        ("?filter[private]=0", []),
        ("?per_page=2&page=2", [1, 0]),
    ],
)
async def test_the_list_is_narrowed_and_sorted(
    shelf: tuple[Shop, list[int]], parameters: str, places: list[int]
) -> None:
    shop, ids = shelf
    assert [item["id"] for item in await shop.items(parameters)] == [ids[place] for place in places]


async def test_the_list_is_narrowed_by_what_items_say_of_themselves(shelf: tuple[Shop, list[int]]) -> None:
    shop, _ = shelf
    for item in await shop.items():
        for parameters in (
            f"?filter[id]={item['id']}",
            f"?filter[digest]={item['digest']}",
            f"?filter[flow_id]={item['flow_id']}&filter[company_id]={item['company']['id']}",
        ):
            assert await shop.items(parameters) == [item]


async def test_the_log_is_a_chain_that_anybody_can_check(shelf: tuple[Shop, list[int]]) -> None:
    shop, ids = shelf
    rows = (await shop.api.get("/api/v1/marketplace/log?per_page=100")).json["data"]
    assert [(row["kind"], row["item_id"]) for row in reversed(rows)] == [
        *(("upload", item_id) for item_id in ids),
        ("yank", ids[2]),
    ]
    assert [row["sequence"] for row in rows] == [5, 4, 3, 2, 1]
    assert [row["previous"] for row in rows[:-1]] == [row["hash"] for row in rows[1:]]
    own = f"?filter[company_id]={shop.tenant.company_id}"
    assert (await shop.api.get(f"/api/v1/marketplace/log{own}")).json["meta"]["total"] == 5
    assert (await shop.api.get("/api/v1/marketplace/log?filter[company_id]=999999")).json["data"] == []


async def test_the_versions_of_an_item_are_those_of_its_flow(ground: Ground, people: Api) -> None:
    answer = await people.get(f"{MARKET}?per_page=1")
    item = answer.json["data"][0]
    rows = (await people.get(f"{MARKET}/{item['id']}/versions")).json["data"]
    assert item in rows
    assert {row["flow_id"] for row in rows} == {item["flow_id"]}


# Files that are no good


@pytest.fixture(scope="module")
async def exported(ground: Ground) -> bytes:
    flow = await ground.owner.make_flow("Exported")
    version = await ground.owner.make_version(flow, "1.0")
    answer = await ground.api.get(f"/api/v1/flows/{flow.id}/versions/{version.id}/export")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="flow-version-{version.id}.json"'
    return answer.raw


async def refused(ground: Ground, file: bytes) -> dict[str, Any]:
    async with unchanged(ground.database):
        answer = await ground.api.post(IMPORT, raw=file)
    assert answer.status == 422, answer.raw
    errors: dict[str, Any] = answer.json["errors"]
    return errors


async def test_a_file_that_was_changed_by_one_byte_is_refused(ground: Ground, exported: bytes) -> None:
    sealed = split(exported)
    for part, path in ((sealed.artifact, "artifact"), (sealed.statement, "signature")):
        at = exported.index(part) + len(part) // 2
        changed = exported[:at] + bytes([exported[at] ^ 1]) + exported[at + 1 :]
        assert list(await refused(ground, changed)) == [path]
    assert (await ground.api.post(IMPORT, raw=exported)).status == 200


async def test_a_file_signed_by_somebody_else_is_refused_until_the_key_is_trusted(
    ground: Ground, exported: bytes
) -> None:
    made = new_key(secrets.token_bytes)
    stranger = SecretKey(made.key_id, made.seed)
    file = seal(split(exported).artifact, {}, stranger).file
    assert await refused(ground, file) == {"signature": [f"is by the key {made.key_id}, which is not known here"]}
    public = PublicKey(made.key_id, made.public)
    owner = operator(ground.owner)
    (number,) = await artifact_keys.trust_artifact_keys(owner, ground.database, {made.key_id: public})
    assert await artifact_keys.trust_artifact_keys(owner, ground.database, {made.key_id: public}) == []
    assert (await ground.api.post(IMPORT, raw=file)).status == 200
    assert await artifact_keys.revoke_artifact_key(owner, ground.database, number)
    assert await refused(ground, file) == {"signature": [f"is by the key {made.key_id}, which was revoked"]}
    published = (await ground.anonymous.get("/.well-known/penstock-keys.json")).json["keys"]
    assert made.key_id not in [key["kid"] for key in published], "others' keys are for them to publish"


@pytest.mark.parametrize(
    ("file", "path"),
    [
        (b"", "artifact"),
        (b"{}", "artifact"),
        (b"\xff\xfe", "artifact"),
        (b"[" * 1_000_000, "artifact"),
        (b'{"artifact":' * 50_000, "artifact"),
    ],
    ids=["empty", "object", "no text", "deep", "deep in our words"],
)
async def test_what_is_no_file_of_ours_is_refused(ground: Ground, file: bytes, path: str) -> None:
    assert list(await refused(ground, file)) == [path]


async def test_a_file_that_was_cut_off_is_refused(ground: Ground, exported: bytes) -> None:
    for size in (1, 100, len(exported) // 2, len(exported) - 1):
        await refused(ground, exported[:size])


@pytest.mark.parametrize("size", [MOST_FILE + 1, 100_000_000])
async def test_a_file_of_many_megabytes_is_refused_before_it_is_here(ground: Ground, size: int) -> None:
    """The connection may be cut once enough has come."""
    headers = {"Authorization": str(ground.api.credential)}
    async with unchanged(ground.database):
        try:
            sent = io.BytesIO(b" " * size)
            async with ground.api.session.post(ground.api.url + IMPORT, data=sent, headers=headers) as answer:
                assert (answer.status, (await answer.json())["message"]) == (413, "The request body is too large.")
        except ClientError:
            assert size > 2 * MOST_FILE, "what is a little too large is told so"


GOOD = {"name": "x", "description": None, "flow_class": "cloud", "flow_priority": 3, "run_timeout_seconds": 60}
RULES = {
    "cron_string": "* * * * *", "timezone": "UTC", "overlap_policy": "skip", "catchup_window_seconds": 600,
    "paused": False, "pause_reason": None, "live": True,
}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"content": {"nodes": [{"id": "a"}, {"id": "a"}], "triggers": []}}, "artifact.content.nodes[1].id"),
        ({"flow": {**GOOD, "name": ""}}, "artifact.flow.name"),
        ({"flow": {**GOOD, "name": "x" * 256}}, "artifact.flow.name"),
        ({"flow": {**GOOD, "name": 1}}, "artifact.flow.name"),
        ({"flow": {**GOOD, "flow_class": "other"}}, "artifact.flow.flow_class"),
        ({"flow": {**GOOD, "flow_priority": 9}}, "artifact.flow.flow_priority"),
        ({"flow": {**GOOD, "run_timeout_seconds": True}}, "artifact.flow.run_timeout_seconds"),
        ({"schedules": [RULES] * 101}, "artifact.schedules"),
        ({"schedules": [1]}, "artifact.schedules[0]"),
        ({"schedules": [{**RULES, "cron_string": "61 * * * *"}]}, "artifact.schedules[0].cron_string"),
        ({"schedules": [{**RULES, "timezone": "Nowhere"}]}, "artifact.schedules[0].timezone"),
        ({"schedules": [{**RULES, "overlap_policy": "other"}]}, "artifact.schedules[0]"),
        ({"schedules": [{**RULES, "pause_reason": "x"}]}, "artifact.schedules[0].pause_reason"),
        ({"schedules": [{**RULES, "catchup_window_seconds": -1}]}, "artifact.schedules[0].catchup_window_seconds"),
    ],
)
async def test_a_signed_file_brings_in_only_what_a_request_could(
    ground: Ground, exported: bytes, given: dict[str, Any], path: str
) -> None:
    async with ground.database.connection() as connection:
        key = await key_store.find_signing(connection)
    assert key is not None
    content = given.pop("content", {"nodes": [], "triggers": []})
    artifact = write_artifact(content, **{"flow": GOOD, "schedules": [], "version": None, "notes": None, **given})
    assert list(await refused(ground, seal(artifact, {}, key).file)) == [path]


async def test_a_compressed_file_is_refused(ground: Ground, exported: bytes) -> None:
    answer = await ground.api.post(IMPORT, raw=exported, headers={"Content-Encoding": "gzip"})
    assert (answer.status, answer.json["message"]) == (422, "the body must not be compressed")


# Keys


async def test_old_files_are_good_after_a_rotation(ground: Ground, exported: bytes) -> None:
    before = (await ground.anonymous.get("/.well-known/penstock-keys.json")).json["keys"]
    await artifact_keys.rotate_artifact_key(operator(ground.owner), ground.database, secrets.token_bytes)
    answer = await ground.anonymous.get("/.well-known/penstock-keys.json")
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert answer.json["keys"][1:] == before
    assert (await ground.api.post(IMPORT, raw=exported)).status == 200
    async with ground.database.connection() as connection:
        rows = await connection.fetch("SELECT kid FROM artifact_keys WHERE secret IS NOT NULL")
    assert [row["kid"] for row in rows] == [answer.json["keys"][0]["kid"]], "nothing else can sign any more"


async def test_a_revoked_key_is_told_and_closes_its_items(ground: Ground) -> None:
    tenant: Tenant = await make_tenant(ground.database, "Careless")
    item_id = await make_item(tenant)
    shop = await open_shop(ground.anonymous, tenant)
    kid = (await shop.item(item_id)).json["data"]["key_id"]
    (key,) = [key for key in await artifact_keys.list_artifact_keys(ground.database) if key.kid == kid]
    assert await artifact_keys.revoke_artifact_key(administrator(tenant), ground.database, key.id)
    assert not await artifact_keys.revoke_artifact_key(administrator(tenant), ground.database, key.id)
    published = (await ground.anonymous.get("/.well-known/penstock-keys.json")).json["keys"]
    assert [shown["revoked"] for shown in published if shown["kid"] == kid] == [True]
    file = (await shop.artifact(item_id)).raw
    answer = await shop.api.post(IMPORT, raw=file)
    assert (answer.status, list(answer.json["errors"])) == (422, ["signature"])
    assert orjson.loads(file)["signature"]["key_id"] == kid, "what was pinned can still be read"
