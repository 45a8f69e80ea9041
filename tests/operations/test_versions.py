"""Single versions: names, replacement, deletion, and the standing a deploy gives."""

from __future__ import annotations

import asyncio

import pytest

from core.domain.documents import parse_document
from core.domain.errors import AlreadyExists, Invalid, NotFound, VersionProtected
from core.domain.flows import Flow, FlowChange
from core.domain.identifiers import hex_id
from core.domain.query import EVERYTHING
from core.domain.versions import NewVersion, Version, VersionStatus
from core.operations import versions
from core.store.lists import Order
from schemas.losant import SHOWN_VERSION, content_of
from tests.support.tenants import KEEP, Tenant


async def create(tenant: Tenant, flow: Flow, name: str, body: str = "{}", *, replace: bool = False) -> Version:
    new = NewVersion(name, True, None, content_of(parse_document(body.encode())))
    return await tenant.keep_version(flow, new, replace=replace)


async def read(tenant: Tenant, flow: Flow, segment: str) -> Version:
    return await tenant.read_version(flow, segment)


async def change(tenant: Tenant, flow: Flow, wanted: FlowChange) -> Flow:
    return await tenant.change_flow(flow, wanted)


async def test_what_was_sent_is_what_is_read(tenant: Tenant) -> None:
    flow = await tenant.make_flow()
    body = '{ "nodes" : [ {"x":1.50, "y":1e2, "n":' + "9" * 64 + ', "b": "\\u00e9", "a": 1} ] }'
    made = await create(tenant, flow, "v", body)
    assert made.body == '{"triggers":[],"nodes":' + body[body.index("[") : -2] + "}"
    assert await read(tenant, flow, "v") == made


async def test_ordinals_are_never_used_again(tenant: Tenant) -> None:
    flow = await tenant.make_flow()
    first = await create(tenant, flow, "a")
    await versions.delete_version(tenant.principal, tenant.database, tenant.application_id, flow.id, "a", keep=KEEP)
    second = await create(tenant, flow, "a")
    assert (first.iteration, second.iteration) == (1, 2)
    assert first.id != second.id


async def test_a_taken_name_is_refused_and_uses_up_nothing(tenant: Tenant) -> None:
    flow = await tenant.make_flow()
    await create(tenant, flow, "a")
    with pytest.raises(AlreadyExists):
        await create(tenant, flow, "a")
    assert (await create(tenant, flow, "b")).iteration == 2


async def test_a_replacement_keeps_who_it_is_and_leaves_the_old_content_in_the_trash(tenant: Tenant) -> None:
    flow = await tenant.make_flow()
    old = await create(tenant, flow, "a", '{"nodes":[{"id":"old"}]}')
    new = await create(tenant, flow, "a", '{"nodes":[{"id":"new"}]}', replace=True)
    assert (new.id, new.created_at, new.iteration) == (old.id, old.created_at, old.iteration)
    assert (new.revision, new.updated_at > old.updated_at) == (old.revision + 1, True)
    assert await read(tenant, flow, "a") == new
    async with tenant.database.connection() as connection:
        kept = await connection.fetchrow("SELECT body, revision, reason FROM deleted_versions")
    assert (kept["body"], kept["revision"], kept["reason"]) == (old.body, 1, "replaced")


async def test_rivals_for_one_name_get_one_version(tenant: Tenant) -> None:
    flow = await tenant.make_flow()
    results = await asyncio.gather(*(create(tenant, flow, "a") for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(result, Version) for result in results) == 1
    assert sum(isinstance(result, AlreadyExists) for result in results) == 7


@pytest.mark.parametrize("name", ["develop", "default", "0123456789abcdefABCDEF00", "", "x" * 256])
async def test_names_that_cannot_be_used(tenant: Tenant, name: str) -> None:
    flow = await tenant.make_flow()
    with pytest.raises(Invalid) as refusal:
        await create(tenant, flow, name)
    assert refusal.value.path == "version"


async def test_a_segment_is_an_id_first_and_then_a_name(tenant: Tenant) -> None:
    flow = await tenant.make_flow()
    version = await create(tenant, flow, "a")
    assert (await read(tenant, flow, hex_id(version.id))).id == version.id
    assert (await read(tenant, flow, hex_id(version.id).upper())).id == version.id
    with pytest.raises(NotFound):
        await read(tenant, flow, hex_id(version.id + 1000))


async def test_deploying_demotes_the_old_and_raises_both_revisions(tenant: Tenant) -> None:
    flow = await tenant.make_flow()
    one, two = await create(tenant, flow, "one"), await create(tenant, flow, "two")
    assert (await change(tenant, flow, FlowChange(deploy=one.id))).deployed_version_id == one.id
    assert (await change(tenant, flow, FlowChange(deploy=two.id))).deployed_version_id == two.id
    first, second = await read(tenant, flow, "one"), await read(tenant, flow, "two")
    assert (first.status, first.revision, first.deployed_at) == (VersionStatus.INACTIVE, 3, None)
    assert (second.status, second.revision) == (VersionStatus.DEPLOYED, 2)


async def test_deploying_what_is_deployed_changes_nothing(tenant: Tenant) -> None:
    flow = await tenant.make_flow()
    version = await create(tenant, flow, "one")
    await change(tenant, flow, FlowChange(deploy=version.id))
    before = await read(tenant, flow, "one")
    await change(tenant, flow, FlowChange(deploy=version.id))
    assert await read(tenant, flow, "one") == before


async def test_another_flows_version_cannot_be_deployed(tenant: Tenant) -> None:
    flow, other = await tenant.make_flow("a"), await tenant.make_flow("b")
    version = await create(tenant, other, "v")
    with pytest.raises(NotFound):
        await change(tenant, flow, FlowChange(name="renamed", deploy=version.id))
    unchanged = await tenant.read_flow(flow.id)
    assert unchanged.name == "a", "all of a change happens or nothing"


async def test_rival_deploys_leave_one_deployed(tenant: Tenant) -> None:
    flow = await tenant.make_flow()
    made = [await create(tenant, flow, f"v{number}") for number in range(6)]
    await asyncio.gather(*(change(tenant, flow, FlowChange(deploy=version.id)) for version in made))
    standing = [(await read(tenant, flow, f"v{number}")).status for number in range(6)]
    assert standing.count(VersionStatus.DEPLOYED) == 1


async def test_a_deployed_version_cannot_be_deleted(tenant: Tenant) -> None:
    flow = await tenant.make_flow()
    version = await create(tenant, flow, "live")
    await change(tenant, flow, FlowChange(deploy=version.id))
    with pytest.raises(VersionProtected):
        await versions.delete_version(
            tenant.principal, tenant.database, tenant.application_id, flow.id, "live", keep=KEEP
        )
    assert (await read(tenant, flow, "live")).status is VersionStatus.DEPLOYED
    await change(tenant, flow, FlowChange(undeploy=True))
    await versions.delete_version(tenant.principal, tenant.database, tenant.application_id, flow.id, "live", keep=KEEP)
    with pytest.raises(NotFound):
        await read(tenant, flow, "live")


async def test_the_draft_has_no_address(tenant: Tenant) -> None:
    flow = await tenant.make_flow()
    await tenant.make_draft(flow)
    async with tenant.database.connection() as connection:
        draft = await connection.fetchval("SELECT id FROM flow_versions")
    with pytest.raises(NotFound):
        await read(tenant, flow, hex_id(draft))
    with pytest.raises(NotFound):
        await versions.delete_version(
            tenant.principal, tenant.database, tenant.application_id, flow.id, hex_id(draft), keep=KEEP
        )
    found = await versions.show_versions(
        tenant.claim("flowVersions.get"), tenant.database, flow.id, EVERYTHING, Order("id", False, 10, 0), SHOWN_VERSION
    )
    assert (found.items, list(found.ids), found.total) == (b"", [], 0)
