"""From accepted to in progress: real HTTP requests, real roles, beside arq as it comes.

Ours is read from the job's row: started_at - created_at, both the database's clock. created_at is stamped inside the
accepting transaction, so the figure includes the rest of that transaction, its commit to disk, the hint, the relay's
claim, Redis, and the worker's claim up to the moment it writes. The peer's runs from just before its enqueue to the
first line of its job, and nothing of it is written to a disk.

The three take turns on the same servers, each at the same rate; the two that wait cost next to nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

import aiohttp
import asyncpg

from bench.report import Judge, median, milliseconds, print_table, quantile
from bench.roles import running_roles
from bench.servers import Servers
from bench.stock_arq import DEFAULT_POLL, running_stock
from bench.tenants import load_versions, make_tenant, write_documents
from core.domain.identifiers import hex_id
from core.store.database import Connection, Database, open_database

MOST_MEDIAN_SECONDS = 0.005
MOST_P99_SECONDS = 0.025

VERSIONS = 3
"""Versions a job deletes: the queue is measured here, not the delete."""

WARM_UP = 50
"""Jobs sent before any is measured: by then every process is up and has prepared its statements."""

QUICK_POLL = 0.05
"""What an operator would set arq to; a tenth of its default."""

DRAIN_SECONDS = 60.0
LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Size:
    """How much: `rounds` of `jobs` at `per_second` over so many companies, and `singles` after `idle` seconds each.

    A company runs two bulk jobs at a time, so there must be enough companies for that cap never to decide.
    """

    companies: int
    rounds: int
    jobs: int
    per_second: int
    singles: int
    idle: float


FULL = Size(companies=40, rounds=4, jobs=200, per_second=50, singles=5, idle=60)
SMOKE = Size(companies=5, rounds=1, jobs=20, per_second=50, singles=1, idle=1)


class Queue(Protocol):
    """Something that takes jobs and starts them."""

    async def send(self) -> None:
        """One job more."""

    async def lags(self, count: int) -> list[float]:
        """Seconds from sending to start of the `count` jobs sent since the last time, once they are through.

        Raises TimeoutError if they do not get there, AssertionError if one did not do its work.
        """


@dataclass(slots=True)
class Contestant:
    """A queue and the lags measured of it."""

    name: str
    queue: Queue
    busy: list[float] = field(default_factory=list)
    idle: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Target:
    """One bulk delete waiting to be asked for: its address and who may ask."""

    path: str
    token: str


class Api:
    """Ours: asks for bulk deletes over HTTP, each of another flow, going round the companies."""

    def __init__(self, session: aiohttp.ClientSession, url: str, database: Database, targets: list[Target]) -> None:
        self._session = session
        self._url = url
        self.database = database
        self._targets = targets
        self._asked: list[str] = []
        self.answered: list[float] = []
        """Seconds until the 202."""
        self.completed: list[float] = []
        """Seconds from accepted to completed."""

    async def send(self) -> None:
        target = self._targets.pop()
        headers = {"Authorization": f"Bearer {target.token}"}
        began = time.perf_counter()
        async with self._session.post(self._url + target.path, json={"query": {}}, headers=headers) as answer:
            assert answer.status == 202, f"{answer.status}: {await answer.text()}"
            self._asked.append((await answer.json())["jobId"])
        self.answered.append(time.perf_counter() - began)

    async def lags(self, count: int) -> list[float]:
        asked, self._asked = self._asked, []
        assert len(asked) == count
        async with asyncio.timeout(DRAIN_SECONDS), self.database.connection() as connection:
            rows = await _ended(connection, asked)
        for row in rows:
            assert (row["status"], row["removed"], row["attempt"]) == ("completed", VERSIONS, 1), dict(row)
        self.completed += [row["completed"] for row in rows]
        return [row["started"] for row in rows]


async def _ended(connection: Connection, asked: list[str]) -> list[asyncpg.Record]:
    while True:
        if await connection.fetchval(_COUNT_ENDED, asked) == len(asked):
            rows: list[asyncpg.Record] = await connection.fetch(_READ_ENDED, asked)
            return rows
        await asyncio.sleep(LOOK_SECONDS)


_COUNT_ENDED = "SELECT count(*) FROM jobs WHERE public_id = ANY($1::text[]) AND finished_at IS NOT NULL"
_READ_ENDED = """
SELECT status, removed, attempt,
       extract(epoch FROM started_at - created_at)::float8 AS started,
       extract(epoch FROM finished_at - created_at)::float8 AS completed
FROM jobs WHERE public_id = ANY($1::text[])
"""


async def measure(servers: Servers, *, smoke: bool) -> None:
    """Prints the tables; raises AssertionError if a job did not do what it was asked to."""
    size = SMOKE if smoke else FULL
    async with (
        _open_api(servers, size) as api,
        running_stock(servers, DEFAULT_POLL) as stock,
        running_stock(servers, QUICK_POLL) as quick,
    ):
        ours = Contestant("ours", api)
        peers = [Contestant("arq, default", stock), Contestant(f"arq, poll_delay {QUICK_POLL}", quick)]
        for contestant in (ours, *peers):  # also waits until every process is up
            await _send(contestant.queue, WARM_UP, size.per_second)
        api.answered, api.completed = [], []
        await _measure([ours, *peers], size)
        await _check_emptied(api.database, size)
    _print(size, ours, peers, api, Judge(judges=not smoke))


@asynccontextmanager
async def _open_api(servers: Servers, size: Size) -> AsyncIterator[Api]:
    async with open_database(servers.settings, role="bench", size=2) as database:
        targets = await _make_targets(database, size)
        async with running_roles(servers) as url, aiohttp.ClientSession() as session:
            yield Api(session, url, database, targets)


async def _make_targets(database: Database, size: Size) -> list[Target]:
    """A flow for every job to come, one of each company in turn."""
    async with database.connection() as connection:
        await write_documents(connection, seed=2)
    tenants = [await make_tenant(database, f"Bench {number}") for number in range(size.companies)]
    targets = []
    for number in range(_jobs(size)):
        tenant = tenants[number % size.companies]
        flow_id = await tenant.make_flow(database, f"Flow {number}")
        async with database.connection() as connection:
            await load_versions(connection, "flow_versions", tenant.company_id, flow_id, VERSIONS)
        path = f"/applications/{hex_id(tenant.application_id)}/flows/{hex_id(flow_id)}/versions/delete"
        targets.append(Target(path, tenant.token))
    return targets


async def _measure(contestants: list[Contestant], size: Size) -> None:
    for number in range(size.rounds):
        for contestant in _rotated(contestants, number):
            contestant.busy += await _send(contestant.queue, size.jobs, size.per_second)
    for number in range(size.singles):
        await asyncio.sleep(size.idle)
        for contestant in _rotated(contestants, number):
            contestant.idle += await _send(contestant.queue, 1, size.per_second)


def _rotated(contestants: list[Contestant], number: int) -> list[Contestant]:
    """Another one goes first each time."""
    first = number % len(contestants)
    return contestants[first:] + contestants[:first]


async def _send(queue: Queue, count: int, per_second: int) -> list[float]:
    """Sends at an even rate, whether or not the ones before have been taken, and waits until all are through."""
    loop = asyncio.get_running_loop()
    began, sending = loop.time(), []
    for number in range(count):
        await asyncio.sleep(began + number / per_second - loop.time())
        sending.append(asyncio.create_task(queue.send()))
    await asyncio.gather(*sending)
    return await queue.lags(count)


async def _check_emptied(database: Database, size: Size) -> None:
    """Every version is in the trash, under the job that was asked for it."""
    async with database.connection() as connection:
        left = await connection.fetchval("SELECT count(*) FROM flow_versions")
        kept = await connection.fetchval("SELECT count(*) FROM deleted_versions WHERE job_id IS NOT NULL")
    assert (left, kept) == (0, _jobs(size) * VERSIONS), f"{left} versions left, {kept} in the trash"


def _jobs(size: Size) -> int:
    return WARM_UP + size.rounds * size.jobs + size.singles


def _print(size: Size, ours: Contestant, peers: list[Contestant], api: Api, judge: Judge) -> None:
    head = ("queue", "p50", "<= 5", "p99", "<= 25", "max", "p50 / ours", "p99 / ours", "jobs")
    print_table(
        f"Accepted to in progress at {size.per_second} jobs/s, ms",
        head,
        [_row(contestant.name, contestant.busy, ours.busy, judge) for contestant in (ours, *peers)],
    )
    print_table(
        f"The same for a single job after {size.idle:.0f} s of silence, ms; of so few, p99 is the slowest",
        head,
        [_row(contestant.name, contestant.idle, ours.idle, judge) for contestant in (ours, *peers)],
    )
    print_table(
        "Around it, ms",
        ("ours", "p50", "p99"),
        [
            ("request to 202", milliseconds(median(api.answered)), milliseconds(quantile(api.answered, 0.99))),
            ("accepted to completed", milliseconds(median(api.completed)), milliseconds(quantile(api.completed, 0.99))),
        ],
    )


def _row(name: str, lags: list[float], ours: list[float], judge: Judge) -> tuple[str, ...]:
    middle, late = median(lags), quantile(lags, 0.99)
    own = lags is ours
    return (
        name,
        milliseconds(middle),
        judge(middle <= MOST_MEDIAN_SECONDS) if own else "",
        milliseconds(late),
        judge(late <= MOST_P99_SECONDS) if own else "",
        milliseconds(max(lags)),
        f"{middle / median(ours):.1f}",
        f"{late / quantile(ours, 0.99):.1f}",
        f"{len(lags):,}",
    )
