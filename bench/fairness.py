"""What a company notices of another one's delete of a million versions: ten deletes of its own, alone and beside it.

Real HTTP requests, real roles, one worker process for both companies. The ten are asked for once all together, as a
script does, and once one after the other, as a person does. Times are from sending a request to the end of its job,
both read from the clock of this machine.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import aiohttp

from bench.report import Judge, median, print_table
from bench.roles import running_roles
from bench.servers import Servers, settle
from bench.tenants import Tenant, load_versions, make_tenant, write_documents
from core.domain.identifiers import hex_id
from core.store.database import Connection, Database, open_database

MOST_LATER_SECONDS = 1.0

ASKED = 10
"""Deletes of the second company in a round."""

DRAIN_SECONDS = 120.0
LOOK_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Size:
    """The first company deletes `long` versions at once, the second ten times `short` a round.

    There are so many rounds of either way to ask before, during and after the long delete.
    """

    long: int
    short: int
    rounds: int


FULL = Size(long=1_000_000, short=1_000, rounds=8)
SMOKE = Size(long=100_000, short=20, rounds=1)


@dataclass(slots=True)
class Way:
    """One way to ask for ten deletes, and for each round how long each took, the quickest first."""

    name: str
    ask: Callable[[Company, list[int]], Awaitable[list[float]]]
    alone: list[list[float]] = field(default_factory=list)
    beside: list[list[float]] = field(default_factory=list)

    def usual(self) -> list[float]:
        """What the first, the second … to end takes alone."""
        return [median(places) for places in zip(*self.alone, strict=True)]

    def later(self) -> list[float]:
        """How much later each of each round ended beside the long delete than it does alone."""
        return [took - usual for one in self.beside for took, usual in zip(one, self.usual(), strict=True)]


class Company:
    """A client of the API, asking for deletes of whole flows."""

    def __init__(self, session: aiohttp.ClientSession, url: str, database: Database, tenant: Tenant) -> None:
        self._session = session
        self._at = f"{url}/applications/{hex_id(tenant.application_id)}/flows"
        self._headers = {"Authorization": f"Bearer {tenant.token}"}
        self._database = database
        self._tenant = tenant

    async def fill(self, versions: int) -> int:
        """A new flow with so many versions."""
        flow_id = await self._tenant.make_flow(self._database, f"Flow of {versions} at {time.time_ns()}")
        async with self._database.connection() as connection:
            await load_versions(connection, "flow_versions", self._tenant.company_id, flow_id, versions)
        return flow_id

    async def send(self, flow_id: int) -> str:
        """Asks for the delete of everything in the flow; returns the job's id."""
        path = f"{self._at}/{hex_id(flow_id)}/versions/delete"
        async with self._session.post(path, json={"query": {}}, headers=self._headers) as answer:
            assert answer.status == 202, f"{answer.status}: {await answer.text()}"
            job_id: str = (await answer.json())["jobId"]
            return job_id

    async def delete(self, flow_id: int) -> float:
        """Asks, waits for the job to end, and returns how long both took. Raises AssertionError if it did not."""
        began = time.time()
        return await self.ended(await self.send(flow_id)) - began

    async def ended(self, job_id: str) -> float:
        """When the job had completed, in seconds since 1970."""
        async with asyncio.timeout(DRAIN_SECONDS):
            while True:
                async with self._database.connection() as connection:
                    job = await connection.fetchrow(_READ, job_id)
                if job["ended"] is not None:
                    assert (job["status"], job["removed"]) == ("completed", job["total"]), dict(job)
                    at: float = job["ended"]
                    return at
                await asyncio.sleep(LOOK_SECONDS)


_READ = """
SELECT status, total, removed, extract(epoch FROM finished_at)::float8 AS ended FROM jobs WHERE public_id = $1
"""
_PROGRESS = "SELECT removed FROM jobs WHERE public_id = $1 AND finished_at IS NULL"


async def _together(company: Company, flow_ids: list[int]) -> list[float]:
    return sorted(await asyncio.gather(*(company.delete(flow_id) for flow_id in flow_ids)))


async def _one_by_one(company: Company, flow_ids: list[int]) -> list[float]:
    return sorted([await company.delete(flow_id) for flow_id in flow_ids])


async def measure(servers: Servers, *, smoke: bool) -> None:
    """Prints the tables; raises AssertionError if a job did not do what it was asked to, or the long one was too short
    to measure anything beside it."""
    size = SMOKE if smoke else FULL
    ways = [Way("together", _together), Way("one by one", _one_by_one)]
    async with (
        open_database(servers.settings, role="bench", size=ASKED) as database,
        running_roles(servers) as url,
        aiohttp.ClientSession() as session,
        database.connection() as connection,
    ):
        await write_documents(connection, seed=4)
        long, short = [Company(session, url, database, await make_tenant(database, name)) for name in ("Long", "Short")]
        flow_id = await long.fill(size.long)
        flows = [[await short.fill(size.short) for _ in range(ASKED)] for _ in range(3 * size.rounds * len(ways) + 1)]
        await _together(short, flows.pop())  # by now every process is up and has prepared its statements
        await settle(connection)
        await _rounds(short, ways, flows, size.rounds)
        speed = await _beside(long, flow_id, short, ways, flows, size, connection)
        await settle(connection)
        await _rounds(short, ways, flows, size.rounds)
        left = await connection.fetchval("SELECT count(*) FROM flow_versions")
        assert left == 0, f"{left} versions left"
    _print(size, ways, speed, Judge(judges=not smoke))


async def _rounds(short: Company, ways: Sequence[Way], flows: list[list[int]], rounds: int) -> None:
    for _ in range(rounds):
        for way in ways:
            way.alone.append(await way.ask(short, flows.pop()))


async def _beside(
    long: Company,
    flow_id: int,
    short: Company,
    ways: Sequence[Way],
    flows: list[list[int]],
    size: Size,
    connection: Connection,
) -> float:
    """The rounds while the long delete runs; returns its speed during them, in versions a second."""
    job_id = await long.send(flow_id)
    first, began = await _progress(connection, job_id), time.perf_counter()
    for _ in range(size.rounds):
        for way in ways:
            way.beside.append(await way.ask(short, flows.pop()))
    last, seconds = await connection.fetchval(_PROGRESS, job_id), time.perf_counter() - began
    assert last is not None, "the long delete had ended before the others"
    await long.ended(job_id)
    return float(last - first) / seconds


async def _progress(connection: Connection, job_id: str) -> int:
    """How many it has removed, once it is well under way."""
    async with asyncio.timeout(DRAIN_SECONDS):
        while True:
            removed: int = await connection.fetchval(_PROGRESS, job_id)
            if removed:
                return removed
            await asyncio.sleep(LOOK_SECONDS)


def _print(size: Size, ways: Sequence[Way], speed: float, judge: Judge) -> None:
    print_table(
        f"Ten deletes of {size.short:,} versions beside another company's of {size.long:,}: "
        "from request to completed, ms",
        ("asked for", "alone: first", "last", "beside: first", "last", "later: median", "most", "<= 1,000", "rounds"),
        [_row(way, judge) for way in ways],
    )
    print(f"\nThe long delete meanwhile: {speed:,.0f} versions/s")


def _row(way: Way, judge: Judge) -> tuple[str, ...]:
    usual, later = way.usual(), way.later()
    beside = [median(places) for places in zip(*way.beside, strict=True)]
    shown = (usual[0], usual[-1], beside[0], beside[-1], median(later), max(later))
    return (
        way.name,
        *(f"{1000 * seconds:,.0f}" for seconds in shown),
        judge(max(later) <= MOST_LATER_SECONDS),
        str(len(way.beside)),
    )
