"""Workers that die at each step of an upload and of an install: what they bring is there as a whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import orjson
import pytest

from core.domain.artifacts import verify
from core.domain.marketplace import Entry, Happening, verify_log
from core.operations import installs, jobs, uploads
from core.operations.installs import InstallRequest
from core.store import artifact_keys
from core.store.queries import query
from core.store.rows import build
from tests.faults import unguarded
from tests.faults.conftest import NewGround, Promise
from tests.faults.ground import Ground
from tests.support.market import TERMS, administrator, ask_upload, claim, deployed, make_item
from tests.support.waiting import until
from tests.support.wire import Stop, Wire

Failpoint = Callable[[Wire], Stop]


def before(name: str) -> Failpoint:
    return lambda wire: wire.stop_before(query(name))


UPLOAD_STEPS: dict[str, Failpoint] = {
    "before it reads the content": before("marketplace.find_pinned_body"),
    "with the artifact made": before("jobs.hold_job"),
    "before the item": before("marketplace.insert_item"),
    "after the item": before("jobs.record_outcome"),
    "before it holds the log": before("marketplace.lock_log"),
    "before the log's entry": before("marketplace.append_log"),
    "before the job's end": before("jobs.conclude_job"),
    "before the commit": lambda wire: wire.stop_before("COMMIT", skip=1),  # the first is that of reading
    "after the commit, before the answer": lambda wire: wire.stop_after("COMMIT", skip=1),
}

INSTALL_STEPS: dict[str, Failpoint] = {
    "before it reads the file": before("marketplace.find_visible_file"),
    "with the file verified": before("jobs.hold_job"),
    "before the flow": before("flows.create_flow"),
    "before the Draft": before("flow_versions.insert_draft"),
    "before the install is noted": before("marketplace.insert_install"),
    "before the outcome": before("jobs.record_outcome"),
    "before the job's end": before("jobs.conclude_job"),
    "before the commit": lambda wire: wire.stop_before("COMMIT"),
    "after the commit, before the answer": lambda wire: wire.stop_after("COMMIT"),
}


@dataclass(frozen=True)
class Count:
    """How much of what belongs together there is."""

    items: int
    files: int
    entries: int
    flows: int
    drafts: int
    installs: int
    completed: int

    @property
    def whole(self) -> bool:
        """Nothing is there without what belongs to it."""
        return self.items == self.files == self.entries and self.flows == self.drafts == self.installs


async def count(ground: Ground) -> Count:
    async with ground.database.connection() as connection:
        row = await connection.fetchrow(
            """
            SELECT (SELECT count(*) FROM marketplace_items) AS items,
                   (SELECT count(*) FROM marketplace_artifacts) AS files,
                   (SELECT count(*) FROM marketplace_log) AS entries,
                   (SELECT count(*) FROM flows WHERE installed_from IS NOT NULL) AS flows,
                   (SELECT count(*) FROM flow_versions v JOIN flows f ON f.id = v.flow_id
                    WHERE f.installed_from IS NOT NULL AND v.status = 'Draft') AS drafts,
                   (SELECT count(*) FROM marketplace_installs) AS installs,
                   (SELECT count(*) FROM jobs WHERE status = 'completed' AND outcome IS NOT NULL) AS completed
            """
        )
    return build(Count, row)


@pytest.mark.long
@pytest.mark.timeout(240)
async def test_killed_in_an_upload(new_ground: NewGround, promise: Promise) -> None:
    """worker killed -9 at each step of an upload"""
    ground, other = await new_ground(), await new_ground()

    async def stage(number: int) -> str:
        _, version = await deployed(ground.tenant, f"Flow {number}", f'{{"nodes":[{{"id":"a","n":{number}}}]}}')
        return await ask_upload(ground.tenant, version)

    found = await _kill_at_each(ground, UPLOAD_STEPS, stage)
    assert (found.items, found.completed) == (len(UPLOAD_STEPS), len(UPLOAD_STEPS))
    assert await _verified(ground) == found.items
    promise.kept(f"{found.items} items, whole, of {len(UPLOAD_STEPS)} uploads", control=await _add_in_two(other))


@pytest.mark.long
@pytest.mark.timeout(240)
async def test_killed_in_an_install(new_ground: NewGround, promise: Promise) -> None:
    """worker killed -9 at each step of an install"""
    ground, other = await new_ground(), await new_ground()
    item_id = await make_item(ground.tenant)

    async def stage(_: int) -> str:
        return await _ask_install(ground, item_id)

    found = await _kill_at_each(ground, INSTALL_STEPS, stage)
    assert found.flows == len(INSTALL_STEPS)
    promise.kept(f"{found.flows} flows of {len(INSTALL_STEPS)} installs", control=await _install_in_two(other))


async def _kill_at_each(ground: Ground, steps: dict[str, Failpoint], stage: Callable[[int], Awaitable[str]]) -> Count:
    """A job for each step, whose worker dies there; a worker without a failpoint then brings it to its end."""
    await ground.start("scheduler")
    for number, failpoint in enumerate(steps.values()):
        async with Wire(ground.database_url) as wire:
            worker = await ground.start("worker", DATABASE_URL=wire.url)
            stop = failpoint(wire)
            public_id = await stage(number)
            await stop.reached()
            await worker.kill()
            stop.drop()
        await _gone(ground)
        assert (await count(ground)).whole, f"half of it is there after {[*steps][number]}"
        successor, _ = await asyncio.gather(ground.start("worker"), _expire(ground, public_id))
        await _ended(ground, public_id)
        assert (await count(ground)).whole
        await successor.kill()
    return await count(ground)


async def _gone(ground: Ground) -> None:
    async def nobody() -> bool:
        async with ground.database.connection() as connection:
            left = await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'penstock worker'"
            )
        return bool(left == 0)

    await until(nobody, "the sessions of the worker are gone")


async def _expire(ground: Ground, public_id: str) -> None:
    """As if its whole lease were over; that a lease ends is shown elsewhere."""
    async with ground.database.connection() as connection:
        await connection.execute(
            "UPDATE jobs SET leased_until = clock_timestamp() WHERE public_id = $1 AND status = 'in_progress'",
            public_id,
        )


async def _ended(ground: Ground, public_id: str) -> None:
    async def completed() -> bool:
        job = await jobs.find_job(ground.database, public_id)
        assert job is not None
        return job.status == "completed"

    await until(completed, "the job completes", 30.0)


async def _verified(ground: Ground) -> int:
    """How many files are good; and the log is one chain."""
    async with ground.database.connection() as connection:
        keys = await artifact_keys.known(connection)
        files = await connection.fetch("SELECT file FROM marketplace_artifacts")
        rows = await connection.fetch("SELECT *, entry AS text FROM marketplace_log ORDER BY sequence")
    assert verify_log([build(Entry, row, kind=Happening(row["kind"])) for row in rows], keys) == len(files)
    return sum(orjson.loads(verify(row["file"], keys).artifact)["version"] == "1.0" for row in files)


async def _ask_install(ground: Ground, item_id: int) -> str:
    request = InstallRequest(item_id, name=None, force=False)
    owner = administrator(ground.tenant)
    return await installs.accept_install(owner, ground.database, request, public_id=TERMS.new_id(), key=None)


async def _add_in_two(ground: Ground) -> str:
    """An upload whose item and whose log are two transactions, and whose worker dies between them."""
    _, version = await deployed(ground.tenant)
    job = await claim(ground.tenant, await ask_upload(ground.tenant, version))
    made, _ = await uploads.make_artifact(ground.database, job, instance="http://penstock.example")
    await unguarded.add_item_alone(ground.database, job, made)
    await ground.finish()
    wrong = await count(ground)
    assert (wrong.items, wrong.entries, wrong.completed) == (1, 0, 1)
    return "in two transactions, an item was left that the log knows nothing of"


async def _install_in_two(ground: Ground) -> str:
    """An install whose flow and whose end are two transactions."""
    item_id = await make_item(ground.tenant)
    job = await claim(ground.tenant, await _ask_install(ground, item_id))
    arrival = await installs.fetch_artifact(ground.database, job)
    await unguarded.arrive_alone(ground.database, job, arrival, ground.tenant.application_id)
    await ground.finish()
    wrong = await count(ground)
    assert (wrong.flows, wrong.installs) == (2, 1)
    return "in two transactions, one install made two flows"
