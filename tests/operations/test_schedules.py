"""Schedules leave with their version and come back with it, in every way a version can; each is in one place only."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import asyncpg
import pytest

from core.domain.documents import parse_document
from core.domain.errors import Conflict, NotFound
from core.domain.flows import Flow
from core.domain.stored_schedules import MOST_SCHEDULES, Rules, StoredSchedule
from core.domain.versions import NewVersion
from core.operations import deletions, jobs, schedules, undo, versions
from core.store import flow_versions
from core.store import schedules as store
from core.store.database import Connection
from core.store.queries import queries_of, query, tables
from schemas.losant import content_of
from tests.support.machinery import Machinery
from tests.support.tenants import KEEP, Tenant
from tests.support.trash import empty_trash

GIVEN: tuple[dict[str, Any], ...] = (
    {"cron_string": "0 3 * * *", "timezone": "Europe/Berlin", "catchup_window_seconds": 0},
    {"cron_string": "*/5 * * * *", "paused": True, "pause_reason": 'a "reason"\n\u00e4\U0001f600', "deployed_at": None},
)
"""Two schedules that differ in everything a trash could lose."""


async def give(tenant: Tenant, version_id: int) -> list[asyncpg.Record]:
    """Gives a version the two, one of them changed since, and returns its rows."""
    first, _ = [await create(tenant, version_id, given) for given in GIVEN]
    await schedules.change_schedule(
        tenant.principal, tenant.database, version_id, first.id, {"overlap_policy": "buffer_one"}
    )
    return await rows(tenant, version_id)


async def create(tenant: Tenant, version_id: int, given: Mapping[str, Any]) -> StoredSchedule:
    return await schedules.create_schedule(tenant.principal, tenant.database, version_id, given)


async def rows(tenant: Tenant, version_id: int) -> list[asyncpg.Record]:
    """Everything that is stored of a version's schedules."""
    async with tenant.database.connection() as connection:
        found = await connection.fetch("SELECT * FROM schedules WHERE flow_version_id = $1 ORDER BY id", version_id)
    return list(found)


async def everywhere(tenant: Tenant) -> tuple[int, int]:
    """How many schedules are live, and how many are in the trash."""
    async with tenant.database.connection() as connection:
        live = await connection.fetchval("SELECT count(*) FROM schedules")
        kept = await connection.fetchval("SELECT coalesce(sum(json_array_length(schedules)), 0) FROM deleted_versions")
    return live, kept


async def trash_of(tenant: Tenant, flow: Flow) -> list[int]:
    found, _ = await undo.list_trash(tenant.principal, tenant.database, flow.id, limit=100, offset=0)
    return [entry.id for entry in found]


async def restore(tenant: Tenant, machinery: Machinery, flow: Flow, entry_id: int) -> int:
    return await undo.restore_entry(tenant.principal, tenant.database, flow.id, entry_id, machinery.tools.terms)


async def take_back(tenant: Tenant, machinery: Machinery, job_id: str) -> None:
    job = await jobs.read_job(tenant.principal, tenant.database, job_id)
    await undo.accept_undo(tenant.principal, tenant.database, job, public_id=machinery.tools.terms.new_id())
    await machinery.drain()


async def delete(tenant: Tenant, flow: Flow, name: str) -> None:
    await versions.delete_version(tenant.principal, tenant.database, tenant.application_id, flow.id, name, keep=KEEP)


async def draft_of(tenant: Tenant, flow: Flow) -> int:
    async with tenant.database.connection() as connection:
        found: int = await connection.fetchval(
            "SELECT id FROM flow_versions WHERE flow_id = $1 AND status = 'Draft'", flow.id
        )
    return found


async def test_a_single_deletion_takes_them_and_its_restoration_brings_them(
    tenant: Tenant, machinery: Machinery
) -> None:
    flow = await tenant.make_flow()
    version = await tenant.make_version(flow, "a")
    before = await give(tenant, version.id)
    stays = await give(tenant, (await tenant.make_version(flow, "b")).id)
    await delete(tenant, flow, "a")
    assert await everywhere(tenant) == (len(stays), 2)
    (entry,) = await trash_of(tenant, flow)
    assert await restore(tenant, machinery, flow, entry) == version.id
    assert await rows(tenant, version.id) == before, "under their ids, to the microsecond"
    assert await everywhere(tenant) == (4, 0)


async def test_a_bulk_delete_takes_them_and_its_undo_brings_them(tenant: Tenant, machinery: Machinery) -> None:
    flow, other = await tenant.make_flow(), await tenant.make_flow("Other")
    await tenant.make_versions(flow, 30)
    for name in ("timed1", "timed2"):
        await give(tenant, (await tenant.make_version(flow, name)).id)
    await give(tenant, (await tenant.make_version(other, "elsewhere")).id)
    live = await tenant.make_version(flow, "live")
    await tenant.deploy(flow, live)
    await give(tenant, live.id)
    async with tenant.database.connection() as connection:
        before = await connection.fetch("SELECT * FROM schedules ORDER BY id")
    job_id = await tenant.ask_deletion(flow)
    await machinery.drain()
    assert await everywhere(tenant) == (4, 4), "those of the other flow and of what is protected stay"
    assert len(await rows(tenant, live.id)) == 2
    await take_back(tenant, machinery, job_id)
    async with tenant.database.connection() as connection:
        assert await connection.fetch("SELECT * FROM schedules ORDER BY id") == before
    assert await everywhere(tenant) == (8, 0)


async def test_an_undo_leaves_them_with_the_version_that_cannot_return(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    old = await tenant.make_version(flow, "a")
    await give(tenant, old.id)
    job_id = await tenant.ask_deletion(flow)
    await machinery.drain()
    newcomer = await tenant.make_version(flow, "a")
    await take_back(tenant, machinery, job_id)
    assert await everywhere(tenant) == (0, 2)
    await delete(tenant, flow, "a")
    assert newcomer.id != old.id
    _, entry = await trash_of(tenant, flow)
    assert await restore(tenant, machinery, flow, entry) == old.id
    assert await everywhere(tenant) == (2, 0)


async def test_a_removed_flow_takes_those_of_all_its_versions(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_draft(flow)
    live = await tenant.make_version(flow, "live")
    await tenant.deploy(flow, live)
    of_draft = await give(tenant, await draft_of(tenant, flow))
    of_live = await give(tenant, live.id)
    job_id = await deletions.accept_flow_deletion(
        tenant.principal, tenant.database, tenant.application_id, flow.id, public_id=machinery.tools.terms.new_id()
    )
    await machinery.drain()
    assert await everywhere(tenant) == (0, 4)
    await take_back(tenant, machinery, job_id)
    assert await rows(tenant, live.id) == of_live
    assert await rows(tenant, await draft_of(tenant, flow)) == of_draft


async def test_a_replaced_content_leaves_them_where_they_are(tenant: Tenant, machinery: Machinery) -> None:
    """They are about when a version runs, not about what it does: neither the replacement nor its way back asks."""
    flow = await tenant.make_flow()
    version = await tenant.make_version(flow, "a", '{"nodes":[{"id":"old"}]}')
    before = await give(tenant, version.id)
    new = NewVersion("a", True, None, content_of(parse_document(b'{"nodes":[{"id":"new"}]}')))
    await tenant.keep_version(flow, new, replace=True)
    assert await rows(tenant, version.id) == before
    (entry,) = await trash_of(tenant, flow)
    await restore(tenant, machinery, flow, entry)
    assert await rows(tenant, version.id) == before
    assert await everywhere(tenant) == (2, 0)


async def test_what_left_with_a_content_changes_places_with_what_is_there(tenant: Tenant, machinery: Machinery) -> None:
    """A Draft that was overwritten together with its schedules, and is asked back while there is another."""
    flow = await tenant.make_flow()
    await tenant.make_draft(flow)
    draft = await draft_of(tenant, flow)
    old = await give(tenant, draft)

    async def overwrite(connection: Connection) -> None:
        await flow_versions.keep_replaced(connection, tenant.company_id, draft, KEEP, with_schedules=True)

    await tenant.database.transaction(overwrite)
    assert await everywhere(tenant) == (0, 2)
    newer = await create(tenant, draft, {"cron_string": "7 * * * *"})
    (entry,) = await trash_of(tenant, flow)
    await restore(tenant, machinery, flow, entry)
    assert await rows(tenant, draft) == old
    assert await everywhere(tenant) == (2, 1)
    (entry,) = await trash_of(tenant, flow)
    await restore(tenant, machinery, flow, entry)
    assert [row["id"] for row in await rows(tenant, draft)] == [newer.id]
    assert await everywhere(tenant) == (1, 2)


async def test_that_none_left_is_not_the_same_as_that_they_stayed(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_draft(flow)
    draft = await draft_of(tenant, flow)

    async def overwrite(connection: Connection) -> None:
        await flow_versions.keep_replaced(connection, tenant.company_id, draft, KEEP, with_schedules=True)

    await tenant.database.transaction(overwrite)
    await create(tenant, draft, GIVEN[0])
    (entry,) = await trash_of(tenant, flow)
    await restore(tenant, machinery, flow, entry)
    assert await rows(tenant, draft) == [], "the Draft that came back had none"
    assert await everywhere(tenant) == (0, 1)


async def test_they_end_with_what_is_past_its_time(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    for name in ("a", "b"):
        await give(tenant, (await tenant.make_version(flow, name)).id)
    await delete(tenant, flow, "a")
    await tenant.ask_deletion(flow)
    await machinery.drain()
    assert await everywhere(tenant) == (0, 4)
    await empty_trash(tenant.database)
    assert await everywhere(tenant) == (0, 0)


def test_whatever_moves_a_version_knows_of_schedules() -> None:
    """A statement that puts versions into the trash or takes them out and forgets these would lose or strand them."""
    named = {f"{table}.{name}": query(f"{table}.{name}") for table in tables() for name in queries_of(table)}
    filling = {name for name, sql in named.items() if "INSERT INTO deleted_versions" in sql}
    removing = {name for name, sql in named.items() if "DELETE FROM flow_versions" in sql}
    assert removing <= filling
    assert len(filling) >= 3
    for name in filling:
        assert "DELETE FROM schedules" in named[name], f"{name} leaves schedules behind"
    assert "INSERT INTO schedules" in named["deleted_versions.restore_batch"]


# Copies


async def test_copies_have_the_rules_and_ids_of_their_own(tenant: Tenant) -> None:
    flow = await tenant.make_flow()
    source, target = [await tenant.make_version(flow, name) for name in ("a", "b")]
    before = await give(tenant, source.id)

    async def copy(connection: Connection) -> int:
        return await store.copy_schedules(connection, tenant.principal, source.id, target.id)

    assert await tenant.database.transaction(copy) == 2
    assert await rows(tenant, source.id) == before
    own = {"id", "flow_version_id", "revision", "created_at", "updated_at"}
    copies = await rows(tenant, target.id)
    assert [without(row, own) for row in copies] == [without(row, own) for row in before]
    assert not {row["id"] for row in copies} & {row["id"] for row in before}
    assert {row["revision"] for row in copies} == {1}


def without(row: asyncpg.Record, names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


async def test_nobody_copies_another_companys(tenant: Tenant, stranger: Tenant) -> None:
    flow = await tenant.make_flow()
    source, target = [await tenant.make_version(flow, name) for name in ("a", "b")]
    await give(tenant, source.id)

    async def copy(connection: Connection) -> int:
        return await store.copy_schedules(connection, stranger.principal, source.id, target.id)

    assert await tenant.database.transaction(copy) == 0


# Races


async def test_a_schedule_that_meets_a_deletion_goes_with_the_version_or_is_refused(
    tenant: Tenant, machinery: Machinery
) -> None:
    flow = await tenant.make_flow()
    for number in range(12):
        version = await tenant.make_version(flow, f"v{number}")
        results = await asyncio.gather(
            create(tenant, version.id, GIVEN[0]), delete(tenant, flow, f"v{number}"), return_exceptions=True
        )
        assert all(result is None or isinstance(result, StoredSchedule | NotFound) for result in results), results
        assert await rows(tenant, version.id) == [], "no schedule outlives its version"


async def test_a_control_without_the_lock_strands_one(tenant: Tenant) -> None:
    """The same with a writer that looks whether the version is there, and then writes without holding the flow."""
    flow = await tenant.make_flow()
    version = await tenant.make_version(flow, "a")
    place = store.Place(tenant.company_id, flow.id, version.id)
    seen, gone = asyncio.Event(), asyncio.Event()

    async def write(connection: Connection) -> None:
        assert await flow_versions.find_flow(connection, tenant.company_id, version.id, None) == flow.id
        seen.set()
        await gone.wait()
        await store.insert(connection, tenant.principal, place, Rules("* * * * *"), from_now=True)

    writing = asyncio.create_task(tenant.database.transaction(write))
    await seen.wait()
    await delete(tenant, flow, "a")
    gone.set()
    await writing
    assert len(await rows(tenant, version.id)) == 1, "a schedule of nothing"


@pytest.mark.parametrize("rivals", [8])
async def test_rivals_do_not_get_one_too_many(tenant: Tenant, rivals: int) -> None:
    flow = await tenant.make_flow()
    version = await tenant.make_version(flow, "a")
    for _ in range(MOST_SCHEDULES - 3):
        await create(tenant, version.id, GIVEN[0])
    results = await asyncio.gather(
        *(create(tenant, version.id, GIVEN[1]) for _ in range(rivals)), return_exceptions=True
    )
    assert sum(isinstance(result, Conflict) for result in results) == rivals - 3
    assert len(await rows(tenant, version.id)) == MOST_SCHEDULES
