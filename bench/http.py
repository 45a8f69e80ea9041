"""Requests a second of the real API, beside a bare server and FastAPI that answer from the same rows.

Ours is the API as `penstock api` runs it: every middleware, a real token. The bare one runs the same SQL but for the
token, and nothing else; FastAPI does the same and is there for information. Each is one process with the same pool on
the same PostgreSQL, and the load comes from one more.

In each round every server gets the same number of the same requests, the first one changing from round to round.
Before that their answers are compared, and each is warmed up.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from bench.contestants import Contestant, running_contestants
from bench.documents import write_workflow
from bench.http_cases import CASES, FIRST_PAGE, LAST_PAGE, Case
from bench.report import Judge, median, milliseconds, print_table, spread
from bench.servers import Servers
from bench.tenants import Tenant, load_flows, load_job_logs, load_versions, make_tenant, write_documents
from core.store.database import Connection, Database, open_database

MOST_PAGE_RATIO = 3.0
"""What the last of 200 pages may take, as a multiple of the first."""

MOST_IDLE_MIB = 60
MOST_LOADED_MIB = 80

EMPTY = '{"triggers":[],"nodes":[]}'
"""The least a version can hold: a list of these is all about its other fields."""

FILLED = {"lean": (100, EMPTY), "full": (100, None), "long": (20_000, None)}
"""The flows that are read: how many versions, and their body; None: about 2 kB, each another."""

LISTED = 120
"""Flows of a class of their own, so that a page of 100 is not all of them: each with develop content, and a version of
one name."""

LOGGED = 100
"""Ended deletions in the job log."""

WORKFLOWS = 500
"""Different ones among those that are sent."""

WARM_UP = 0.25
"""Of a round's requests; by then every connection of the pool has prepared its statements."""

SETTLE_SECONDS = 300
"""For VACUUM or CHECKPOINT: some seconds on a slow disk."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much: rounds, and the share of each case's requests."""

    rounds: int
    share: float

    def requests(self, case: Case) -> int:
        return int(case.requests * self.share)


FULL = Size(rounds=5, share=1.0)
SMOKE = Size(rounds=1, share=0.03)


async def measure(servers: Servers, *, smoke: bool) -> None:
    """Prints the tables; raises if the servers do not answer alike, or not as they should."""
    size = SMOKE if smoke else FULL
    connection = await asyncpg.connect(servers.settings.database_url)
    try:
        async with _contestants(servers, connection) as contestants:
            for case in CASES:
                await _compare(case, contestants)
                await _measure_case(connection, case, contestants, size)
            loaded = [contestant.site.resident_mib() for contestant in contestants]
            await _check_created(connection, contestants)
    finally:
        await connection.close()
    _print(contestants, loaded, size, Judge(judges=not smoke))


@asynccontextmanager
async def _contestants(servers: Servers, connection: Connection) -> AsyncIterator[list[Contestant]]:
    """All servers, on a company whose flows are filled."""
    async with open_database(servers.settings, role="bench", size=2) as database:
        tenant = await make_tenant(database, "Bench")
        await write_documents(connection, seed=3)
        flows = {name: await _fill(connection, database, tenant, name) for name in FILLED}
        await load_flows(connection, tenant, LISTED, flow_class="edge", version="stable")
        await load_job_logs(connection, tenant, LOGGED)
        await connection.execute("VACUUM (ANALYZE)", timeout=SETTLE_SECONDS)
        source = random.Random(4)
        workflows = [write_workflow(source) for _ in range(WORKFLOWS)]
        async with running_contestants(servers, database, tenant, flows, workflows) as contestants:
            yield contestants


async def _fill(connection: Connection, database: Database, tenant: Tenant, name: str) -> int:
    """A flow with the versions FILLED says, written by the tenant's token as if over the API; returns its id."""
    count, body = FILLED[name]
    flow_id = await tenant.make_flow(database, name)
    await load_versions(
        connection, "flow_versions", tenant.company_id, flow_id, count, token_id=tenant.token_id, body=body
    )
    return flow_id


async def _compare(case: Case, contestants: Sequence[Contestant]) -> None:
    """All say the same of as many items, in the same order."""
    said = {contestant.name: _said(case, await contestant.ask(case)) for contestant in contestants}
    total, items = said["ours"]
    assert items, f"{case.name}: there is nothing to measure"
    for name, (other_total, others) in said.items():
        assert (other_total, len(others)) == (total, len(items)), f"{case.name}: {name} says {other_total} of {total}"
        assert others == items, f"{case.name}: the items of {name} are not ours"


def _said(case: Case, answer: Any) -> tuple[int | None, list[Any]]:
    """The total of a list, and what is the same in everybody's words: label and content of each item."""
    items = answer.get("items", [answer])
    return answer.get("totalCount"), [
        (item.get("input", item)[case.label], item.get("body", item).get("nodes")) for item in items
    ]


async def _measure_case(connection: Connection, case: Case, contestants: list[Contestant], size: Size) -> None:
    requests = size.requests(case)
    for contestant in contestants:
        await contestant.load(case, max(int(requests * WARM_UP), case.connections))
    for number in range(size.rounds):
        first = number % len(contestants)
        for contestant in contestants[first:] + contestants[:first]:
            if case.flows:  # nobody pays for what others have written
                await connection.execute("CHECKPOINT", timeout=SETTLE_SECONDS)
            contestant.loads.setdefault(case.name, []).append(await contestant.load(case, requests))


async def _check_created(connection: Connection, contestants: Sequence[Contestant]) -> None:
    """Every version that was answered with a 201 is there."""
    for contestant in contestants:
        kept = await connection.fetchval(
            "SELECT count(*) FROM flow_versions WHERE flow_id = ANY($1::bigint[])", contestant.flows.own
        )
        assert kept == contestant.created, f"{contestant.name} kept {kept} of {contestant.created} versions"


def _print(contestants: Sequence[Contestant], loaded: Sequence[float], size: Size, judge: Judge) -> None:
    names = [contestant.name for contestant in contestants]
    print_table(
        f"Requests a second, median of {size.rounds} rounds",
        ("asked", "at once", "ours", "least-most", "bare", "least-most", "ours/bare", "target", "of bests", "FastAPI"),
        [_rate_row(case, contestants, judge) for case in CASES],
    )
    print_table(
        "Until an answer was whole, ms, median of the rounds",
        (
            "asked",
            *(head for name in names for head in (f"{name} p50", "p99", *(["target"] if name == "ours" else []))),
        ),
        [_wait_row(case, contestants, judge) for case in CASES],
    )
    print_table(
        f"The last page of {FILLED['long'][0]:,} versions against the first, p50 in ms",
        ("server", "page 0", "page 199", "last/first", f"<= {MOST_PAGE_RATIO:.0f}"),
        [_page_row(contestant, judge) for contestant in contestants],
    )
    print_table(
        "Resident memory, MiB",
        ("server", "idle", f"<= {MOST_IDLE_MIB}", "after the load", f"<= {MOST_LOADED_MIB}"),
        [_memory_row(contestant, after, judge) for contestant, after in zip(contestants, loaded, strict=True)],
    )


def _rate_row(case: Case, contestants: Sequence[Contestant], judge: Judge) -> tuple[str, ...]:
    """The best rounds are those that other work on the machine disturbed least."""
    ours, bare, fastapi = ([load.rate for load in contestant.loads[case.name]] for contestant in contestants)
    ratio = median(ours) / median(bare)
    least = case.least_ratio
    return (
        case.name,
        str(case.connections),
        f"{median(ours):,.0f}",
        spread(ours),
        f"{median(bare):,.0f}",
        spread(bare),
        f"{ratio:.2f}",
        "" if least is None else f">= {least:.2f} {judge(ratio >= least)}",
        f"{max(ours) / max(bare):.2f}",
        f"{median(fastapi):,.0f}",
    )


def _wait_row(case: Case, contestants: Sequence[Contestant], judge: Judge) -> tuple[str, ...]:
    cells = [case.name]
    for contestant in contestants:
        late = median([load.p99_seconds for load in contestant.loads[case.name]])
        cells += [milliseconds(_half(contestant, case)), milliseconds(late)]
        if contestant is contestants[0]:
            most = case.most_p99_seconds
            cells.append("" if most is None else f"<= {most * 1000:.0f} {judge(late <= most)}")
    return tuple(cells)


def _page_row(contestant: Contestant, judge: Judge) -> tuple[str, ...]:
    first, last = _half(contestant, FIRST_PAGE), _half(contestant, LAST_PAGE)
    verdict = judge(last / first <= MOST_PAGE_RATIO) if contestant.name == "ours" else ""
    return contestant.name, milliseconds(first), milliseconds(last), f"{last / first:.2f}", verdict


def _memory_row(contestant: Contestant, after: float, judge: Judge) -> tuple[str, ...]:
    idle = contestant.idle_mib
    own = contestant.name == "ours"
    return (
        contestant.name,
        f"{idle:.0f}",
        judge(idle <= MOST_IDLE_MIB) if own else "",
        f"{after:.0f}",
        judge(after <= MOST_LOADED_MIB) if own else "",
    )


def _half(contestant: Contestant, case: Case) -> float:
    """What half of the answers took at most, in seconds."""
    return median([load.p50_seconds for load in contestant.loads[case.name]])
