"""What a flow keeps: counted, deleted into the trash, gone and back with its flow. Each race has its control."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import pytest

from core.domain.errors import Conflict, NotFound, PreconditionFailed
from core.domain.etags import Etag
from core.domain.flows import Flow
from core.domain.storage import FIRST_KEYS, MOST_BYTES, MOST_KEYS, Entry, StorageUse
from core.operations import deletions, jobs, storage, undo
from core.store import flow_storages
from core.store.database import Connection, Database
from tests.support.machinery import Machinery
from tests.support.storages import (
    assert_counted,
    clear_values,
    delete_value,
    deletions_of,
    keep_values,
    kept,
    use_of,
)
from tests.support.tenants import KEEP, Tenant
from tests.support.trash import empty_trash
from worker.pruner import Pruner

EXACT = '{ "z":1.50, "a":1e3, "n":123456789012345678901234567890, "t":"\\u00e4/\\/", "a b":[ ] }'
"""A value that any parsing and writing again would change."""


@pytest.fixture
async def flow(tenant: Tenant) -> Flow:
    return await tenant.make_flow()


async def restore(tenant: Tenant, flow: Flow, entry_id: int) -> tuple[int, int]:
    done = await storage.restore_storage(tenant.principal, tenant.database, flow.id, entry_id, keep=KEEP)
    return done.keys_count, done.replaced


async def text_of(tenant: Tenant, flow: Flow) -> str:
    found = await storage.read_storage(tenant.principal, tenant.database, tenant.application_id, flow.id)
    return found.entries


async def fill(database: Database, flow: Flow, keys: int, value: str) -> None:
    """Many values at once: setting thousands one by one would be most of a test."""
    async with database.connection() as connection:
        await connection.execute(
            """
            WITH stored AS (
                INSERT INTO flow_storage_entries (flow_id, company_id, key, value)
                SELECT $1, $2, 'k' || n, $4::json FROM generate_series(1, $3) AS n
                RETURNING octet_length(key) + octet_length(value::text) AS size
            )
            INSERT INTO flow_storages (flow_id, company_id, keys_count, memory_used)
            SELECT $1, $2, count(*), sum(size) FROM stored
            """,
            flow.id,
            flow.company_id,
            keys,
            value,
        )


# What it holds


async def test_a_value_is_kept_as_it_was_sent_wherever_it_goes(tenant: Tenant, flow: Flow) -> None:
    await keep_values(tenant, flow, exact=EXACT)
    assert await text_of(tenant, flow) == '{"exact":' + EXACT + "}"
    await clear_values(tenant, flow)
    (entry,) = await deletions_of(tenant, flow)
    await restore(tenant, flow, entry.id)
    assert await text_of(tenant, flow) == '{"exact":' + EXACT + "}"


@pytest.mark.parametrize(
    "key",
    ["__proto__", "a.b", " ", '"\\/\b\f\n\r\t', "\x01\x1f\x7f", "\u00e4", "\U0001f600" * 255, "\u2028", "{}", "%"],
)
async def test_any_key_comes_back_as_it_was(tenant: Tenant, flow: Flow, key: str) -> None:
    await storage.set_entry(tenant.principal, tenant.database, tenant.application_id, flow.id, Entry(key, "1"))
    assert await kept(tenant, flow) == {key: 1}
    await delete_value(tenant, flow, key)
    assert await kept(tenant, flow) == {}
    (entry,) = await deletions_of(tenant, flow)
    assert entry.first_keys == [key]
    await restore(tenant, flow, entry.id)
    assert await kept(tenant, flow) == {key: 1}
    await assert_counted(tenant, flow)


async def test_a_life_of_random_changes_is_counted_right(tenant: Tenant, flow: Flow) -> None:
    """Against a dictionary, with the revision rising exactly when something changed."""
    chance = random.Random(7)
    model: dict[str, str] = {}
    revision = 0
    for _ in range(120):
        before, key = dict(model), chance.choice("abcdef\u00e4\u20ac")
        match chance.choice(["set", "set", "set", "delete", "clear" if chance.random() < 0.2 else "restore"]):
            case "set":
                model[key] = '"' + chance.choice("xy\u00e4") * chance.randrange(20) + '"'
                await keep_values(tenant, flow, **{key: model[key]})
                revision += 1
            case "delete":
                await delete_value(tenant, flow, key)
                revision += model.pop(key, None) is not None
            case "clear":
                await clear_values(tenant, flow)
                revision += bool(model)
                model.clear()
            case _ if entries := await deletions_of(tenant, flow):
                await restore(tenant, flow, chance.choice(entries).id)
                model = {key: f'"{value}"' for key, value in (await kept(tenant, flow)).items()}
                assert before.keys() <= model.keys(), "restoring takes nothing away"
                revision = (await use_of(tenant, flow)).revision
        assert await kept(tenant, flow) == {key: value[1:-1] for key, value in model.items()}
        assert (await use_of(tenant, flow)).revision == revision
        await assert_counted(tenant, flow)


async def test_a_full_storage_takes_no_further_key(tenant: Tenant, flow: Flow) -> None:
    await fill(tenant.database, flow, MOST_KEYS, "1")
    with pytest.raises(Conflict, match="at most 10000 keys"):
        await keep_values(tenant, flow, new="1")
    await keep_values(tenant, flow, k1="2")
    await delete_value(tenant, flow, "k2")
    await keep_values(tenant, flow, new="1")
    await assert_counted(tenant, flow)


async def test_a_full_storage_takes_no_further_byte(tenant: Tenant, flow: Flow) -> None:
    await fill(tenant.database, flow, 130, '"' + "x" * 64_500 + '"')
    room = MOST_BYTES - (await use_of(tenant, flow)).memory_used
    assert 2 < room < 65_536
    with pytest.raises(Conflict, match="at most 8388608 bytes"):
        await keep_values(tenant, flow, n='"' + "x" * (room - 2) + '"')
    await keep_values(tenant, flow, n='"' + "x" * (room - 3) + '"')
    assert (await use_of(tenant, flow)).memory_used == MOST_BYTES
    await keep_values(tenant, flow, k1='""')
    await assert_counted(tenant, flow)
    assert len(await kept(tenant, flow)) == 131


# Who is first


async def test_rivals_are_all_kept_and_counted(tenant: Tenant, flow: Flow) -> None:
    await asyncio.gather(*(keep_values(tenant, flow, **{f"k{number % 10}": f"{number}"}) for number in range(40)))
    assert len(await kept(tenant, flow)) == 10
    assert (await use_of(tenant, flow)).revision == 40
    await assert_counted(tenant, flow)


async def test_a_control_without_the_lock_counts_wrong(tenant: Tenant, flow: Flow) -> None:
    """Two that look before either writes, with nothing to hold the second one back."""
    looked = asyncio.Barrier(2)

    async def rival(key: str) -> None:
        async def work(connection: Connection) -> None:
            before = await flow_storages.read_before_change(connection, tenant.company_id, flow.id, key)
            await looked.wait()
            entry = Entry(key, "1")
            after = before.use.with_more(1, entry.size)
            await flow_storages.set_entry(connection, tenant.company_id, flow.id, entry, after)

        await tenant.database.transaction(work)

    await asyncio.gather(rival("a"), rival("b"))
    assert len(await kept(tenant, flow)) == 2
    assert (await use_of(tenant, flow)).keys_count == 1


async def test_one_of_several_who_saw_the_same_wins(tenant: Tenant, flow: Flow) -> None:
    await keep_values(tenant, flow, counter="0")
    seen = Etag(frozenset({(await use_of(tenant, flow)).revision}))

    async def rival(number: int) -> bool:
        try:
            await storage.set_entry(
                tenant.principal,
                tenant.database,
                tenant.application_id,
                flow.id,
                Entry("counter", str(number)),
                etag=seen,
            )
        except PreconditionFailed:
            return False
        return True

    won = await asyncio.gather(*(rival(number) for number in range(1, 9)))
    assert sum(won) == 1
    assert await kept(tenant, flow) == {"counter": won.index(True) + 1}


async def test_a_change_waits_for_whoever_holds_the_flow(tenant: Tenant, flow: Flow, machinery: Machinery) -> None:
    """A value that is set while its flow is being deleted is refused, not lost."""
    await keep_values(tenant, flow, a="1")
    place = (tenant.principal, tenant.database, tenant.application_id, flow.id)
    accepted = asyncio.create_task(deletions.accept_flow_deletion(*place, public_id=machinery.tools.terms.new_id()))
    outcomes = await asyncio.gather(
        *(storage.set_entry(*place, Entry(f"k{number}", "1")) for number in range(20)), return_exceptions=True
    )
    job_id = await accepted
    await machinery.drain()
    stored = [outcome for outcome in outcomes if isinstance(outcome, int)]
    assert all(isinstance(outcome, int | NotFound) for outcome in outcomes)
    job = await jobs.read_job(tenant.principal, tenant.database, job_id)
    await undo.accept_undo(tenant.principal, tenant.database, job, public_id=machinery.tools.terms.new_id())
    await machinery.drain()
    assert len(await kept(tenant, flow)) == 1 + len(stored)
    await assert_counted(tenant, flow)


# The trash


async def test_a_cleared_storage_is_one_entry_and_comes_back_whole(tenant: Tenant, flow: Flow) -> None:
    values = {f"k{number:02}": str(number) for number in range(30)}
    await keep_values(tenant, flow, **values)
    before = await use_of(tenant, flow)
    await clear_values(tenant, flow)
    assert await kept(tenant, flow) == {}
    (entry,) = await deletions_of(tenant, flow)
    assert (entry.reason, entry.keys_count, entry.memory_used) == ("cleared", 30, before.memory_used)
    assert entry.first_keys == sorted(values)[:FIRST_KEYS]
    assert abs(entry.purge_after - entry.deleted_at - KEEP) < timedelta(seconds=1)

    assert await restore(tenant, flow, entry.id) == (30, 0)

    assert await kept(tenant, flow) == {key: int(value) for key, value in values.items()}
    assert await deletions_of(tenant, flow) == []
    assert (await use_of(tenant, flow)).revision > before.revision
    await assert_counted(tenant, flow)
    with pytest.raises(NotFound):
        await restore(tenant, flow, entry.id)


async def test_newer_values_make_way_and_are_kept_in_their_turn(tenant: Tenant, flow: Flow) -> None:
    await keep_values(tenant, flow, a="1", b="2", c="3")
    await clear_values(tenant, flow)
    await keep_values(tenant, flow, b="20", d="4")
    (entry,) = await deletions_of(tenant, flow)

    assert await restore(tenant, flow, entry.id) == (3, 1)

    assert await kept(tenant, flow) == {"a": 1, "b": 2, "c": 3, "d": 4}
    (made_way,) = await deletions_of(tenant, flow)
    assert (made_way.reason, made_way.first_keys) == ("replaced", ["b"])
    assert await restore(tenant, flow, made_way.id) == (1, 1)
    assert await kept(tenant, flow) == {"a": 1, "b": 20, "c": 3, "d": 4}


async def test_what_no_longer_fits_stays_in_the_trash(tenant: Tenant, flow: Flow) -> None:
    await keep_values(tenant, flow, a="1")
    await clear_values(tenant, flow)
    async with tenant.database.connection() as connection:
        await connection.execute("DELETE FROM flow_storages")
    await fill(tenant.database, flow, MOST_KEYS, "1")
    (entry,) = await deletions_of(tenant, flow)
    with pytest.raises(Conflict):
        await restore(tenant, flow, entry.id)
    assert await deletions_of(tenant, flow) == [entry]
    await assert_counted(tenant, flow)


async def test_what_is_past_its_time_cannot_return_and_is_purged(tenant: Tenant, flow: Flow) -> None:
    await keep_values(tenant, flow, a="1", b="2")
    await delete_value(tenant, flow, "a")
    await clear_values(tenant, flow)
    later, earlier = await deletions_of(tenant, flow)
    async with tenant.database.connection() as connection:
        await connection.execute(
            "UPDATE deleted_storages SET purge_after = clock_timestamp() WHERE id = $1", earlier.id
        )
    with pytest.raises(NotFound):
        await restore(tenant, flow, earlier.id)
    pruner = Pruner(tenant.database, KEEP)
    assert await pruner.run_once() == 1
    assert await pruner.run_once() == 0
    assert await deletions_of(tenant, flow) == [later]


async def test_nothing_deleted_leaves_nothing(tenant: Tenant, flow: Flow) -> None:
    await clear_values(tenant, flow)
    await delete_value(tenant, flow, "a")
    assert await use_of(tenant, flow) == StorageUse(0, 0, 0)
    assert await deletions_of(tenant, flow) == []


# With its flow


async def remove(tenant: Tenant, machinery: Machinery, flow: Flow) -> str:
    job_id = await deletions.accept_flow_deletion(
        tenant.principal,
        tenant.database,
        tenant.application_id,
        flow.id,
        public_id=machinery.tools.terms.new_id(),
    )
    with pytest.raises(NotFound):
        await kept(tenant, flow)
    await machinery.drain()
    return job_id


async def take_back(tenant: Tenant, machinery: Machinery, job_id: str) -> None:
    job = await jobs.read_job(tenant.principal, tenant.database, job_id)
    await undo.accept_undo(tenant.principal, tenant.database, job, public_id=machinery.tools.terms.new_id())
    await machinery.drain()


async def rows_left(tenant: Tenant) -> list[int]:
    async with tenant.database.connection() as connection:
        return [
            await connection.fetchval(f"SELECT count(*) FROM {table}")
            for table in ("flow_storages", "flow_storage_entries", "deleted_storages")
        ]


@pytest.mark.parametrize("versions", [0, 3])
async def test_it_goes_with_its_flow_and_comes_back(
    tenant: Tenant, machinery: Machinery, flow: Flow, versions: int
) -> None:
    await tenant.make_versions(flow, versions) if versions else None
    await keep_values(tenant, flow, exact=EXACT, b="2", old="0")
    await delete_value(tenant, flow, "old")
    text, use = await text_of(tenant, flow), await use_of(tenant, flow)

    job_id = await remove(tenant, machinery, flow)
    assert await rows_left(tenant) == [0, 0, 2]
    await take_back(tenant, machinery, job_id)

    assert await text_of(tenant, flow) == text
    after = await use_of(tenant, flow)
    assert (after.keys_count, after.memory_used) == (use.keys_count, use.memory_used)
    assert after.revision > use.revision
    (entry,) = await deletions_of(tenant, flow)
    assert entry.first_keys == ["old"], "what was deleted before is still there to be restored"
    assert await rows_left(tenant) == [1, 2, 1]
    await assert_counted(tenant, flow)


async def test_an_emptied_one_keeps_its_revision(tenant: Tenant, machinery: Machinery, flow: Flow) -> None:
    """An ETag from before must not fit again."""
    await keep_values(tenant, flow, a="1")
    await clear_values(tenant, flow)
    before = await use_of(tenant, flow)
    await take_back(tenant, machinery, await remove(tenant, machinery, flow))
    assert (await use_of(tenant, flow)).revision > before.revision


async def test_an_undo_of_many_batches_brings_it_once(tenant: Tenant, machinery: Machinery, flow: Flow) -> None:
    """The flow is back after the first batch: what is set then is not overwritten by the second."""
    await tenant.make_versions(flow, 20)
    await keep_values(tenant, flow, a="1")
    job = await jobs.read_job(tenant.principal, tenant.database, await remove(tenant, machinery, flow))
    await undo.accept_undo(tenant.principal, tenant.database, job, public_id=machinery.tools.terms.new_id())
    (name,) = await machinery.deliver()
    claimed = await machinery.runner._claim(name)
    assert claimed is not None
    await undo.restore_batch(tenant.database, claimed, limit=8, terms=machinery.tools.terms)
    await keep_values(tenant, flow, a="2", b="3")
    for _ in range(2):
        await undo.restore_batch(tenant.database, claimed, limit=8, terms=machinery.tools.terms)
    assert await kept(tenant, flow) == {"a": 2, "b": 3}


async def test_it_ends_when_its_flow_can_no_longer_return(tenant: Tenant, machinery: Machinery, flow: Flow) -> None:
    other = await tenant.make_flow("Other")
    for kept_flow in (flow, other):
        await keep_values(tenant, kept_flow, a="1", b="2")
    await remove(tenant, machinery, flow)
    await empty_trash(tenant.database)
    assert await rows_left(tenant) == [1, 2, 0]
    assert await kept(tenant, other) == {"a": 1, "b": 2}


async def test_a_worker_that_knows_no_storages_can_still_remove_a_flow(
    tenant: Tenant, machinery: Machinery, flow: Flow
) -> None:
    """One of the release before, while both run: the storage then waits in its place for the flow to return."""
    await keep_values(tenant, flow, a="1")
    async with tenant.database.connection() as connection:
        await connection.execute("UPDATE flows SET removing_since = clock_timestamp() WHERE id = $1", flow.id)
        await connection.execute("DELETE FROM flows WHERE id = $1", flow.id)
    with pytest.raises(NotFound):
        await kept(tenant, flow)
    assert await rows_left(tenant) == [1, 1, 0]
