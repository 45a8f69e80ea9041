"""A flow's develop copy is its Draft: made with the first content, changed member by member, never lost by a change."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from core.domain.contents import DevelopChange, pick
from core.domain.documents import canonical_digest, parse_document
from core.domain.errors import Invalid, NotFound, PreconditionFailed
from core.domain.etags import Etag
from core.domain.flows import Flow, FlowChange, PaletteEntry
from core.domain.identifiers import hex_id
from core.domain.versions import TrashEntry, Version
from core.operations import deletions, jobs, undo, versions
from core.store import flow_versions
from tests.support.machinery import Machinery
from tests.support.tenants import KEEP, Tenant

NODE, OTHER = '[{"id":"a","type":"x"}]', '[{"id":"b","type":"x"}]'


def develop(text: str, *, strict: bool = False) -> DevelopChange:
    return DevelopChange(pick(parse_document(text.encode())), len(text), strict, KEEP)


async def change(tenant: Tenant, flow: Flow, text: str, **more: object) -> Flow:
    wanted = FlowChange(develop=develop(text), **more)  # type: ignore[arg-type]
    return await tenant.change_flow(flow, wanted)


async def read(tenant: Tenant, flow: Flow) -> Flow:
    return await tenant.read_flow(flow.id)


async def draft_of(tenant: Tenant, flow: Flow) -> Version | None:
    async with tenant.database.connection() as connection:
        return await flow_versions.lock_draft(connection, tenant.company_id, flow.id)


async def trash(tenant: Tenant, flow: Flow) -> list[TrashEntry]:
    found, _ = await undo.list_trash(tenant.principal, tenant.database, flow.id, limit=100, offset=0)
    return found


async def restore(tenant: Tenant, machinery: Machinery, flow: Flow, entry: TrashEntry) -> int:
    return await undo.restore_entry(tenant.principal, tenant.database, flow.id, entry.id, machinery.tools.terms)


async def actions(tenant: Tenant, flow: Flow) -> list[tuple[str, bytes | None, bytes | None]]:
    """What the trail says of the flow's Draft: action, digest before and after."""
    async with tenant.database.connection() as connection:
        rows = await connection.fetch(
            """
            SELECT action, before_digest, after_digest FROM audit_events
            WHERE subject_type = 'version' AND subject_id IN (SELECT id FROM flow_versions WHERE flow_id = $1)
            ORDER BY id
            """,
            flow.id,
        )
    return [(row["action"], row["before_digest"], row["after_digest"]) for row in rows]


async def test_a_flow_is_born_without_a_draft(tenant: Tenant) -> None:
    flow = await tenant.make_flow()
    assert flow.develop is None
    assert await tenant.names(flow) == []


async def test_a_flow_can_be_born_with_its_draft(tenant: Tenant) -> None:
    flow = await tenant.make_flow(develop=develop('{"nodes":' + NODE + "}"))
    assert flow.develop == '{"triggers":[],"nodes":' + NODE + ',"globals":[]}'
    assert (await read(tenant, flow)).develop == flow.develop
    assert await tenant.names(flow) == [None]
    draft = await draft_of(tenant, flow)
    assert draft is not None
    assert (draft.status, draft.revision, draft.iteration) == ("Draft", 1, 1)
    assert draft.digest == canonical_digest({"triggers": [], "nodes": [{"id": "a", "type": "x"}], "globals": []})
    assert await actions(tenant, flow) == [("draft.create", None, draft.digest)]


async def test_content_that_is_refused_makes_no_flow(tenant: Tenant) -> None:
    with pytest.raises(Invalid):
        await tenant.make_flow("Wrong", develop=develop('{"nodes":[{"id":"a","outputIds":[["b"]]}]}'))
    async with tenant.database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM flows") == 0


async def test_each_member_is_replaced_whole_and_the_others_stay(tenant: Tenant) -> None:
    flow = await tenant.make_flow()
    steps = [
        ('{"nodes": [ {"id":"a","type":"x"} ]}', '"triggers":[],"nodes":[ {"id":"a","type":"x"} ],"globals":[]'),
        (
            '{"triggers":[{"type":"udp","outputIds":[["a"]]}]}',
            '"triggers":[{"type":"udp","outputIds":[["a"]]}],"nodes":[ {"id":"a","type":"x"} ],"globals":[]',
        ),
        (
            '{"globals":[{"key":"k","json":"1.50"}],"nodes":[{"id":"a","type":"y","config":{"n":1.50}}]}',
            '"triggers":[{"type":"udp","outputIds":[["a"]]}],"nodes":[{"id":"a","type":"y","config":{"n":1.50}}],'
            '"globals":[{"key":"k","json":"1.50"}]',
        ),
        (
            '{"triggers":[]}',
            '"triggers":[],"nodes":[{"id":"a","type":"y","config":{"n":1.50}}],"globals":[{"key":"k","json":"1.50"}]',
        ),
        (
            '{"nodes":[],"globals":[],"minimumAgentVersion":"1.0.0"}',
            '"triggers":[],"nodes":[],"globals":[],"minimumAgentVersion":"1.0.0"',
        ),
    ]  # fmt: skip
    for number, (given, expected) in enumerate(steps, 1):
        changed = await change(tenant, flow, given)
        assert changed.develop == "{" + expected + "}"
        assert (await read(tenant, flow)).develop == changed.develop
        draft = await draft_of(tenant, flow)
        assert draft is not None
        assert (draft.revision, changed.revision) == (number, number + 1)
    assert await tenant.names(flow) == [None]
    assert [entry.revision for entry in await trash(tenant, flow)] == [4, 3, 2, 1]


async def test_a_change_of_the_flow_alone_leaves_the_draft_alone(tenant: Tenant) -> None:
    flow = await tenant.make_flow(develop=develop('{"nodes":' + NODE + "}"))
    await tenant.change_flow(flow, FlowChange(name="New"))
    draft = await draft_of(tenant, flow)
    assert draft is not None
    assert (draft.revision, await trash(tenant, flow)) == (1, [])


async def test_what_a_change_replaces_goes_to_the_trash(tenant: Tenant) -> None:
    flow = await tenant.make_flow(develop=develop('{"nodes":' + NODE + "}"))
    old = await draft_of(tenant, flow)
    await change(tenant, flow, '{"nodes":' + OTHER + "}")
    new = await draft_of(tenant, flow)
    assert old is not None
    assert new is not None
    assert (new.id, new.iteration, new.created_at) == (old.id, old.iteration, old.created_at)
    (entry,) = await trash(tenant, flow)
    assert (entry.version_id, entry.name, entry.reason, entry.digest) == (old.id, None, "replaced", old.digest)
    assert (await actions(tenant, flow))[-1] == ("draft.change", old.digest, new.digest)


async def test_the_same_again_changes_nothing(tenant: Tenant) -> None:
    flow = await tenant.make_flow(develop=develop('{"nodes":' + NODE + "}"))
    again = await change(tenant, flow, '{"nodes":' + NODE + "}")
    draft = await draft_of(tenant, flow)
    assert draft is not None
    assert (draft.revision, again.develop, await trash(tenant, flow)) == (1, flow.develop, [])


async def test_the_same_in_other_words_is_kept_as_it_was_sent_and_loses_nothing(tenant: Tenant) -> None:
    """Blanks and the order of keys: whoever reads the text sees them, and there is nothing to bring back."""
    flow = await tenant.make_flow(develop=develop('{"nodes":' + NODE + "}"))
    changed = await change(tenant, flow, '{"nodes":[ { "type":"x", "id":"\\u0061" } ]}')
    assert changed.develop == '{"triggers":[],"nodes":[ { "type":"x", "id":"\\u0061" } ],"globals":[]}'
    draft = await draft_of(tenant, flow)
    assert draft is not None
    assert (draft.revision, await trash(tenant, flow)) == (2, [])


async def test_the_whole_is_judged_when_a_part_is_changed(tenant: Tenant) -> None:
    text = '{"triggers":[{"type":"udp","outputIds":[["a"]]}],"nodes":' + NODE + "}"
    flow = await tenant.make_flow(develop=develop(text))
    with pytest.raises(Invalid, match=r"triggers\[0\].outputIds\[0\]\[0\]: there is no node"):
        await change(tenant, flow, '{"nodes":' + OTHER + "}", name="New")
    after = await read(tenant, flow)
    assert (after.develop, after.name, after.revision) == (flow.develop, flow.name, flow.revision)
    assert await trash(tenant, flow) == []


async def test_a_strict_check_is_of_the_whole_too(tenant: Tenant) -> None:
    flow = await tenant.make_flow(develop=develop('{"nodes":' + NODE + "}"))
    wanted = FlowChange(develop=develop('{"globals":[]}', strict=True))
    with pytest.raises(Invalid, match=r"nodes\[0\].config: is required"):
        await tenant.change_flow(flow, wanted)


async def test_content_of_another_dialect_is_kept_beside(tenant: Tenant) -> None:
    """Members we do not know here stay, and their links are not judged until triggers or nodes are changed."""
    flow = await tenant.make_flow(develop=develop('{"nodes":' + NODE + "}"))
    body = '{"steps":[{"a":1.50}],"nodes":[{"id":"a","outputIds":[["gone"]]}]}'
    async with tenant.database.connection() as connection:
        await connection.execute("UPDATE flow_versions SET body = $2 WHERE flow_id = $1", flow.id, body)
    changed = await change(tenant, flow, '{"globals":[]}')
    assert changed.develop == (
        '{"triggers":[],"nodes":[{"id":"a","outputIds":[["gone"]]}],"globals":[],"steps":[{"a":1.50}]}'
    )
    with pytest.raises(Invalid):
        await change(tenant, flow, '{"triggers":[]}')


async def test_an_edge_flows_least_agent_only_rises(tenant: Tenant) -> None:
    edge = await tenant.make_flow(flow_class="edge", develop=develop('{"minimumAgentVersion":"1.9.0"}'))
    await change(tenant, edge, '{"minimumAgentVersion":"1.10.0"}')
    with pytest.raises(Invalid, match=r"may only rise; it is 1\.10\.0"):
        await change(tenant, edge, '{"minimumAgentVersion":"1.9.9"}')
    await change(tenant, edge, '{"nodes":' + NODE + "}")
    assert '"minimumAgentVersion":"1.10.0"' in str((await read(tenant, edge)).develop)


async def test_a_class_is_asked_of_the_first_content_and_of_every_change(tenant: Tenant) -> None:
    with pytest.raises(Invalid, match="an experience flow has only these"):
        await tenant.make_flow(flow_class="experience", develop=develop('{"triggers":[{"type":"timer"}]}'))
    flow = await tenant.make_flow(flow_class="experience")
    with pytest.raises(Invalid, match="an experience flow has only these"):
        await change(tenant, flow, '{"triggers":[{"type":"timer"}]}')
    assert await tenant.names(flow) == []


async def test_rivals_for_the_first_content_make_one_draft_that_has_both(tenant: Tenant) -> None:
    flow = await tenant.make_flow()
    given = ['{"nodes":' + NODE + "}", '{"globals":[{"key":"k","json":"1"}]}', '{"minimumAgentVersion":"1.0.0"}']
    await asyncio.gather(*(change(tenant, flow, text) for text in given * 3))
    assert await tenant.names(flow) == [None]
    assert (await read(tenant, flow)).develop == (
        '{"triggers":[],"nodes":' + NODE + ',"globals":[{"key":"k","json":"1"}],"minimumAgentVersion":"1.0.0"}'
    )


async def test_large_content_is_no_different(tenant: Tenant) -> None:
    """A member of megabytes stays as it is while another one changes."""
    links = (f'{{"id":"n{number}","type":"x","outputIds":[["n{number + 1}"]]}}' for number in range(20_000))
    nodes = "[" + ",".join(links) + ',{"id":"n20000","type":"x"}]'
    flow = await tenant.make_flow(develop=develop('{"nodes":' + nodes + "}"))
    changed = await change(tenant, flow, '{"globals":[{"key":"k","json":"1"}]}')
    assert changed.develop == '{"triggers":[],"nodes":' + nodes + ',"globals":[{"key":"k","json":"1"}]}'
    with pytest.raises(Invalid, match="there is no node with this id"):
        await change(tenant, flow, '{"nodes":[' + '{"type":"x"},' * 20_000 + '{"type":"x","outputIds":[["n1"]]}]}')


# Taking it back


async def test_what_was_replaced_is_restored_and_changes_the_flow(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow(develop=develop('{"nodes":' + NODE + "}"))
    changed = await change(tenant, flow, '{"nodes":' + OTHER + "}")
    draft = await draft_of(tenant, flow)
    assert draft is not None
    (entry,) = await trash(tenant, flow)
    assert await restore(tenant, machinery, flow, entry) == draft.id
    back = await read(tenant, flow)
    assert (back.develop, back.revision, back.updated_at > changed.updated_at) == (flow.develop, 3, True)
    with pytest.raises(PreconditionFailed):
        await tenant.change_flow(flow, FlowChange(name="x"), etag=Etag(frozenset({changed.revision})))
    (other,) = await trash(tenant, flow)
    assert (other.digest, other.reason) == (draft.digest, "replaced")
    await restore(tenant, machinery, flow, other)
    assert (await read(tenant, flow)).develop == changed.develop
    assert await tenant.names(flow) == [None]


async def test_it_is_restored_into_another_draft_as_well(tenant: Tenant, machinery: Machinery) -> None:
    """The Draft it was taken from is gone: what has no name can only be the flow's one Draft."""
    flow = await tenant.make_flow(develop=develop('{"nodes":' + NODE + "}"))
    await change(tenant, flow, '{"nodes":' + OTHER + "}")
    async with tenant.database.connection() as connection:
        await connection.execute("DELETE FROM flow_versions WHERE flow_id = $1", flow.id)
    now = await change(tenant, flow, '{"nodes":[]}')
    (entry,) = await trash(tenant, flow)
    await restore(tenant, machinery, flow, entry)
    assert (await read(tenant, flow)).develop == flow.develop
    assert [one.digest for one in await trash(tenant, flow)] == [
        canonical_digest({"triggers": [], "nodes": [], "globals": []})
    ]
    assert now.develop != flow.develop


async def test_it_is_restored_where_there_is_no_draft(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow(develop=develop('{"nodes":' + NODE + "}"))
    await change(tenant, flow, '{"nodes":' + OTHER + "}")
    async with tenant.database.connection() as connection:
        await connection.execute("DELETE FROM flow_versions WHERE flow_id = $1", flow.id)
    (entry,) = await trash(tenant, flow)
    assert await restore(tenant, machinery, flow, entry) == entry.version_id
    back = await read(tenant, flow)
    assert (back.develop, back.revision) == (flow.develop, 3)
    assert await tenant.names(flow) == [None]


async def test_a_removed_flow_comes_back_with_its_develop_copy(tenant: Tenant, machinery: Machinery) -> None:
    palette = PaletteEntry("short", "data:image/png;base64,", "https://docs.example", "logic")
    flow = await tenant.make_flow(
        flow_class="customNode", palette=palette, custom_node_supports=["edge"],
        develop=develop('{"nodes":' + NODE + "}"),
    )  # fmt: skip
    await tenant.make_version(flow, "v1")
    public_id = await deletions.accept_flow_deletion(
        tenant.principal, tenant.database, tenant.application_id, flow.id, public_id=machinery.tools.terms.new_id()
    )
    await machinery.drain()
    assert await tenant.names(flow) == []
    job = await jobs.read_job(tenant.principal, tenant.database, public_id)
    assert (job.total, job.removed) == (2, 2)
    await undo.accept_undo(tenant.principal, tenant.database, job, public_id=machinery.tools.terms.new_id())
    await machinery.drain()
    back = await read(tenant, flow)
    assert back == replace(flow, revision=back.revision, updated_at=back.updated_at)
    assert sorted(map(str, await tenant.names(flow))) == ["None", "v1"]


# It is no version


async def test_no_version_goes_by_its_names_or_its_id(tenant: Tenant) -> None:
    flow = await tenant.make_flow(develop=develop('{"nodes":' + NODE + "}"))
    draft = await draft_of(tenant, flow)
    assert draft is not None
    for segment in (hex_id(draft.id), "develop", "default", ""):
        for work in (
            tenant.read_version(flow, segment),
            versions.delete_version(
                tenant.principal, tenant.database, tenant.application_id, flow.id, segment, keep=KEEP
            ),
        ):
            with pytest.raises(NotFound):
                await work
    with pytest.raises(NotFound):
        await tenant.change_flow(flow, FlowChange(deploy=draft.id))
    assert await tenant.names(flow) == [None]


async def test_no_bulk_delete_matches_it(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow(develop=develop('{"nodes":' + NODE + "}"))
    await tenant.make_version(flow, "v1")
    public_id = await tenant.ask_deletion(flow, {"nodes": {"type": "x"}})
    await machinery.drain()
    job = await jobs.read_job(tenant.principal, tenant.database, public_id)
    assert (job.total, job.removed) == (1, 1)
    assert await tenant.names(flow) == [None]


async def test_another_company_changes_nothing(tenant: Tenant, stranger: Tenant) -> None:
    flow = await tenant.make_flow(develop=develop('{"nodes":' + NODE + "}"))
    with pytest.raises(NotFound):
        await change(stranger, flow, '{"nodes":[]}')
    assert await read(tenant, flow) == flow
