"""A bulk delete and then its undo: both the whole job, from claim to conclusion, in a process of its own.

Each round loads the versions anew. VACUUM, ANALYZE and CHECKPOINT come before each of the two, so that the undo does
not pay for what the delete left behind.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg

from bench.children import Took, open_child
from bench.report import Judge, median, milliseconds, print_table, spread
from bench.servers import Servers, settle
from bench.tenants import Tenant, load_versions, make_tenant, write_documents
from core.domain.identifiers import new_public_id
from core.domain.query import parse_query
from core.operations import jobs
from core.operations.deletions import DeletionRequest, accept_deletion
from core.operations.undo import accept_undo
from core.store.database import Connection, Database, open_database

LEAST_RATIO = 0.5


@dataclass(frozen=True, slots=True)
class Case:
    """`versions` rows are deleted and brought back; beside them stay `others`, of another flow."""

    versions: int
    others: int
    rounds: int
    judged: bool = False
    """The target is about one size."""


FULL = (Case(10_000, 100_000, 5), Case(100_000, 100_000, 5, judged=True))
SMOKE = (Case(2_000, 2_000, 1),)


@dataclass(slots=True)
class Outcome:
    """One case, measured."""

    case: Case
    deletes: list[Took] = field(default_factory=list)
    undos: list[Took] = field(default_factory=list)
    accepting: list[float] = field(default_factory=list)
    """Seconds to accept an undo: it counts what there is to bring back."""
    batches: int = 0

    def rates(self, took: Sequence[Took]) -> list[float]:
        return [self.case.versions / one.seconds for one in took]


@dataclass(frozen=True, slots=True)
class Ground:
    """Where everything happens: a company with a flow to empty and to fill again, and one to leave alone."""

    servers: Servers
    database: Database
    connection: Connection
    tenant: Tenant
    flow_id: int
    other_flow_id: int


async def measure(servers: Servers, *, smoke: bool) -> None:
    """Prints the tables; raises AssertionError if something did not come back as it was."""
    outcomes = [Outcome(case) for case in (SMOKE if smoke else FULL)]
    async with _ground(servers) as ground:
        for outcome in outcomes:
            for _ in range(outcome.case.rounds):
                await _round(ground, outcome)
    _print(outcomes)


@asynccontextmanager
async def _ground(servers: Servers) -> AsyncIterator[Ground]:
    connection = await asyncpg.connect(servers.settings.database_url)
    try:
        async with open_database(servers.settings, role="bench", size=2) as database:
            tenant = await make_tenant(database, "Bench")
            emptied, left = [await tenant.make_flow(database, name) for name in ("Emptied", "Left alone")]
            await write_documents(connection, seed=3)
            yield Ground(servers, database, connection, tenant, emptied, left)
    finally:
        await connection.close()


async def _round(ground: Ground, outcome: Outcome) -> None:
    connection, case = ground.connection, outcome.case
    await connection.execute("TRUNCATE flow_versions, deleted_versions")
    for flow_id, count in ((ground.flow_id, case.versions), (ground.other_flow_id, case.others)):
        await load_versions(connection, "flow_versions", ground.tenant.company_id, flow_id, count)
    before = await _print_of_all(connection)

    deletion = await _accept_deletion(ground)
    outcome.deletes.append(await _run(ground, deletion))
    await _check_job(connection, deletion, case.versions)
    left = await connection.fetchval("SELECT count(*) FROM flow_versions")
    assert left == case.others, f"{left} versions left"

    began = time.perf_counter()
    undo = await _accept_undo(ground, deletion)
    outcome.accepting.append(time.perf_counter() - began)
    outcome.undos.append(await _run(ground, undo))
    await _check_job(connection, undo, case.versions)
    assert await _print_of_all(connection) == before, "something did not come back as it was"
    outcome.batches = await connection.fetchval(
        "SELECT count(*) FROM audit_events WHERE action = 'versions.restore' "
        "AND subject_id = (SELECT id FROM jobs WHERE public_id = $1)",
        undo,
    )


async def _accept_deletion(ground: Ground) -> str:
    return await accept_deletion(
        ground.tenant.principal,
        ground.database,
        ground.tenant.application_id,
        ground.flow_id,
        DeletionRequest(parse_query({}), "{}", email=None, callback_url=None),
        public_id=new_public_id(os.urandom),
        key=None,
    )


async def _accept_undo(ground: Ground, deletion: str) -> str:
    job = await jobs.find_job(ground.database, deletion)
    assert job is not None
    return await accept_undo(ground.tenant.principal, ground.database, job, public_id=new_public_id(os.urandom))


async def _run(ground: Ground, public_id: str) -> Took:
    await settle(ground.connection)
    job_id = await ground.connection.fetchval("SELECT id FROM jobs WHERE public_id = $1", public_id)
    async with open_child(ground.servers, "bench.job_runner", str(job_id)) as child:
        return await child.go()


async def _check_job(connection: Connection, public_id: str, versions: int) -> None:
    job = await connection.fetchrow("SELECT status, total, removed, failed FROM jobs WHERE public_id = $1", public_id)
    assert tuple(job) == ("completed", versions, versions, 0), dict(job)


async def _print_of_all(connection: Connection) -> tuple[int, str]:
    """How many live versions there are, and one digest of their ids, names, states and contents."""
    row = await connection.fetchrow(
        "SELECT count(*), md5(string_agg(concat_ws('|', id, flow_id, iteration, name, status, encode(digest, 'hex'), "
        "md5(body::text), created_at), ',' ORDER BY id)) FROM flow_versions"
    )
    return tuple(row)


def _print(outcomes: Sequence[Outcome]) -> None:
    print_table(
        "Versions a second, claim to conclusion",
        ("versions", "undo", "least-most", "delete", "least-most", "undo/delete", f">= {LEAST_RATIO}", "rounds"),
        [_rate_row(outcome, Judge(judges=outcome.case.judged)) for outcome in outcomes],
    )
    print_table(
        "The undo itself",
        ("versions", "accepting ms", "batches", "us/version", "worker MiB"),
        [_undo_row(outcome) for outcome in outcomes],
    )


def _rate_row(outcome: Outcome, judge: Judge) -> tuple[str, ...]:
    undos, deletes = outcome.rates(outcome.undos), outcome.rates(outcome.deletes)
    ratio = median(undos) / median(deletes)
    return (
        f"{outcome.case.versions:,}",
        f"{median(undos):,.0f}",
        spread(undos),
        f"{median(deletes):,.0f}",
        spread(deletes),
        f"{ratio:.2f}",
        judge(ratio >= LEAST_RATIO),
        str(outcome.case.rounds),
    )


def _undo_row(outcome: Outcome) -> tuple[str, ...]:
    peaks = [took.peak_kib for took in outcome.undos if took.peak_kib is not None]
    return (
        f"{outcome.case.versions:,}",
        milliseconds(median(outcome.accepting)),
        f"{outcome.batches:,}",
        f"{1e6 * median([took.seconds for took in outcome.undos]) / outcome.case.versions:.1f}",
        f"{max(peaks) / 1024:.0f}" if peaks else "unknown",
    )
