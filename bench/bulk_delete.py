"""The whole bulk delete, accounting, trash and audit included, against a raw batched DELETE of the same rows.

Both run in a process of their own on the same PostgreSQL, in turns, the first one changing from round to round. Each
round loads its table anew, then VACUUM, ANALYZE and CHECKPOINT, so that nothing of the round before is left to pay for.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg

from bench import raw_delete
from bench.bystander import Waits, bystanding
from bench.children import Took, open_child
from bench.report import Judge, median, milliseconds, print_table, quantile, spread
from bench.servers import Servers, settle
from bench.tenants import Tenant, load_versions, make_tenant, write_documents
from core.domain.identifiers import new_public_id
from core.domain.query import parse_query
from core.operations.deletions import DeletionRequest, accept_deletion
from core.store.database import Connection, Database, open_database

LEAST_RATIO = 0.70
MOST_WRITE_SECONDS = 0.010
MOST_WORKER_MIB = 80

IDLE_SECONDS = 1.0
"""How long the bystander is watched alone, before each round."""


@dataclass(frozen=True, slots=True)
class Case:
    """`versions` rows are deleted; beside them stay `others`, of another flow, and `schedules` refer to those."""

    versions: int
    others: int
    schedules: int
    rounds: int
    judged: bool = False
    """The targets are about one size; the others show that the time grows with the versions and not faster."""


FULL = (
    Case(10_000, 100_000, 20_000, 5),
    Case(100_000, 100_000, 20_000, 5, judged=True),
    Case(1_000_000, 100_000, 20_000, 2),
)
SMOKE = (Case(2_000, 2_000, 200, 1),)


@dataclass(slots=True)
class Side:
    """What was measured of one way to delete, over all rounds of a case."""

    took: list[Took] = field(default_factory=list)
    beside: Waits = field(default_factory=Waits)

    def rates(self, case: Case) -> list[float]:
        return [case.versions / took.seconds for took in self.took]


@dataclass(slots=True)
class Outcome:
    """One case, measured."""

    case: Case
    ours: Side = field(default_factory=Side)
    raw: Side = field(default_factory=Side)
    idle: Waits = field(default_factory=Waits)
    accepting: list[float] = field(default_factory=list)
    batches: int = 0
    stored_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Ground:
    """Where everything happens: a company with a flow to empty and a flow to leave alone."""

    servers: Servers
    database: Database
    connection: Connection
    tenant: Tenant
    flow_id: int
    other_flow_id: int

    @property
    def url(self) -> str:
        assert self.servers.settings.database_url is not None
        return self.servers.settings.database_url


async def measure(servers: Servers, *, smoke: bool) -> None:
    """Prints the tables; raises AssertionError if a delete did not do what it says."""
    async with _ground(servers) as ground:
        outcomes = [await _measure_case(ground, case) for case in (SMOKE if smoke else FULL)]
    _print(outcomes)


@asynccontextmanager
async def _ground(servers: Servers) -> AsyncIterator[Ground]:
    connection = await asyncpg.connect(servers.settings.database_url)
    try:
        async with open_database(servers.settings, role="bench", size=2) as database:
            tenant = await make_tenant(database, "Bench")
            emptied, left = [await tenant.make_flow(database, name) for name in ("Emptied", "Left alone")]
            await connection.execute(raw_delete.LAY_OUT)
            await write_documents(connection, seed=1)
            yield Ground(servers, database, connection, tenant, emptied, left)
    finally:
        await connection.close()


async def _measure_case(ground: Ground, case: Case) -> Outcome:
    outcome = Outcome(case)
    sides = [_measure_ours, _measure_raw]
    for number in range(case.rounds):
        for side in sides if number % 2 == 0 else reversed(sides):
            await side(ground, outcome)
    return outcome


async def _measure_ours(ground: Ground, outcome: Outcome) -> None:
    ids = await _load(ground, "flow_versions", outcome.case)
    began = time.perf_counter()
    public_id = await accept_deletion(
        ground.tenant.principal,
        ground.database,
        ground.tenant.application_id,
        ground.flow_id,
        DeletionRequest(parse_query({}), "{}", email="bench@example.com", callback_url=None),
        public_id=new_public_id(os.urandom),
        key=None,
    )
    outcome.accepting.append(time.perf_counter() - began)
    job_id: int = await ground.connection.fetchval("SELECT id FROM jobs WHERE public_id = $1", public_id)
    await _go(ground, outcome, outcome.ours, ("bench.job_runner", str(job_id)), "flow_versions", ids)
    outcome.batches = await _check_job(ground.connection, outcome.case, job_id)


async def _measure_raw(ground: Ground, outcome: Outcome) -> None:
    ids = await _load(ground, raw_delete.TABLE, outcome.case)
    await ground.connection.execute(
        "INSERT INTO raw_schedules (version_id, cron_string) SELECT n, '*/5 * * * *' FROM unnest($1::bigint[]) AS n",
        ids[: outcome.case.schedules],
    )
    await _go(ground, outcome, outcome.raw, ("bench.raw_delete", str(ground.flow_id)), raw_delete.TABLE, ids)


async def _load(ground: Ground, table: str, case: Case) -> list[int]:
    """Fills the table, settles it, and returns the ids that are to stay."""
    await ground.connection.execute(f"TRUNCATE flow_versions, deleted_versions, {raw_delete.TABLE}, raw_schedules")
    for flow_id, count in ((ground.flow_id, case.versions), (ground.other_flow_id, case.others)):
        await load_versions(ground.connection, table, ground.tenant.company_id, flow_id, count)
    await settle(ground.connection)
    rows = await ground.connection.fetch(f"SELECT id FROM {table} WHERE flow_id = $1", ground.other_flow_id)
    return [row["id"] for row in rows]


async def _go(
    ground: Ground, outcome: Outcome, side: Side, command: tuple[str, str], table: str, ids: Sequence[int]
) -> None:
    """Lets the child delete beside the bystander, and counts what is left."""
    await settle(ground.connection)
    outcome.stored_bytes = await ground.connection.fetchval(f"SELECT avg(pg_column_size(body))::integer FROM {table}")
    async with (
        open_child(ground.servers, *command) as child,
        bystanding(ground.url, table, ids, seed=len(side.took)) as bystander,
    ):
        await asyncio.sleep(IDLE_SECONDS)
        outcome.idle.add(bystander.take())
        side.took.append(await child.go())
        side.beside.add(bystander.take())
    left = await ground.connection.fetchrow(
        f"SELECT count(*) FILTER (WHERE flow_id = $1) AS emptied, count(*) FILTER (WHERE flow_id = $2) AS others "
        f"FROM {table}",
        ground.flow_id,
        ground.other_flow_id,
    )
    assert tuple(left) == (0, outcome.case.others), f"{table} holds {dict(left)} afterwards"


async def _check_job(connection: Connection, case: Case, job_id: int) -> int:
    """The job's account is whole: every version in the trash, every batch in the audit, the letter staged.

    Returns how many batches it took.
    """
    job = await connection.fetchrow("SELECT status, total, removed, failed FROM jobs WHERE id = $1", job_id)
    assert tuple(job) == ("completed", case.versions, case.versions, 0), dict(job)
    kept = await connection.fetchval("SELECT count(*) FROM deleted_versions WHERE job_id = $1", job_id)
    assert kept == case.versions, f"{kept} in the trash"
    letters = await connection.fetchval("SELECT count(*) FROM jobs WHERE parent_id = $1", job_id)
    assert letters == 1, f"{letters} letters"
    audited = await connection.fetchrow(
        "SELECT count(*) FILTER (WHERE action = 'versions.remove') AS batches, "
        "coalesce(sum((details->>'to')::integer - (details->>'from')::integer), 0) AS items, "
        "count(*) FILTER (WHERE action = 'job.completed') AS ends "
        "FROM audit_events WHERE subject_type = 'job' AND subject_id = $1",
        job_id,
    )
    assert (audited["items"], audited["ends"]) == (case.versions, 1), dict(audited)
    batches: int = audited["batches"]
    return batches


def _print(outcomes: Sequence[Outcome]) -> None:
    print_table(
        "Versions a second: the whole job, claim to conclusion, against raw DELETE by ctid with a per-row FK check",
        ("versions", "ours", "least-most", "raw", "least-most", "ours/raw", f">= {LEAST_RATIO}", "of bests", "rounds"),
        [_rate_row(outcome, Judge(judges=outcome.case.judged)) for outcome in outcomes],
    )
    print_table(
        "One row at a time in another flow meanwhile, ms",
        ("versions", "beside", "write p50", "p99", "<= 10", "max", "read p50", "p99", "writes"),
        [row for outcome in outcomes for row in _beside_rows(outcome, Judge(judges=outcome.case.judged))],
    )
    print_table(
        "The job itself",
        ("versions", "accepting ms", "batches", "us/version", "worker MiB", f"<= {MOST_WORKER_MIB}", "body stored B"),
        [_job_row(outcome, Judge(judges=outcome.case.judged)) for outcome in outcomes],
    )


def _rate_row(outcome: Outcome, judge: Judge) -> tuple[str, ...]:
    """The best rounds are those that other work on the machine disturbed least."""
    ours, raw = outcome.ours.rates(outcome.case), outcome.raw.rates(outcome.case)
    ratio = median(ours) / median(raw)
    return (
        f"{outcome.case.versions:,}",
        f"{median(ours):,.0f}",
        spread(ours),
        f"{median(raw):,.0f}",
        spread(raw),
        f"{ratio:.2f}",
        judge(ratio >= LEAST_RATIO),
        f"{max(ours) / max(raw):.2f}",
        str(outcome.case.rounds),
    )


def _beside_rows(outcome: Outcome, judge: Judge) -> list[tuple[str, ...]]:
    sides = {"ours": outcome.ours.beside, "raw": outcome.raw.beside, "nothing": outcome.idle}
    return [
        (
            f"{outcome.case.versions:,}",
            name,
            milliseconds(median(waits.writes)),
            milliseconds(quantile(waits.writes, 0.99)),
            judge(quantile(waits.writes, 0.99) <= MOST_WRITE_SECONDS) if name == "ours" else "",
            milliseconds(max(waits.writes)),
            milliseconds(median(waits.reads)),
            milliseconds(quantile(waits.reads, 0.99)),
            f"{len(waits.writes):,}",
        )
        for name, waits in sides.items()
    ]


def _job_row(outcome: Outcome, judge: Judge) -> tuple[str, ...]:
    peaks = [took.peak_kib for took in outcome.ours.took if took.peak_kib is not None]
    return (
        f"{outcome.case.versions:,}",
        milliseconds(median(outcome.accepting)),
        f"{outcome.batches:,}",
        f"{1e6 * median([took.seconds for took in outcome.ours.took]) / outcome.case.versions:.1f}",
        f"{max(peaks) / 1024:.0f}" if peaks else "unknown",
        judge(max(peaks) <= MOST_WORKER_MIB * 1024) if peaks else "-",
        f"{outcome.stored_bytes:,}",
    )
