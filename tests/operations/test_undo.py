"""Taking deletions back: what returns, what cannot, and what races with it. Each race has its control."""

from __future__ import annotations

import asyncio

import pytest

from core.domain.documents import parse_document
from core.domain.errors import AlreadyExists, Conflict, NotFound
from core.domain.flows import Flow
from core.domain.jobs import ClaimedJob, Job, JobKind, JobStatus
from core.domain.versions import NewVersion, TrashEntry, Version
from core.operations import deletions, jobs, settling, undo, versions
from core.store import deleted_versions
from core.store import flows as flow_store
from core.store.database import Connection
from schemas.losant import content_of
from tests.support.machinery import Machinery
from tests.support.tenants import KEEP, Tenant


async def read(tenant: Tenant, job_id: str) -> Job:
    return await jobs.read_job(tenant.principal, tenant.database, job_id)


async def deleted(tenant: Tenant, machinery: Machinery, flow: Flow) -> Job:
    """A deletion of everything in the flow, run to its end."""
    job_id = await tenant.ask_deletion(flow)
    await machinery.drain()
    return await read(tenant, job_id)


async def accept(tenant: Tenant, machinery: Machinery, job: Job) -> str:
    return await undo.accept_undo(tenant.principal, tenant.database, job, public_id=machinery.tools.terms.new_id())


async def live(tenant: Tenant, flow: Flow) -> dict[str, Version]:
    """Every named version of the flow, by name."""
    async with tenant.database.connection() as connection:
        names = await connection.fetch(
            "SELECT name FROM flow_versions WHERE flow_id = $1 AND name IS NOT NULL", flow.id
        )
    return {row["name"]: await tenant.read_version(flow, row["name"]) for row in names}


async def trash(tenant: Tenant, flow: Flow) -> list[TrashEntry]:
    found, _ = await undo.list_trash(tenant.principal, tenant.database, flow.id, limit=100, offset=0)
    return found


async def end_window(tenant: Tenant, job: Job) -> None:
    """As if the time in which the job can be undone were over."""
    async with tenant.database.connection() as connection:
        await connection.execute("UPDATE jobs SET undo_until = clock_timestamp() WHERE id = $1", job.id)


async def test_everything_returns_as_it_was(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    for name in ("a", "B%", "straße"):
        await tenant.make_version(flow, name, '{"nodes":[{"id":"' + name + '","x":1.50}]}')
    before = await live(tenant, flow)
    job = await deleted(tenant, machinery, flow)
    assert await live(tenant, flow) == {}

    undo_id = await accept(tenant, machinery, job)
    await machinery.drain()

    after = await live(tenant, flow)
    assert set(after) == set(before)
    for name, version in after.items():
        old = before[name]
        assert (version.id, version.body, version.digest, version.iteration) == (
            old.id,
            old.body,
            old.digest,
            old.iteration,
        )
        assert (version.created_at, version.status) == (old.created_at, old.status)
        assert version.revision > old.revision, "an older job's set must not fit it any more"
    told = await read(tenant, undo_id)
    assert (told.kind, told.status, told.total, told.removed, told.failed) == (
        JobKind.UNDO_DELETION, JobStatus.COMPLETED, 3, 3, 0
    )  # fmt: skip
    assert await trash(tenant, flow) == []
    assert await tenant.ask_deletion(flow, {"version": {"$eq": "STRASSE", "$ci": True}})
    await machinery.drain()
    assert set(await live(tenant, flow)) == {"a", "B%"}, "names that came back are found in any case"


async def test_an_undo_of_many_goes_batch_by_batch(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 25)
    job = await deleted(tenant, machinery, flow)
    undo_id = await accept(tenant, machinery, job)
    claimed = await claim(machinery)
    done = [await undo.restore_batch(tenant.database, claimed, limit=10, terms=machinery.tools.terms) for _ in range(3)]
    assert [(batch.items, batch.finished) for batch in done] == [(10, False), (10, False), (5, True)]
    assert (await read(tenant, undo_id)).removed == 25


async def test_a_repeat_returns_the_first_undo(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 3)
    job = await deleted(tenant, machinery, flow)
    first = await accept(tenant, machinery, job)
    assert await accept(tenant, machinery, job) == first
    await machinery.drain()
    assert await accept(tenant, machinery, job) == first


async def test_rivals_get_one_undo(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 3)
    job = await deleted(tenant, machinery, flow)
    asked = await asyncio.gather(*(accept(tenant, machinery, job) for _ in range(6)))
    assert len(set(asked)) == 1
    assert await machinery.drain() == ["settled"]


async def test_a_control_without_the_lock_gets_two(tenant: Tenant, machinery: Machinery) -> None:
    """The same rivals with neither the lock nor the index that lets one undo of a job exist."""
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 3)
    job = await deleted(tenant, machinery, flow)
    async with tenant.database.connection() as connection:
        await connection.execute("DROP INDEX jobs_one_undo")
        for _ in range(2):
            assert await connection.fetchval("SELECT public_id FROM jobs WHERE undoes = -1") is None, "both look first"
        for _ in range(2):
            await connection.execute(
                """
                INSERT INTO jobs (public_id, company_id, flow_id, kind, queue, arguments, total, undoes,
                                  requested_by_type, deliver_at)
                VALUES ($1, $2, $3, 'undo_deletion', 'bulk', '{}', 3, $4, 'cli', clock_timestamp())
                """,
                machinery.tools.terms.new_id(),
                tenant.company_id,
                flow.id,
                job.id,
            )
    await machinery.drain()
    async with tenant.database.connection() as connection:
        ends = await connection.fetch("SELECT removed, failed FROM jobs WHERE undoes = $1 ORDER BY id", job.id)
    assert [tuple(row) for row in ends] == [(3, 0), (0, 3)], "the second one counts failures that never were"


async def test_a_running_deletion_cannot_be_undone(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 20)
    job_id = await tenant.ask_deletion(flow)
    with pytest.raises(Conflict, match="is queued"):
        await accept(tenant, machinery, await read(tenant, job_id))
    claimed = await claim(machinery)
    await deletions.delete_batch(tenant.database, claimed, limit=10, terms=machinery.tools.terms)
    with pytest.raises(Conflict, match="is in_progress"):
        await accept(tenant, machinery, await read(tenant, job_id))
    assert len(await tenant.names(flow)) == 10
    await deletions.delete_batch(tenant.database, claimed, limit=10, terms=machinery.tools.terms)


async def test_a_cancelled_deletion_gives_back_what_it_took(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 20)
    job_id = await tenant.ask_deletion(flow)
    claimed = await claim(machinery)
    await deletions.delete_batch(tenant.database, claimed, limit=8, terms=machinery.tools.terms)
    await jobs.cancel_job(tenant.principal, tenant.database, job_id, machinery.tools.terms)
    await deletions.delete_batch(tenant.database, claimed, limit=8, terms=machinery.tools.terms)
    undo_id = await accept(tenant, machinery, await read(tenant, job_id))
    await machinery.drain()
    assert (await read(tenant, undo_id)).removed == 8
    assert len(await tenant.names(flow)) == 20


async def test_a_deletion_that_removed_nothing_has_nothing_to_undo(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    job = await deleted(tenant, machinery, flow)
    with pytest.raises(Conflict, match="nothing to undo"):
        await accept(tenant, machinery, job)


async def test_an_undo_cannot_be_undone(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 1)
    undo_id = await accept(tenant, machinery, await deleted(tenant, machinery, flow))
    await machinery.drain()
    with pytest.raises(Conflict, match="Only a deletion"):
        await accept(tenant, machinery, await read(tenant, undo_id))


async def test_a_taken_name_stays_in_the_trash_and_is_accounted(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 3)
    job = await deleted(tenant, machinery, flow)
    newcomer = await tenant.make_version(flow, "v2")
    undo_id = await accept(tenant, machinery, job)
    await machinery.drain()
    told = await read(tenant, undo_id)
    assert (told.status, told.removed, told.reasons) == (JobStatus.COMPLETED, 2, {"name_taken": 1})
    assert (await live(tenant, flow))["v2"].id == newcomer.id
    assert [entry.name for entry in await trash(tenant, flow)] == ["v2"]


async def test_a_post_between_two_batches_keeps_its_name(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 20)
    undo_id = await accept(tenant, machinery, await deleted(tenant, machinery, flow))
    claimed = await claim(machinery)
    await undo.restore_batch(tenant.database, claimed, limit=10, terms=machinery.tools.terms)
    newcomer = await tenant.make_version(flow, "v15")
    await undo.restore_batch(tenant.database, claimed, limit=100, terms=machinery.tools.terms)
    assert (await read(tenant, undo_id)).reasons == {"name_taken": 1}
    assert (await live(tenant, flow))["v15"].id == newcomer.id


async def test_posts_racing_with_an_undo_end_in_one_version_a_name(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 12)
    undo_id = await accept(tenant, machinery, await deleted(tenant, machinery, flow))
    results = await asyncio.gather(
        machinery.drain(),
        *(tenant.make_version(flow, f"v{number}") for number in range(1, 13)),
        return_exceptions=True,
    )
    taken = sum(isinstance(result, AlreadyExists) for result in results)
    told = await read(tenant, undo_id)
    assert told.removed == taken, "each name went to exactly one of the two"
    assert told.removed + told.failed == told.total == 12
    assert len(await tenant.names(flow)) == 12


async def test_past_its_window_a_job_cannot_be_undone(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 3)
    job = await deleted(tenant, machinery, flow)
    await end_window(tenant, job)
    with pytest.raises(Conflict, match="is over"):
        await accept(tenant, machinery, job)
    assert await undo.purge_trash(tenant.database, 100) == 3
    with pytest.raises(Conflict, match="is over"):
        await accept(tenant, machinery, job)


async def test_the_pruner_leaves_what_is_being_undone(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 20)
    job = await deleted(tenant, machinery, flow)
    undo_id = await accept(tenant, machinery, job)
    claimed = await claim(machinery)
    await undo.restore_batch(tenant.database, claimed, limit=5, terms=machinery.tools.terms)
    await end_window(tenant, job)
    assert await undo.purge_trash(tenant.database, 100) == 0
    await undo.restore_batch(tenant.database, claimed, limit=100, terms=machinery.tools.terms)
    assert (await read(tenant, undo_id)).removed == 20


async def test_a_control_that_prunes_by_time_alone_loses_it(tenant: Tenant, machinery: Machinery) -> None:
    """The same story with a pruner that looks at nothing but the clock."""
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 20)
    job = await deleted(tenant, machinery, flow)
    undo_id = await accept(tenant, machinery, job)
    claimed = await claim(machinery)
    await undo.restore_batch(tenant.database, claimed, limit=5, terms=machinery.tools.terms)
    await end_window(tenant, job)

    async def prune(connection: Connection) -> int:
        return await deleted_versions.purge_of_job(connection, job.id, 100)

    assert await tenant.database.transaction(prune) == 15
    await undo.restore_batch(tenant.database, claimed, limit=100, terms=machinery.tools.terms)
    assert (await read(tenant, undo_id)).reasons == {"gone": 15}, "accounted for, but lost"


async def test_an_undo_accepted_while_the_pruner_waits_wins(tenant: Tenant, machinery: Machinery) -> None:
    """The pruner has chosen the job, and gets its lock only after the undo was accepted: it looks again."""
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 3)
    job = await deleted(tenant, machinery, flow)
    undo_id = await accept(tenant, machinery, job)
    await end_window(tenant, job)

    async def as_chosen_before(connection: Connection) -> bool:
        await connection.fetchval("SELECT id FROM jobs WHERE id = $1 FOR NO KEY UPDATE", job.id)
        return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM jobs WHERE undoes = $1)", job.id))

    assert await tenant.database.transaction(as_chosen_before)
    assert await undo.purge_trash(tenant.database, 100) == 0
    await machinery.drain()
    assert (await read(tenant, undo_id)).removed == 3


async def test_a_zombie_of_an_undo_changes_nothing(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 20)
    undo_id = await accept(tenant, machinery, await deleted(tenant, machinery, flow))
    zombie = await claim(machinery)
    await undo.restore_batch(tenant.database, zombie, limit=5, terms=machinery.tools.terms)
    async with tenant.database.connection() as connection:
        await connection.execute(
            "UPDATE jobs SET leased_until = clock_timestamp() - interval '1 second' WHERE status = 'in_progress'"
        )
    await machinery.rescuer.run_once()
    await machinery.drain()
    with pytest.raises(settling.JobLost):
        await undo.restore_batch(tenant.database, zombie, limit=5, terms=machinery.tools.terms)
    told = await read(tenant, undo_id)
    assert (told.removed, told.failed, len(await tenant.names(flow))) == (20, 0, 20)


async def test_a_removed_flow_comes_back_with_its_versions_and_its_draft(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 2)
    await tenant.make_draft(flow)
    await tenant.deploy(flow, await tenant.make_version(flow, "live"))
    job_id = await deletions.accept_flow_deletion(
        tenant.principal, tenant.database, tenant.application_id, flow.id, public_id=machinery.tools.terms.new_id()
    )
    await machinery.drain()

    undo_id = await accept(tenant, machinery, await read(tenant, job_id))
    await machinery.drain()

    back = await tenant.read_flow(flow.id)
    assert (back.name, back.created_at, back.deployed_version_id) == (flow.name, flow.created_at, None)
    assert sorted(map(str, await tenant.names(flow))) == ["None", "live", "v1", "v2"]
    assert (await read(tenant, undo_id)).removed == 4
    assert (await tenant.make_version(flow, "next")).iteration == 5, "ordinals go on where they were"


async def test_versions_of_a_flow_that_is_gone_cannot_return(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 3)
    job = await deleted(tenant, machinery, flow)
    await deletions.accept_flow_deletion(
        tenant.principal, tenant.database, tenant.application_id, flow.id, public_id=machinery.tools.terms.new_id()
    )
    await machinery.drain()
    undo_id = await accept(tenant, machinery, job)
    await machinery.drain()
    told = await read(tenant, undo_id)
    assert (told.status, told.removed, told.reasons) == (JobStatus.COMPLETED, 0, {"flow_gone": 3})


async def test_a_single_deletion_is_restored(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    version = await tenant.make_version(flow, "a")
    await versions.delete_version(tenant.principal, tenant.database, tenant.application_id, flow.id, "a", keep=KEEP)
    (entry,) = await trash(tenant, flow)
    assert (entry.version_id, entry.name, entry.reason, entry.job) == (version.id, "a", "deleted", None)
    assert await restore(tenant, machinery, flow, entry.id) == version.id
    assert (await live(tenant, flow))["a"].body == version.body
    assert await trash(tenant, flow) == []
    with pytest.raises(NotFound):
        await restore(tenant, machinery, flow, entry.id)


async def test_a_restored_replacement_swaps_with_what_replaced_it(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    old = await tenant.make_version(flow, "a", '{"nodes":[{"id":"old"}]}')
    new = NewVersion("a", True, None, content_of(parse_document(b'{"nodes":[{"id":"new"}]}')))
    await tenant.keep_version(flow, new, replace=True)
    (entry,) = await trash(tenant, flow)
    assert await restore(tenant, machinery, flow, entry.id) == old.id
    back = (await live(tenant, flow))["a"]
    assert (back.body, back.revision) == (old.body, old.revision + 2)
    assert [entry.reason for entry in await trash(tenant, flow)] == ["replaced"]


async def test_a_restore_does_not_take_a_name_that_was_taken(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_version(flow, "a")
    await versions.delete_version(tenant.principal, tenant.database, tenant.application_id, flow.id, "a", keep=KEEP)
    (entry,) = await trash(tenant, flow)
    await tenant.make_version(flow, "a")
    with pytest.raises(AlreadyExists):
        await restore(tenant, machinery, flow, entry.id)
    assert len(await trash(tenant, flow)) == 1, "a refused restore leaves the trash as it was"


async def test_another_company_sees_nothing_of_the_trash(
    tenant: Tenant, stranger: Tenant, machinery: Machinery
) -> None:
    flow = await tenant.make_flow()
    await tenant.make_version(flow, "a")
    await versions.delete_version(tenant.principal, tenant.database, tenant.application_id, flow.id, "a", keep=KEEP)
    (entry,) = await trash(tenant, flow)
    with pytest.raises(NotFound):
        await trash(stranger, flow)
    with pytest.raises(NotFound):
        await restore(stranger, machinery, flow, entry.id)


async def test_a_restored_draft_is_the_draft_again(tenant: Tenant, machinery: Machinery) -> None:
    """Left in the trash by an undo that was cancelled, and then asked for by itself."""
    flow = await tenant.make_flow()
    await tenant.make_draft(flow)
    job_id = await deletions.accept_flow_deletion(
        tenant.principal, tenant.database, tenant.application_id, flow.id, public_id=machinery.tools.terms.new_id()
    )
    await machinery.drain()
    undo_id = await accept(tenant, machinery, await read(tenant, job_id))
    claimed = await claim(machinery)
    await tenant.database.transaction(lambda connection: restore_flow(connection, job_id))
    await jobs.cancel_job(tenant.principal, tenant.database, undo_id, machinery.tools.terms)
    await undo.restore_batch(tenant.database, claimed, limit=10, terms=machinery.tools.terms)
    (entry,) = await trash(tenant, flow)
    await restore(tenant, machinery, flow, entry.id)
    async with tenant.database.connection() as connection:
        assert await connection.fetchval("SELECT status FROM flow_versions WHERE flow_id = $1", flow.id) == "Draft"


async def test_the_pruner_waits_for_a_running_job(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 30)
    job_id = await tenant.ask_deletion(flow)
    claimed = await claim(machinery)
    await deletions.delete_batch(tenant.database, claimed, limit=10, terms=machinery.tools.terms)
    await end_window(tenant, await read(tenant, job_id))
    assert await undo.purge_trash(tenant.database, 100) == 0
    await deletions.delete_batch(tenant.database, claimed, limit=100, terms=machinery.tools.terms)
    assert await undo.purge_trash(tenant.database, 100) == 30
    assert await trash(tenant, flow) == []


async def test_what_is_past_its_time_ends(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_version(flow, "a")
    await versions.delete_version(tenant.principal, tenant.database, tenant.application_id, flow.id, "a", keep=KEEP)
    assert await undo.purge_trash(tenant.database, 10) == 0
    async with tenant.database.connection() as connection:
        await connection.execute("UPDATE deleted_versions SET purge_after = clock_timestamp()")
    (entry,) = await trash(tenant, flow)
    with pytest.raises(NotFound):
        await restore(tenant, machinery, flow, entry.id)
    assert await undo.purge_trash(tenant.database, 10) == 1
    assert await trash(tenant, flow) == []


async def claim(machinery: Machinery) -> ClaimedJob:
    """Delivers and claims the one staged job without running it."""
    (name,) = await machinery.deliver()
    job = await machinery.runner._claim(name)
    assert job is not None
    return job


async def restore(tenant: Tenant, machinery: Machinery, flow: Flow, entry_id: int) -> int:
    return await undo.restore_entry(tenant.principal, tenant.database, flow.id, entry_id, machinery.tools.terms)


async def restore_flow(connection: Connection, job_id: str) -> None:
    """The first step of an undo of a flow's removal, without the versions."""
    number = await connection.fetchval("SELECT id FROM jobs WHERE public_id = $1", job_id)
    await flow_store.restore_of_job(connection, number)
