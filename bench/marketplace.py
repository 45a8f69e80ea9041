"""Uploads and the list of the marketplace.

The uploads are whole jobs of the real roles, read from their rows: from the claim of the first to the end of the last
for many small ones, from acceptance to end for one of megabytes. Accepting that one is a real HTTP request. The list is
compared with a bare server that answers from the same rows, as in bench/patchworks.py.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp
import asyncpg
import orjson

from bench.contestants import Contestant, running_contestants
from bench.documents import write_workflow
from bench.http_cases import LEAST_RATIO, Case
from bench.report import Judge, median, milliseconds, print_table
from bench.roles import running_roles
from bench.rounds import FULL as FULL_ROUNDS
from bench.rounds import SETTLE_SECONDS, print_rates, print_waits, run_cases
from bench.rounds import SMOKE as SMOKE_ROUNDS
from bench.rounds import Size as Rounds
from bench.servers import Servers
from bench.tenants import Tenant, make_tenant
from core.domain.access import ActorType, Principal, Role
from core.domain.contents import new_content
from core.domain.documents import parse_document
from core.domain.identifiers import new_public_id
from core.domain.versions import Content
from core.operations import access, people, uploads
from core.operations.uploads import UploadRequest
from core.store.database import Connection, Database, open_database

LEAST_PER_SECOND = 100.0
MOST_ACCEPT_SECONDS = 0.050
MOST_FINISH_SECONDS = 1.0

ANY_NUMBER = 1_000_000
"""Requests a minute that the company may make: they are counted, and none is refused."""

PASSWORD = "correct horse battery staple"

ACCEPTING = 8
"""Uploads accepted at once, before any worker runs."""

DRAIN_SECONDS = 300.0
LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Size:
    """How many small uploads, how many large ones, and the bytes of one of these."""

    small: int
    large: int
    large_bytes: int
    rounds: Rounds


FULL = Size(small=2_000, large=9, large_bytes=5_000_000, rounds=FULL_ROUNDS)
SMOKE = Size(small=50, large=1, large_bytes=200_000, rounds=SMOKE_ROUNDS)

LIST = Case(
    "100 items",
    ours="/api/v1/marketplace/flows?per_page=100",
    peers="/items?perPage=100",
    requests=1_500,
    company=True,
    label="name",
    least_ratio=LEAST_RATIO,
    most_p99_seconds=0.100,
)


async def measure(servers: Servers, *, smoke: bool) -> None:
    """Prints the tables; raises AssertionError if an upload did not become an item, or the lists are not alike."""
    size, judge = SMOKE if smoke else FULL, Judge(judges=not smoke)
    connection = await asyncpg.connect(servers.settings.database_url)
    try:
        async with open_database(servers.settings, role="bench", size=ACCEPTING) as database:
            tenant = await make_tenant(database, "Bench")
            await access.set_rate_limit(tenant.principal, database, ANY_NUMBER)
            source = random.Random(7)
            await _accept_small(connection, database, tenant, source, size.small)
            async with running_roles(servers) as url:
                per_second = await _run_small(connection, size.small)
                accepted, finished = await _run_large(connection, database, tenant, url, source, size)
            contestants = await _list(servers, connection, database, tenant, size)
    finally:
        await connection.close()
    _print(size, judge, per_second, accepted, finished)
    print_rates([LIST], contestants, size.rounds, judge)
    print_waits([LIST], contestants, judge)


async def _accept_small(
    connection: Connection, database: Database, tenant: Tenant, source: random.Random, count: int
) -> None:
    """Distinct versions of about 2 kB, each the deployed one of a flow, uploaded by an administrator."""
    principal = Principal(tenant.company_id, ActorType.USER, 1, role=Role.ADMINISTRATOR)
    versions = [await _deployed(connection, tenant, f"Flow {n}", write_workflow(source)) for n in range(count)]

    async def accept(number: int) -> None:
        for version_id in versions[number::ACCEPTING]:
            request = UploadRequest(version_id, private=True, public_shelf=False)
            await uploads.accept_upload(principal, database, request, public_id=new_public_id(os.urandom), key=None)

    await asyncio.gather(*(accept(number) for number in range(ACCEPTING)))


async def _run_small(connection: Connection, count: int) -> float:
    """Uploads a second of one worker."""
    await _drained(connection)
    row = await connection.fetchrow(
        "SELECT count(*) FILTER (WHERE status = 'completed') AS completed,"
        " extract(epoch FROM max(finished_at) - min(started_at))::float8 AS seconds,"
        " (SELECT count(*) FROM marketplace_items) AS items FROM jobs"
    )
    assert (row["completed"], row["items"]) == (count, count), dict(row)
    return count / float(row["seconds"])


async def _run_large(
    connection: Connection,
    database: Database,
    tenant: Tenant,
    url: str,
    source: random.Random,
    size: Size,
) -> tuple[list[float], list[float]]:
    """Seconds until the 202, and from acceptance to the end, of each; the first one warms up."""
    token = await _administrator(database, tenant, url)
    accepted, finished = [], []
    async with aiohttp.ClientSession(url, headers={"Authorization": f"Bearer {token}"}) as session:
        for number in range(size.large + 1):
            body = _large(source, size.large_bytes)
            version_id = await _deployed(connection, tenant, f"Large {number}", body)
            began = time.perf_counter()
            async with session.post(f"/api/v1/flow-versions/{version_id}/upload") as answer:
                assert answer.status == 202, await answer.text()
                job = (await answer.json())["jobId"]
            took = time.perf_counter() - began
            await _drained(connection)
            row = await connection.fetchrow(
                "SELECT status, extract(epoch FROM finished_at - created_at)::float8 AS seconds FROM jobs"
                " WHERE public_id = $1",
                job,
            )
            assert row["status"] == "completed", dict(row)
            if number:
                accepted.append(took)
                finished.append(float(row["seconds"]))
    return accepted, finished


async def _administrator(database: Database, tenant: Tenant, url: str) -> str:
    """The login token of one."""
    email = "admin@example.com"
    await people.create_user(
        tenant.principal, database, email=email, name=email, role=Role.ADMINISTRATOR, password=PASSWORD
    )
    credentials = {"username": email, "password": PASSWORD}
    async with aiohttp.ClientSession() as session, session.post(f"{url}/fabric/api/login", json=credentials) as answer:
        token: str = (await answer.json())["token"]
    return token


async def _list(
    servers: Servers, connection: Connection, database: Database, tenant: Tenant, size: Size
) -> list[Contestant]:
    await connection.execute("VACUUM (ANALYZE)", timeout=SETTLE_SECONDS)
    workflows = [write_workflow(random.Random(4))]
    async with running_contestants(servers, database, tenant, {}, workflows, ["bare"]) as contestants:
        await run_cases(connection, [LIST], contestants, size.rounds)
    return contestants


async def _deployed(connection: Connection, tenant: Tenant, name: str, body: str) -> int:
    """A flow whose only version is deployed; returns that one's id."""
    content: Content = new_content(parse_document(body.encode()), strict=False)
    version_id: int = await connection.fetchval(
        """
        WITH f AS (
            INSERT INTO flows (company_id, application_id, name, name_folded, flow_class, next_iteration,
                               created_by_type, updated_by_type)
            VALUES ($1, $2, $3, lower($3), 'cloud', 2, 'cli', 'cli') RETURNING id
        )
        INSERT INTO flow_versions (company_id, flow_id, iteration, name, name_folded, status, deployed_at, body, digest,
                                   created_by_type, updated_by_type)
        SELECT $1, f.id, 1, 'v1', 'v1', 'Deployed', clock_timestamp(), $4, $5, 'cli', 'cli' FROM f
        RETURNING id
        """,
        tenant.company_id,
        tenant.application_id,
        name,
        content.body,
        content.digest,
    )
    return version_id


def _large(source: random.Random, size: int) -> str:
    """A workflow of thousands of nodes, with fractions among its numbers as editors write them."""
    nodes: list[dict[str, object]] = []
    length = 0
    while length < size:
        small = orjson.loads(write_workflow(source))["nodes"]
        for node in small:
            node["id"] = f"n{len(nodes)}"
            node["outputIds"] = [[]]
            node["meta"] = {"x": source.random() * 1000, "y": source.random() * 1000}
            nodes.append(node)
            length += len(orjson.dumps(node)) + 1
    return orjson.dumps({"triggers": [], "nodes": nodes, "globals": []}).decode()


async def _drained(connection: Connection) -> None:
    async with asyncio.timeout(DRAIN_SECONDS):
        while True:
            if not await connection.fetchval("SELECT EXISTS (SELECT FROM jobs WHERE finished_at IS NULL)"):
                return
            await asyncio.sleep(LOOK_SECONDS)


def _print(size: Size, judge: Judge, per_second: float, accepted: Sequence[float], finished: Sequence[float]) -> None:
    print_table(
        f"{size.small:,} uploads of distinct versions of about 2 kB by one worker",
        ("of", "a second", f">= {LEAST_PER_SECOND:.0f}"),
        [("uploads", f"{per_second:,.0f}", judge(per_second >= LEAST_PER_SECOND))],
    )
    rows = [
        ("request to 202", *_wait(accepted, MOST_ACCEPT_SECONDS, judge)),
        ("accepted to completed", *_wait(finished, MOST_FINISH_SECONDS, judge)),
    ]
    print_table(
        f"An upload of {size.large_bytes / 1e6:.1f} MB, median of {len(accepted)}, ms",
        ("wait", "p50", "max", "target"),
        rows,
    )


def _wait(samples: Sequence[float], most: float, judge: Judge) -> tuple[str, str, str]:
    middle = median(samples)
    return milliseconds(middle), milliseconds(max(samples)), f"<= {most * 1000:.0f} {judge(middle <= most)}"
