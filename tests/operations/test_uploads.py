"""Uploads and installs against rivals, stale workers and changes of mind, and what they leave in the log."""

from __future__ import annotations

import asyncio

import pytest

from core.domain.errors import Conflict
from core.domain.jobs import JobStatus
from core.domain.listings import Listing
from core.domain.marketplace import Entry, Happening, verify_log
from core.operations import deletions, installs, jobs, lifecycle, marketplace, undo, uploads
from core.operations.installs import InstallRequest
from core.operations.settling import JobLost
from core.store import artifact_keys
from core.store import marketplace as store
from core.store.database import Connection, Database
from core.store.rows import build
from schemas.marketplace import SHOWN_ITEM
from tests.support.api import Api
from tests.support.contents import unchanged
from tests.support.machinery import Machinery
from tests.support.market import (
    INSTANCE,
    TERMS,
    administrator,
    ask_upload,
    claim,
    deployed,
    make_item,
    open_shop,
    run_upload,
    yank,
)
from tests.support.tenants import KEEP, Tenant
from tests.support.waiting import until


async def log_of(database: Database) -> list[Entry]:
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT *, entry AS text FROM marketplace_log ORDER BY company_id, sequence")
    return [build(Entry, row, kind=Happening(row["kind"])) for row in rows]


async def test_rivals_add_one_item_and_one_entry(tenant: Tenant) -> None:
    """The same version uploaded by several jobs at once."""
    _, version = await deployed(tenant)
    asked = [await ask_upload(tenant, version) for _ in range(5)]
    ids = await asyncio.gather(*(run_upload(tenant, public_id) for public_id in asked))
    assert len(set(ids)) == 1
    assert [entry.item_id for entry in await log_of(tenant.database)] == [ids[0]]


async def test_many_at_once_make_one_chain(tenant: Tenant, stranger: Tenant) -> None:
    """Of two companies: each has a log of its own, without a gap."""
    asked = []
    for number in range(12):
        owner = (tenant, stranger)[number % 2]
        _, version = await deployed(owner, f"Flow {number}")
        asked.append((owner, await ask_upload(owner, version)))
    await asyncio.gather(*(run_upload(owner, public_id) for owner, public_id in asked))
    async with tenant.database.connection() as connection:
        keys = await artifact_keys.known(connection)
    entries = await log_of(tenant.database)
    for owner in (tenant, stranger):
        assert verify_log([entry for entry in entries if entry.company_id == owner.company_id], keys) == 6


async def test_a_worker_that_lost_its_job_adds_nothing(tenant: Tenant) -> None:
    _, version = await deployed(tenant)
    public_id = await ask_upload(tenant, version)
    late = await claim(tenant, public_id)
    made, key = await uploads.make_artifact(tenant.database, late, instance=INSTANCE)
    await _stage_again(tenant)
    item_id = await run_upload(tenant, public_id)
    async with unchanged(tenant.database):
        with pytest.raises(JobLost):
            await uploads.keep_artifact(tenant.database, late, made, key, TERMS)
    assert [entry.item_id for entry in await log_of(tenant.database)] == [item_id]


async def test_a_worker_that_lost_its_install_makes_no_second_flow(tenant: Tenant) -> None:
    item_id = await make_item(tenant)
    public_id = await ask_install(tenant, item_id)
    late = await claim(tenant, public_id)
    arrival = await installs.fetch_artifact(tenant.database, late)
    await _stage_again(tenant)
    again = await claim(tenant, public_id)
    await installs.install_item(tenant.database, again, arrival, TERMS)
    async with unchanged(tenant.database):
        with pytest.raises(JobLost):
            await installs.install_item(tenant.database, late, arrival, TERMS)


async def _stage_again(tenant: Tenant) -> None:
    """As the rescuer does when a lease has run out."""
    async with tenant.database.connection() as connection:
        await connection.execute(
            "UPDATE jobs SET status = 'queued', leased_until = NULL, deliver_at = clock_timestamp()"
            " WHERE status = 'in_progress'"
        )


async def ask_install(tenant: Tenant, item_id: int) -> str:
    request = InstallRequest(item_id, name=None, force=False)
    owner = administrator(tenant)
    return await installs.accept_install(owner, tenant.database, request, public_id=TERMS.new_id(), key=None)


async def test_an_upload_that_is_cancelled_while_it_runs_leaves_nothing(tenant: Tenant) -> None:
    _, version = await deployed(tenant)
    public_id = await ask_upload(tenant, version)
    job = await claim(tenant, public_id)
    made, key = await uploads.make_artifact(tenant.database, job, instance=INSTANCE)
    running = await jobs.cancel_job(administrator(tenant), tenant.database, public_id, TERMS)
    assert running.status is JobStatus.IN_PROGRESS
    await uploads.keep_artifact(tenant.database, job, made, key, TERMS)
    ended = await jobs.read_job(administrator(tenant), tenant.database, public_id)
    assert (ended.status, ended.outcome) == (JobStatus.CANCELLED, None)
    assert await log_of(tenant.database) == []


async def test_a_failed_upload_can_be_tried_again_by_an_operator(tenant: Tenant, machinery: Machinery) -> None:
    _, version = await deployed(tenant)
    public_id = await ask_upload(tenant, version)
    async with tenant.database.connection() as connection:
        body = await connection.fetchval("SELECT body FROM flow_versions WHERE id = $1", version.id)
        await connection.execute("UPDATE flow_versions SET digest = '\\x00' WHERE id = $1", version.id)
    assert await machinery.drain() == ["failed"]
    async with tenant.database.connection() as connection:
        await connection.execute(
            "UPDATE flow_versions SET body = $2, digest = $3 WHERE id = $1", version.id, body, version.digest
        )
    job = await jobs.find_job(tenant.database, public_id)
    assert job is not None
    await jobs.retry_job(administrator(tenant), tenant.database, job, TERMS.new_id())
    assert await machinery.drain() == ["settled"]
    assert [entry.kind for entry in await log_of(tenant.database)] == [Happening.UPLOAD]


@pytest.mark.leaves_jobs
async def test_accepting_waits_for_nobody_who_holds_the_flow(tenant: Tenant) -> None:
    """What is uploaded is what was committed when it was asked for."""
    flow, version = await deployed(tenant)
    async with tenant.database.connection() as connection, connection.transaction():
        await connection.execute("SELECT FROM flows WHERE id = $1 FOR UPDATE", flow.id)
        async with asyncio.timeout(20):
            await ask_upload(tenant, version)


async def test_a_yank_and_an_upload_at_once_are_both_in_the_log(tenant: Tenant) -> None:
    item_id = await make_item(tenant)
    _, version = await deployed(tenant, "Other")
    await asyncio.gather(yank(tenant, item_id), run_upload(tenant, await ask_upload(tenant, version)))
    async with tenant.database.connection() as connection:
        keys = await artifact_keys.known(connection)
    assert verify_log(await log_of(tenant.database), keys) == 3


async def test_an_item_is_yanked_once_by_rivals(tenant: Tenant) -> None:
    item_id = await make_item(tenant)
    tried = await asyncio.gather(*(yank(tenant, item_id) for _ in range(4)), return_exceptions=True)
    assert [type(one) for one in tried if one is not None] == [Conflict] * 3
    assert [entry.kind for entry in await log_of(tenant.database)] == [Happening.UPLOAD, Happening.YANK]


async def test_an_artifact_that_was_damaged_is_not_installed(tenant: Tenant, machinery: Machinery) -> None:
    """By whoever could write into the database past its triggers."""
    item_id = await make_item(tenant)
    async with tenant.database.connection() as connection:
        await connection.execute("ALTER TABLE marketplace_artifacts DISABLE TRIGGER ALL")
        await connection.execute("UPDATE marketplace_artifacts SET file = set_byte(file, 100, 1)")
    public_id = await ask_install(tenant, item_id)
    assert await machinery.drain() == ["failed"]
    ended = await jobs.read_job(administrator(tenant), tenant.database, public_id)
    assert (ended.error_code, ended.status) == ("artifact_refused", JobStatus.FAILED)
    assert "its digest is another one" in str(ended.error_message)


async def test_an_item_that_is_no_longer_seen_is_not_installed(
    tenant: Tenant, stranger: Tenant, machinery: Machinery
) -> None:
    """The companies were parted while the job waited."""
    async with tenant.database.connection() as connection:
        await connection.execute(
            "UPDATE companies SET parent_id = $2 WHERE id = $1", stranger.company_id, tenant.company_id
        )
    item_id = await make_item(tenant)
    public_id = await ask_install(stranger, item_id)
    async with tenant.database.connection() as connection:
        await connection.execute("UPDATE companies SET parent_id = NULL WHERE id = $1", stranger.company_id)
    assert await machinery.drain() == ["failed"]
    ended = await jobs.read_job(administrator(stranger), tenant.database, public_id)
    assert ended.error_code == "item_gone"


async def delivered(machinery: Machinery) -> list[str]:
    """What has been staged meanwhile."""
    return await until(machinery.deliver, "a job is staged")


async def test_who_waits_is_answered_with_what_became_of_it(
    tenant: Tenant, anonymous: Api, machinery: Machinery
) -> None:
    """`Prefer: wait`, beside a worker."""
    shop = await open_shop(anonymous, tenant)
    _, version = await deployed(tenant)
    uploading = asyncio.create_task(shop.upload(version, Prefer="respond-async, wait=20"))
    assert [await machinery.runner.run(name) for name in await delivered(machinery)] == ["settled"]
    uploaded = await uploading
    item = uploaded.json["data"]
    installing = asyncio.create_task(shop.install(item["id"], Prefer="wait=20"))
    assert [await machinery.runner.run(name) for name in await delivered(machinery)] == ["settled"]
    installed = await installing
    assert (uploaded.status, installed.status) == (200, 200)
    assert (await shop.item(item["id"])).json["data"] == {**item, "installed_count": 1}
    assert installed.json["data"]["item_id"] == item["id"]
    assert uploaded.headers["Location"].startswith("/api/v1/jobs/")


async def test_who_waits_for_what_fails_is_told_of_the_job(
    tenant: Tenant, anonymous: Api, machinery: Machinery
) -> None:
    shop = await open_shop(anonymous, tenant)
    item_id = await make_item(tenant)
    waiting = asyncio.create_task(shop.install(item_id, Prefer="wait=20"))
    names = await delivered(machinery)
    await yank(tenant, item_id)
    assert [await machinery.runner.run(name) for name in names] == ["failed"]
    answer = await waiting
    assert answer.status == 202
    assert (await shop.job(answer.json["jobId"]))["error"]["code"] == "yanked"


async def test_the_latest_item_of_a_flow_is_the_newest_that_is_not_yanked(tenant: Tenant) -> None:
    flow, version = await deployed(tenant)
    first = await run_upload(tenant, await ask_upload(tenant, version))
    newer = await tenant.make_version(flow, "2.0")
    await tenant.deploy(flow, newer)
    second = await run_upload(tenant, await ask_upload(tenant, newer))
    owner = administrator(tenant)
    page = await marketplace.show_item_versions(owner, tenant.database, first, SHOWN_ITEM, limit=9, offset=0)
    assert ([*page.ids], page.total) == ([second, first], 2)

    async def latest() -> list[int]:
        async with tenant.database.connection() as connection:
            page, _ = await store.list_page(connection, tenant.company_id, Listing(9, 0, {"is_latest": [True]}))
        return [item.id for item in page]

    assert await latest() == [second]
    await yank(tenant, second)
    assert await latest() == [first]


async def test_a_deleted_flow_leaves_its_items(tenant: Tenant) -> None:
    flow, version = await deployed(tenant)
    item_id = await run_upload(tenant, await ask_upload(tenant, version))
    other = await tenant.make_version(flow, "2.0")
    await tenant.deploy(flow, other)
    await lifecycle.remove_version(administrator(tenant), tenant.database, flow.id, version.id, keep=KEEP)
    assert (await marketplace.read_item(administrator(tenant), tenant.database, item_id)).version == "1.0"


async def test_an_installed_flow_keeps_saying_so_in_the_trash(tenant: Tenant, machinery: Machinery) -> None:
    item_id = await make_item(tenant)
    await ask_install(tenant, item_id)
    await machinery.drain()

    async def origins(connection: Connection, table: str) -> list[int]:
        return [row["installed_from"] for row in await connection.fetch(f"SELECT installed_from FROM {table}")]

    async with tenant.database.connection() as connection:
        flow_id = await connection.fetchval("SELECT id FROM flows WHERE installed_from IS NOT NULL")
    public_id = await deletions.accept_flow_deletion(
        administrator(tenant), tenant.database, None, flow_id, public_id=TERMS.new_id()
    )
    await machinery.drain()
    async with tenant.database.connection() as connection:
        assert await origins(connection, "deleted_flows") == [item_id]
    job = await jobs.read_job(administrator(tenant), tenant.database, public_id)
    await undo.accept_undo(administrator(tenant), tenant.database, job, public_id=TERMS.new_id())
    await machinery.drain()
    async with tenant.database.connection() as connection:
        assert item_id in await origins(connection, "flows")
