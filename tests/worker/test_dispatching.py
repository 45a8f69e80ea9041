"""Many runs at once: who gets which places, what a runner that is down costs, and workers that lose their job."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from core.domain import circuits, dispatch
from core.domain.access import ActorType, Principal
from core.domain.dispatch import IN_FLIGHT, IN_FLIGHT_PER_RUNNER, MOST_IN_FLIGHT, OPEN_AFTER, Report
from core.domain.flows import FlowChange, Running
from core.domain.jobs import LEASE_SECONDS, ClaimedJob
from core.operations import firing, starts
from core.operations.dispatch import Turn, take_turn
from core.operations.jobs import discard_job, find_job, yield_job
from core.operations.settling import JobLost
from tests.support.fires import fire_all, make_live
from tests.support.machinery import Machinery
from tests.support.receiver import Manner, Receiver, Reply
from tests.support.runs import Runnable, come_due, forget_circuits, make_runnable, put_together, read_run, statuses
from tests.support.tenants import Tenant, make_tenant
from tests.support.waiting import until
from tests.worker.steps import age
from worker.posting import post_run
from worker.timekeeper import Timekeeper


@pytest.fixture
async def timekeeper(machinery: Machinery) -> Timekeeper:
    return Timekeeper(machinery.tools.database)


async def claim(machinery: Machinery) -> ClaimedJob:
    (name,) = await machinery.deliver()
    job = await machinery.runner._claim(name)
    assert job is not None
    return job


async def begin(machinery: Machinery, job: ClaimedJob, room: int = IN_FLIGHT) -> Turn:
    tools = machinery.tools
    return await take_turn(tools.database, job, [], [], room=room, terms=tools.terms, fraction=lambda: 0.5)


async def start_together(runnable: Runnable, number: int) -> None:
    await put_together(runnable.tenant, *[await runnable.start() for _ in range(number)])


async def test_one_runner_gets_half_of_the_places_at_most(tenant: Tenant, machinery: Machinery) -> None:
    async with Receiver() as slow, Receiver() as quick:
        slow.script(*[Reply(manner=Manner.HELD)] * 60)
        slowly, quickly = await make_runnable(tenant, slow.url), await make_runnable(tenant, quick.url)
        runs = [await slowly.start() for _ in range(60)] + [await quickly.start() for _ in range(20)]
        await put_together(tenant, *runs)
        sending = asyncio.create_task(machinery.step())

        async def others_done() -> bool:
            return (await statuses(tenant)).get("success") == 20

        await until(others_done, "the runs of the other runner end while the first is busy")
        assert len(slow.requests) == IN_FLIGHT_PER_RUNNER
        slow.let_go()
        assert await sending == ["settled"]
        assert len(slow.requests) == 60
    assert await statuses(tenant) == {"success": 80}


async def test_a_batch_goes_out_in_the_order_of_its_flows_priorities(tenant: Tenant, machinery: Machinery) -> None:
    async with Receiver() as runner:
        usual, urgent = await make_runnable(tenant, runner.url), await make_runnable(tenant, runner.url)
        async with tenant.database.connection() as connection:
            await connection.execute("UPDATE flows SET flow_priority = 1 WHERE id = $1", urgent.flow.id)
        await put_together(tenant, *[await flow.start() for flow in [usual] * 9 + [urgent] * 9])
        job = await claim(machinery)
        turn = await begin(machinery, job, room=9)
        assert {run.flow_id for run in turn.sending} == {urgent.flow.id}
        await yield_job(tenant.database, job)
        await machinery.drain()


async def test_a_runner_that_is_down_is_left_alone_and_then_looked_at(
    tenant: Tenant, machinery: Machinery, timekeeper: Timekeeper
) -> None:
    """Fifty runs cost it five requests and what was under way, then one; when it is back all of them go out."""
    async with Receiver() as runner:
        runner.script(*[Reply(500)] * (IN_FLIGHT_PER_RUNNER + 1))
        runnable = await make_runnable(tenant, runner.url)
        await start_together(runnable, 50)
        await machinery.drain()
        asked = len(runner.requests)
        assert OPEN_AFTER <= asked <= IN_FLIGHT_PER_RUNNER
        assert await open_seconds(tenant) is not None
        assert await statuses(tenant) == {"queued": 50}

        await look_again(tenant, timekeeper, machinery)
        assert len(runner.requests) == asked + 1, "one of them looks"
        runner.clear()
        await look_again(tenant, timekeeper, machinery)
        assert len(runner.requests) == asked + 2
        assert await open_seconds(tenant) is None, "it is back"
        assert await statuses(tenant) == {"queued": 49, "success": 1}
        await come_due(tenant)
        await timekeeper.run_once()
        await machinery.drain()
    assert await statuses(tenant) == {"success": 50}


async def test_a_control_without_the_breaker_asks_for_each(
    tenant: Tenant, machinery: Machinery, timekeeper: Timekeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (circuits, dispatch):
        monkeypatch.setattr(module, "OPEN_AFTER", 1_000_000)
    async with Receiver() as runner:
        runner.script(*[Reply(500)] * 100)
        await start_together(await make_runnable(tenant, runner.url), 50)
        await machinery.drain()
        assert len(runner.requests) == 50
        await look_again(tenant, timekeeper, machinery)
        assert len(runner.requests) == 100
        await look_again(tenant, timekeeper, machinery)
    assert await statuses(tenant) == {"success": 50}


async def test_two_companies_with_one_runner_are_two_to_the_breaker(
    tenant: Tenant, stranger: Tenant, machinery: Machinery, timekeeper: Timekeeper
) -> None:
    async with Receiver() as runner:
        runner.script(*[Reply(500)] * 50)
        await start_together(await make_runnable(tenant, runner.url), 50)
        await machinery.drain()
        runner.clear()
        await (await make_runnable(stranger, runner.url)).start()
        await machinery.drain()
        assert await statuses(stranger) == {"success": 1}
        await forget_circuits(tenant)
        await come_due(tenant)
        await timekeeper.run_once()
        await machinery.drain()


@pytest.mark.parametrize(("weight", "at_once"), [(1, MOST_IN_FLIGHT), (40, MOST_IN_FLIGHT // 40), (100, 4)])
async def test_a_company_has_so_many_requests_under_way(
    tenant: Tenant, stranger: Tenant, machinery: Machinery, weight: int, at_once: int
) -> None:
    """By as many jobs as can make them, and no more; what is over stays with the relay, and others pass by."""
    async with tenant.database.connection() as connection:
        for company, jobs in ((tenant, at_once + 3), (stranger, 1)):
            await connection.execute(_JOBS, company.company_id, jobs, list(range(1, weight + 1)))
    names = await machinery.deliver()
    assert len(names) == at_once + 1, "and another company's is among them"
    for name in names:
        assert await machinery.runner.run(name) == "settled", "there are no such runs"
    assert len(await machinery.drain()) == 3


_JOBS = """
INSERT INTO jobs (public_id, company_id, kind, queue, arguments, requested_by_type, deliver_at)
SELECT lpad($1::bigint || '-' || n, 21, '0'), $1, 'dispatch_runs', 'dispatch',
       jsonb_build_object('run_ids', $3::bigint[], 'first_at', clock_timestamp(), 'last_at', clock_timestamp()),
       'scheduler', clock_timestamp()
FROM generate_series(1, $2::integer) AS n
"""
"""Dispatch jobs of a company, each of as many runs as there are ids; nobody has to look for them."""


async def test_nothing_is_sent_while_firing_is_paused(
    tenant: Tenant, machinery: Machinery, timekeeper: Timekeeper
) -> None:
    """Neither what was due before nor what is started meanwhile; all of it goes out afterwards, as a first try."""
    owner = Principal(tenant.company_id, ActorType.CLI, None)
    async with Receiver() as runner:
        runnable = await make_runnable(tenant, runner.url)
        runs = [await runnable.start()]
        await firing.pause_firing(owner, tenant.database, "tonight")
        runs.append(await runnable.start())
        await machinery.drain()
        await come_due(tenant)
        await timekeeper.run_once()
        await machinery.drain()
        assert not runner.requests
        assert {(await read_run(tenant, run))["reason"] for run in runs} == {"firing_paused"}
        await firing.resume_firing(owner, tenant.database)
        await come_due(tenant)
        await timekeeper.run_once()
        await machinery.drain()
    assert {(await read_run(tenant, run))["attempts"] for run in runs} == {1}
    assert await statuses(tenant) == {"success": 2}


async def test_a_runs_end_lets_the_one_that_waited_begin(tenant: Tenant, machinery: Machinery) -> None:
    """From the scheduler's account to the runner and back, twice: two instants were due, and the first goes on."""
    async with Receiver() as runner:
        live = await make_live(tenant, overlap_policy="buffer_one")
        runner.script(Reply(202))
        await tenant.change_flow(live.flow, FlowChange(running=Running(runner_url=runner.url)))
        await live.fall_behind(timedelta(minutes=1))
        await fire_all(tenant.database)
        await machinery.drain()
        first = await runner.next()
        assert first.headers["webhook-id"].startswith(f"due_{live.schedule.id}_")
        assert await live.ledger() == [("started", None), ("queued", None)]
        assert len(runner.requests) == 1
        async with tenant.database.connection() as connection:
            run_id = await connection.fetchval("SELECT id FROM runs WHERE status = 'started'")
        await starts.report_run(tenant.principal, tenant.database, run_id, Report())
        assert await machinery.drain() == ["settled"]
        second = await runner.next()
    assert second.headers["webhook-id"] != first.headers["webhook-id"]
    assert await live.ledger() == [("success", None), ("success", None)]


async def test_a_worker_that_lost_its_job_settles_nothing(tenant: Tenant, machinery: Machinery) -> None:
    """The runner has answered it, and hears of the same run once more, by the same id."""
    async with Receiver() as runner:
        run = await (await make_runnable(tenant, runner.url)).start()
        late = await claim(machinery)
        (sent,) = (await begin(machinery, late)).sending
        tried = await post_run(machinery.tools.runners, sent, ["whsec_" + "a" * 32])
        await age(tenant, "leased_until", LEASE_SECONDS)
        assert (await machinery.rescuer.run_once()).expired == 1
        tools = machinery.tools
        with pytest.raises(JobLost):
            await take_turn(tools.database, late, [tried], [], room=1, terms=tools.terms, fraction=lambda: 0.5)
        assert (await read_run(tenant, run))["status"] == "queued"
        assert await machinery.drain() == ["settled"]
        first, second = runner.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    row = await read_run(tenant, run)
    assert (row["status"], row["attempts"]) == ("success", 2)


async def test_what_a_job_held_when_it_ended_early_goes_on(
    tenant: Tenant, machinery: Machinery, timekeeper: Timekeeper
) -> None:
    async with Receiver() as runner:
        runnable = await make_runnable(tenant, runner.url)
        await start_together(runnable, 3)
        async with tenant.database.connection() as connection:
            public_id = await connection.fetchval("SELECT public_id FROM jobs WHERE kind = 'dispatch_runs'")
        job = await find_job(tenant.database, public_id)
        assert job is not None
        await discard_job(tenant.principal, tenant.database, job, machinery.tools.terms)
        assert await machinery.drain() == []
        assert await timekeeper.run_once() == 3
        await machinery.drain()
        assert len(runner.requests) == 3
    assert await statuses(tenant) == {"success": 3}


async def test_a_job_told_to_stop_hands_the_rest_on(tenant: Tenant, machinery: Machinery) -> None:
    async with Receiver() as runner:
        await start_together(await make_runnable(tenant, runner.url), 100)
        machinery.tools.stopping.set()
        assert await machinery.step() == ["yielded"]
        assert not runner.requests
        machinery.tools.stopping.clear()
        assert await machinery.drain() == ["settled"]
        assert len({request.headers["webhook-id"] for request in runner.requests}) == 100
    assert await statuses(tenant) == {"success": 100}


async def test_a_dispatch_job_leaves_no_row_behind(tenant: Tenant, machinery: Machinery) -> None:
    async with Receiver() as runner:
        await (await make_runnable(tenant, runner.url)).start()
        await machinery.drain()
    async with tenant.database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM jobs") == 0


async def test_two_timekeepers_bring_each_run_back_once(tenant: Tenant, machinery: Machinery) -> None:
    async with Receiver() as runner:
        for other in range(5):
            company = await make_tenant(tenant.database, f"Company {other}")
            runner.script(*[Reply(503)] * 4)
            await start_together(await make_runnable(company, runner.url), 4)
            await machinery.drain()
        await come_due(tenant)
        keepers = [Timekeeper(tenant.database) for _ in range(3)]
        assert sum(await asyncio.gather(*(keeper.run_once() for keeper in keepers))) == 20
        await machinery.drain()
        assert len(runner.requests) == 40


async def open_seconds(tenant: Tenant) -> float | None:
    """For how long the company's one runner is left alone; None if it is not."""
    async with tenant.database.connection() as connection:
        seconds: float | None = await connection.fetchval(
            "SELECT extract(epoch FROM open_until - clock_timestamp())::float8 FROM runner_circuits"
        )
    return seconds


async def look_again(tenant: Tenant, timekeeper: Timekeeper, machinery: Machinery) -> None:
    """As if the time were over for which the runner is left alone, and that of every run."""
    async with tenant.database.connection() as connection:
        await connection.execute("UPDATE runner_circuits SET open_until = clock_timestamp()")
    await come_due(tenant)
    await timekeeper.run_once()
    await machinery.drain()
