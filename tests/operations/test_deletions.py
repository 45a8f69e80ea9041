"""Bulk deletion: what is matched, what is removed, and that every item is accounted for."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.domain.documents import parse_document
from core.domain.errors import NotFound
from core.domain.flows import Flow, FlowChange
from core.domain.jobs import CHUNK_SIZE, ClaimedJob, Job, JobStatus
from core.domain.versions import NewVersion
from core.operations import deletions, jobs, versions
from core.operations.flows import FLOW_UNKNOWN
from core.store import job_items
from core.store.database import Connection
from schemas.losant import content_of
from tests.support.machinery import Machinery
from tests.support.smtp import SmtpCatcher
from tests.support.tenants import KEEP, Tenant


async def ended(tenant: Tenant, job_id: str) -> Job:
    """The job, after checking the account that every ended job must give."""
    job = await jobs.read_job(tenant.principal, tenant.database, job_id)
    assert job.status.terminal
    assert job.total == job.removed + job.failed
    assert job.failed == sum(job.reasons.values())
    return job


async def trash(tenant: Tenant, flow: Flow) -> list[tuple[str, str]]:
    async with tenant.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT name, reason FROM deleted_versions WHERE flow_id = $1 ORDER BY version_id", flow.id
        )
    return [(row["name"], row["reason"]) for row in rows]


async def test_removes_what_matched_and_tells_it_once(tenant: Tenant, machinery: Machinery, smtp: SmtpCatcher) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 3)
    await tenant.make_version(flow, "keep")
    job_id = await tenant.ask_deletion(flow, {"version": {"$ne": "keep"}}, email="ops@example.com")

    assert await machinery.drain() == ["settled", "done"]

    job = await ended(tenant, job_id)
    assert (job.status, job.total, job.removed) == (JobStatus.COMPLETED, 3, 3)
    assert await tenant.names(flow) == ["keep"]
    assert await trash(tenant, flow) == [("v1", "bulk_deleted"), ("v2", "bulk_deleted"), ("v3", "bulk_deleted")]
    assert [letter.message["Message-ID"] for letter in smtp.letters] == [f"<{job_id}@penstock.example>"]


async def test_a_query_that_matches_nothing_is_still_a_job(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    job_id = await tenant.ask_deletion(flow, {"version": "nobody"})

    await machinery.drain()

    job = await ended(tenant, job_id)
    assert (job.status, job.total, job.removed, job.failed) == (JobStatus.COMPLETED, 0, 0, 0)
    assert job.undo_until is None


async def test_the_set_is_fixed_at_acceptance(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 2)
    job_id = await tenant.ask_deletion(flow)
    await tenant.make_version(flow, "later")

    await machinery.drain()

    assert (await ended(tenant, job_id)).total == 2
    assert await tenant.names(flow) == ["later"]


async def test_a_control_that_chooses_at_deletion_takes_the_later_one(tenant: Tenant, machinery: Machinery) -> None:
    """The same story without the fixed set: what the query matches is fixed again when the job runs."""
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 2)
    job_id = await tenant.ask_deletion(flow)
    await tenant.make_version(flow, "later")
    number = (await jobs.read_job(tenant.principal, tenant.database, job_id)).id

    async def choose_again(connection: Connection) -> None:
        await connection.execute("DELETE FROM job_chunks WHERE job_id = $1", number)
        await connection.execute(
            "INSERT INTO job_chunks SELECT $1, 0, array_agg(id ORDER BY id), array_agg(revision ORDER BY id)"
            " FROM flow_versions WHERE flow_id = $2",
            number,
            flow.id,
        )
        await connection.execute("UPDATE jobs SET total = 3 WHERE id = $1", number)

    await tenant.database.transaction(choose_again)
    await machinery.drain()

    assert await tenant.names(flow) == []


async def test_the_draft_is_never_matched(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 2)
    await tenant.make_draft(flow)
    job_id = await tenant.ask_deletion(flow)

    await machinery.drain()

    assert (await ended(tenant, job_id)).total == 2
    assert await tenant.names(flow) == [None]


async def test_a_deployed_version_is_protected(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 2)
    live = await tenant.make_version(flow, "live")
    await tenant.deploy(flow, live)
    job_id = await tenant.ask_deletion(flow)

    await machinery.drain()

    job = await ended(tenant, job_id)
    assert (job.status, job.removed, job.reasons) == (JobStatus.COMPLETED, 2, {"protected": 1})
    assert await tenant.names(flow) == ["live"]


async def test_what_happens_after_acceptance_is_respected(tenant: Tenant, machinery: Machinery) -> None:
    """Deployed, replaced and removed in the meantime: each is left alone and accounted for by its own reason."""
    flow = await tenant.make_flow()
    names = ("deployed", "replaced", "removed", "plain")
    made = {name: await tenant.make_version(flow, name) for name in names}
    job_id = await tenant.ask_deletion(flow)
    await tenant.deploy(flow, made["deployed"])
    await _replace(tenant, flow, "replaced")
    await versions.delete_version(
        tenant.principal, tenant.database, tenant.application_id, flow.id, "removed", keep=KEEP
    )

    await machinery.drain()

    job = await ended(tenant, job_id)
    assert job.removed == 1
    assert job.reasons == {"protected": 1, "changed_since": 1, "gone": 1}
    assert await tenant.names(flow) == ["deployed", "replaced"]
    async with tenant.database.connection() as connection:
        failures = await job_items.list_failures(connection, job.id, 10)
    assert [(failure.name, failure.reason) for failure in failures] == [
        ("deployed", "protected"),
        ("replaced", "changed_since"),
        (None, "gone"),
    ]


async def test_deployed_and_undeployed_again_counts_as_changed(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    version = await tenant.make_version(flow, "v")
    job_id = await tenant.ask_deletion(flow)
    await tenant.deploy(flow, version)
    await tenant.change_flow(flow, FlowChange(undeploy=True))

    await machinery.drain()

    assert (await ended(tenant, job_id)).reasons == {"changed_since": 1}


async def test_two_deletions_of_the_same_versions_share_them_out(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 5)
    first, second = await tenant.ask_deletion(flow), await tenant.ask_deletion(flow)

    await machinery.drain()

    one, two = await ended(tenant, first), await ended(tenant, second)
    assert one.removed + two.removed == 5
    assert one.failed + two.failed == 5
    assert len(await trash(tenant, flow)) == 5


async def test_a_set_of_several_chunks_is_removed_whole(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, CHUNK_SIZE + 1)
    job_id = await tenant.ask_deletion(flow)

    await machinery.drain()

    assert (await ended(tenant, job_id)).removed == CHUNK_SIZE + 1
    assert await tenant.names(flow) == []


async def test_cancelling_a_queued_job_ends_it_untouched(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 3)
    job_id = await tenant.ask_deletion(flow)

    await jobs.cancel_job(tenant.principal, tenant.database, job_id, machinery.tools.terms)

    job = await ended(tenant, job_id)
    assert (job.status, job.reasons) == (JobStatus.CANCELLED, {"not_attempted": 3})
    assert await machinery.drain() == []
    assert len(await tenant.names(flow)) == 3


async def test_cancelling_a_running_job_stops_it_at_the_next_batch(
    tenant: Tenant, machinery: Machinery, smtp: SmtpCatcher
) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 30)
    job_id = await tenant.ask_deletion(flow, email="ops@example.com")
    job = await claim(machinery)
    await deletions.delete_batch(tenant.database, job, limit=10, terms=machinery.tools.terms)

    await jobs.cancel_job(tenant.principal, tenant.database, job_id, machinery.tools.terms)
    batch = await deletions.delete_batch(tenant.database, job, limit=10, terms=machinery.tools.terms)

    assert batch.finished
    story = await ended(tenant, job_id)
    assert (story.status, story.removed, story.reasons) == (JobStatus.CANCELLED, 10, {"not_attempted": 20})
    assert await machinery.drain() == ["done"], "the letter goes out whatever the end"
    assert len(smtp.letters) == 1


async def test_a_batch_takes_its_counts_from_the_row(tenant: Tenant, machinery: Machinery) -> None:
    """Two batches of one claim: nothing is kept in memory, so the second begins where the first one ended."""
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 25)
    job_id = await tenant.ask_deletion(flow)
    job = await claim(machinery)

    done = [await deletions.delete_batch(tenant.database, job, limit=10, terms=machinery.tools.terms) for _ in range(3)]

    assert [(batch.items, batch.finished) for batch in done] == [(10, False), (10, False), (5, True)]
    assert (await ended(tenant, job_id)).removed == 25


async def test_all_versions_of_a_job_are_kept_equally_long(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 20)
    job_id = await tenant.ask_deletion(flow)
    job = await claim(machinery)
    for _ in range(2):
        await deletions.delete_batch(tenant.database, job, limit=10, terms=machinery.tools.terms)

    async with tenant.database.connection() as connection:
        until = await connection.fetch("SELECT DISTINCT purge_after FROM deleted_versions")
    story = await ended(tenant, job_id)
    assert [row["purge_after"] for row in until] == [None], "the job says how long, for all of them"
    assert story.undo_until is not None
    assert story.started_at is not None
    assert timedelta(0) <= story.undo_until - story.started_at - timedelta(days=7) < timedelta(minutes=1)


async def test_another_companys_flow_is_unknown(tenant: Tenant, stranger: Tenant) -> None:
    flow = await tenant.make_flow()
    with pytest.raises(NotFound, match=FLOW_UNKNOWN):
        await stranger.ask_deletion(flow)


async def test_removing_a_flow_hides_it_at_once_and_empties_it(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 3)
    await tenant.make_draft(flow)
    await tenant.deploy(flow, await tenant.make_version(flow, "live"))

    job_id = await deletions.accept_flow_deletion(
        tenant.principal, tenant.database, tenant.application_id, flow.id, public_id=machinery.tools.terms.new_id()
    )

    with pytest.raises(NotFound):
        await tenant.read_flow(flow.id)
    with pytest.raises(NotFound):
        await tenant.make_version(flow, "too late")
    await machinery.drain()
    assert (await ended(tenant, job_id)).removed == 5
    assert {reason for _, reason in await trash(tenant, flow)} == {"flow_deleted"}
    async with tenant.database.connection() as connection:
        left = await connection.fetchval("SELECT count(*) FROM flows WHERE id = $1", flow.id)
        kept = await connection.fetchval("SELECT name FROM deleted_flows WHERE id = $1", flow.id)
    assert (left, kept) == (0, flow.name)


async def test_removing_an_empty_flow_ends_too(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    job_id = await deletions.accept_flow_deletion(
        tenant.principal, tenant.database, tenant.application_id, flow.id, public_id=machinery.tools.terms.new_id()
    )
    await machinery.drain()
    assert (await ended(tenant, job_id)).status is JobStatus.COMPLETED
    async with tenant.database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM flows WHERE id = $1", flow.id) == 0


async def test_letters_over_the_daily_cap_are_refused_visibly(tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    async with tenant.database.connection() as connection:
        await connection.execute(
            "INSERT INTO mail_days VALUES ($1, (clock_timestamp() AT TIME ZONE 'UTC')::date, $2)",
            tenant.company_id,
            machinery.tools.terms.mail_daily_cap - 1,
        )
    allowed = await tenant.ask_deletion(flow, email="ops@example.com")
    assert await machinery.drain() == ["settled", "done"]
    refused = await tenant.ask_deletion(flow, email="ops@example.com")
    assert await machinery.drain() == ["settled"]

    first, second = await ended(tenant, allowed), await ended(tenant, refused)
    assert [told.status for told in first.notifications] == [JobStatus.COMPLETED]
    assert [(told.status, told.error_code) for told in second.notifications] == [(JobStatus.FAILED, "mail_daily_cap")]
    assert second.status is JobStatus.COMPLETED, "the deletion itself is not touched"


async def claim(machinery: Machinery) -> ClaimedJob:
    """Delivers and claims the one staged job without running it."""
    (name,) = await machinery.deliver()
    job = await machinery.runner._claim(name)
    assert job is not None
    return job


async def _replace(tenant: Tenant, flow: Flow, name: str) -> None:
    new = NewVersion(name, True, "new", content_of(parse_document(b'{"nodes":[]}')))
    await tenant.keep_version(flow, new, replace=True)
