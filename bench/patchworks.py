"""Lists and reads of the Patchworks dialect, beside a bare server that answers from the same rows; and beside logins.

Ours looks up the company's key and counts each request in Valkey; the bare server (bench/bare_http.py) does neither.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp
import asyncpg

from bench.contestants import Contestant, running_contestants
from bench.documents import write_workflow
from bench.http_cases import LEAST_RATIO, Case
from bench.report import Judge, median, milliseconds, print_table
from bench.rounds import FULL, SETTLE_SECONDS, SMOKE, Size, print_rates, print_waits, run_cases
from bench.servers import Servers
from bench.tenants import Tenant, load_flows, load_versions, make_tenant, write_documents
from core.domain.access import ActorType, Principal, Role
from core.operations import access, people
from core.store.database import Connection, Database, open_database

VERSIONS = 200
"""In the flow that is read: a page of 100 is not all of them."""

FLOWS = 120

ANY_NUMBER = 1_000_000
"""Requests a minute that the company may make: they are counted, and none is refused."""

LOGINS = 50
MOST_SLOWER = 2.0
"""What the 99th percentile of reads may become while so many log in."""

READING = 16
"""Connections that read meanwhile."""

VERSION = Case(
    "a version",
    ours="/api/v1/flows/{flow}/versions/{version}",
    peers="/flows/{flow}/views/{version}",
    requests=6_000,
    company=True,
    label="name",
    least_ratio=LEAST_RATIO,
)
CASES = (
    VERSION,
    Case(
        "a flow",
        ours="/api/v1/flows/{flow}",
        peers="/flows/{flow}",
        requests=6_000,
        company=True,
        label="name",
        least_ratio=LEAST_RATIO,
    ),
    Case(
        "100 versions",
        ours="/api/v1/flows/{flow}/versions?per_page=100",
        peers="/flows/{flow}/views?perPage=100",
        requests=1_500,
        company=True,
        label="name",
        least_ratio=LEAST_RATIO,
    ),
    Case(
        "100 flows",
        ours="/api/v1/flows?per_page=100",
        peers="/flows?perPage=100",
        requests=1_500,
        company=True,
        label="name",
        least_ratio=LEAST_RATIO,
    ),
)


async def measure(servers: Servers, *, smoke: bool) -> None:
    """Prints the tables; raises AssertionError if the servers do not answer alike, or a login fails."""
    size = SMOKE if smoke else FULL
    connection = await asyncpg.connect(servers.settings.database_url)
    try:
        async with _contestants(servers, connection) as (database, tenant, contestants):
            await run_cases(connection, CASES, contestants, size)
            names = await _make_people(database, tenant, 2 if smoke else LOGINS)
            alone, beside, logins = await _beside_logins(contestants[0], names, size)
    finally:
        await connection.close()
    judge = Judge(judges=not smoke)
    print_rates(CASES, contestants, size, judge)
    print_waits(CASES, contestants, judge)
    ratio = beside / alone
    print_table(
        f"Reading a version at {READING} connections while {len(names)} people log in over and over, 99th percentile",
        ("alone, ms", "beside, ms", "beside/alone", f"<= {MOST_SLOWER:.0f}", "logins meanwhile"),
        [(milliseconds(alone), milliseconds(beside), f"{ratio:.2f}", judge(ratio <= MOST_SLOWER), str(logins))],
    )


@asynccontextmanager
async def _contestants(
    servers: Servers, connection: Connection
) -> AsyncIterator[tuple[Database, Tenant, list[Contestant]]]:
    async with open_database(servers.settings, role="bench", size=2) as database:
        tenant = await make_tenant(database, "Bench")
        await access.set_rate_limit(tenant.principal, database, ANY_NUMBER)
        await write_documents(connection, seed=3)
        await load_flows(connection, tenant, FLOWS, flow_class="cloud", version="stable")
        flow_id = await tenant.make_flow(database, "Read")
        await load_versions(connection, "flow_versions", tenant.company_id, flow_id, VERSIONS, token_id=tenant.token_id)
        version_id = await connection.fetchval("SELECT min(id) FROM flow_versions WHERE flow_id = $1", flow_id)
        await connection.execute("VACUUM (ANALYZE)", timeout=SETTLE_SECONDS)
        workflows = [write_workflow(random.Random(4))]
        read = {"flow": flow_id, "version": version_id}
        async with running_contestants(servers, database, tenant, read, workflows, ["bare"]) as contestants:
            yield database, tenant, contestants


async def _make_people(database: Database, tenant: Tenant, count: int) -> list[tuple[str, str]]:
    """Names and passwords."""
    known = [(f"user{number}@example.com", secrets.token_urlsafe(16)) for number in range(count)]
    principal = Principal(tenant.company_id, ActorType.CLI, None)
    for email, password in known:
        await people.create_user(principal, database, email=email, name=email, role=Role.USER, password=password)
    return known


async def _beside_logins(ours: Contestant, names: Sequence[tuple[str, str]], size: Size) -> tuple[float, float, int]:
    """The 99th percentile of reads alone and beside logins, in seconds, by turns; and how many logins there were."""
    case = replace(VERSION, name="read beside logins", connections=READING)
    alone, beside, logins = [], [], 0
    for _ in range(size.rounds(case)):
        alone.append((await ours.load(case, size.requests(case))).p99_seconds)
        async with aiohttp.ClientSession(ours.site.url) as session, _logging_in(session, names) as done:
            beside.append((await ours.load(case, size.requests(case))).p99_seconds)
        logins += len(done)
    return median(alone), median(beside), logins


@asynccontextmanager
async def _logging_in(session: aiohttp.ClientSession, names: Sequence[tuple[str, str]]) -> AsyncIterator[list[str]]:
    """Everybody logs in again and again until the block ends; each success adds to the list."""
    done: list[str] = []
    stopped = asyncio.Event()

    async def log_in(email: str, password: str) -> None:
        while not stopped.is_set():
            async with session.post("/fabric/api/login", json={"username": email, "password": password}) as answer:
                assert answer.status == 200, f"{answer.status}: {await answer.text()}"
            done.append(email)

    async with asyncio.TaskGroup() as group:
        for email, password in names:
            group.create_task(log_in(email, password))
        try:
            yield done
        finally:
            stopped.set()
