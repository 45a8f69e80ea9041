"""Runs to send: flows with a runner, starts by hand, and the ledger as it stands."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from core.domain.flows import Flow, FlowChange, Running
from core.domain.identifiers import new_public_id
from core.domain.runs import JSON_TYPE, Run
from core.domain.versions import Version
from core.operations import starts
from core.operations.starts import Start
from core.store.starts import Payload
from schemas.reports import report_of
from tests.support.receiver import Received, Reply
from tests.support.tenants import Tenant


def new_id() -> str:
    return new_public_id(os.urandom)


@dataclass(frozen=True)
class Runnable:
    """A flow with a deployed version, and where its runs go."""

    tenant: Tenant
    flow: Flow
    version: Version

    async def start(self, payload: object = None, *, version_id: int | None = None) -> Run:
        content = None if payload is None else Payload(orjson.dumps(payload), JSON_TYPE)
        start = Start(self.flow.id, version_id, content)
        return await starts.start_run(self.tenant.principal, self.tenant.database, start, new_id=new_id)

    async def stop(self, run: Run) -> Run:
        return await starts.stop_run(self.tenant.principal, self.tenant.database, run.id, new_id=new_id)

    async def send_to(self, url: str | None) -> None:
        change = FlowChange(running=Running(url)) if url else FlowChange(cleared=frozenset({"runner_url"}))
        await self.tenant.change_flow(self.flow, change)


async def make_runnable(
    tenant: Tenant, runner_url: str | None, *, body: str = '{"nodes":[{"id":"a","type":"x"}]}', timeout: int = 3_600
) -> Runnable:
    flow = await tenant.make_flow()
    version = await tenant.make_version(flow, "v1", body)
    await tenant.deploy(flow, version)
    running = Running(runner_url=runner_url, run_timeout_seconds=timeout)
    return Runnable(tenant, await tenant.change_flow(flow, FlowChange(running=running)), version)


async def end_run(
    tenant: Tenant, run: Run, status: str, *logs: object, message: str | None = None, at: datetime | None = None
) -> None:
    """As its runner would, right after it took it; as if at another time, where that is said."""
    async with tenant.database.connection() as connection:
        await connection.execute(
            "UPDATE runs SET attempts = 1, dispatched_at = clock_timestamp() WHERE id = $1", run.id
        )
    told = {"status": status, "logs": [*logs], **({} if message is None else {"message": message})}
    await starts.report_run(tenant.principal, tenant.database, run.id, report_of(told))
    if at is not None:
        async with tenant.database.connection() as connection:
            await connection.execute(
                """
                UPDATE runs SET started_at = $2::timestamptz - (finished_at - started_at), finished_at = $2,
                                scheduled_for = $2::timestamptz - (finished_at - scheduled_for)
                WHERE id = $1
                """,
                run.id,
                at,
            )


async def read_run(tenant: Tenant, run: Run | int) -> asyncpg.Record:
    """A run's whole row."""
    async with tenant.database.connection() as connection:
        row = await connection.fetchrow("SELECT * FROM runs WHERE id = $1", run if isinstance(run, int) else run.id)
    assert row is not None
    return row


async def statuses(tenant: Tenant) -> dict[str, int]:
    """How many runs of the company stand how."""
    async with tenant.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT status, count(*) AS runs FROM runs WHERE company_id = $1 GROUP BY status", tenant.company_id
        )
    return {row["status"]: row["runs"] for row in rows}


async def come_due(tenant: Tenant) -> None:
    """As if the time of every run that waits had come."""
    async with tenant.database.connection() as connection:
        await connection.execute("UPDATE runs SET due_at = clock_timestamp() WHERE due_at IS NOT NULL")


async def logs_of(tenant: Tenant, run: Run) -> Sequence[asyncpg.Record]:
    async with tenant.database.connection() as connection:
        rows: Sequence[asyncpg.Record] = await connection.fetch(
            "SELECT level, message, logged_at, details FROM run_logs WHERE run_id = $1 ORDER BY id", run.id
        )
    return rows


def report(**told: object) -> Reply:
    """An answer that ends a run."""
    return Reply(200, {"Content-Type": "application/json"}, json.dumps(told).encode())


def data_of(request: Received) -> Mapping[str, Any]:
    """What a runner was told."""
    event = orjson.loads(request.body)
    assert event["type"] == "flow.run"
    data: Mapping[str, Any] = event["data"]
    return data


async def forget_circuits(tenant: Tenant) -> None:
    """As if every runner had answered since."""
    async with tenant.database.connection() as connection:
        await connection.execute("DELETE FROM runner_circuits")


async def put_together(tenant: Tenant, *runs: Run) -> None:
    """As if they had been due in one instant: one job has them all."""
    instants = [run.scheduled_for for run in runs]
    arguments = {"run_ids": [run.id for run in runs], "first_at": min(instants), "last_at": max(instants)}
    async with tenant.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT job_id FROM runs WHERE id = ANY($1::bigint[]) ORDER BY id", arguments["run_ids"]
        )
        keep, *rest = [row["job_id"] for row in rows]
        await connection.execute("UPDATE jobs SET arguments = $2 WHERE id = $1", keep, orjson.dumps(arguments).decode())
        await connection.execute("DELETE FROM jobs WHERE id = ANY($1::bigint[])", rest)
        await connection.execute("UPDATE runs SET job_id = $1 WHERE id = ANY($2::bigint[])", keep, arguments["run_ids"])
