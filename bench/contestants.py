"""The HTTP servers that take part, each spoken to in its own words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bench.http_cases import FLOWS, Case
from bench.load import Load, send
from bench.roles import running_api
from bench.servers import Servers
from bench.sites import Site, running_site
from bench.tenants import Tenant
from core.domain.identifiers import hex_id
from core.store.database import Database

PEERS = {"bare": "bench.bare_http", "FastAPI": "bench.fastapi_http"}


@dataclass(frozen=True, slots=True)
class Speech:
    """How a server is spoken to."""

    address: Callable[[Case], str]
    """Which of a case's addresses is its own."""
    show: Callable[[int], str]
    """An id, as it stands in there."""
    headers: Mapping[str, str] = field(default_factory=dict)
    application: str = ""


@dataclass(frozen=True, slots=True)
class Speaker:
    """A server's way to be spoken to about an application, and about a company."""

    usual: Speech
    company: Speech

    def of(self, case: Case) -> Speech:
        return self.company if case.company else self.usual


@dataclass(frozen=True, slots=True)
class Flows:
    """What can stand in an address: `read` by name, the same for all; `own` is written to by one server only."""

    read: Mapping[str, int]
    own: Sequence[int]


@dataclass(slots=True)
class Contestant:
    """A server and what was measured of it."""

    name: str
    servers: Servers
    site: Site
    speaker: Speaker
    flows: Flows
    workflows: Sequence[str]
    """What the versions it creates hold, by turns."""
    idle_mib: float
    loads: dict[str, list[Load]] = field(default_factory=dict)
    """By the name of the case."""
    created: int = 0
    """Versions, over all cases."""

    async def ask(self, case: Case) -> Any:
        """Sends one request of the case and returns what the answer says."""
        path, body = self._question(case, 0)
        async with (
            aiohttp.ClientSession(self.site.url, headers=self.speaker.of(case).headers) as session,
            session.request(case.method, path, data=body or None, headers=_headers(body)) as answer,
        ):
            assert answer.status == case.status, f"{self.name} answers {answer.status}: {await answer.text()}"
            return await answer.json()

    async def load(self, case: Case, requests: int) -> Load:
        """Sends so many requests of the case, as fast as they are answered."""
        prepared = [self._request(case, number) for number in range(requests if case.flows else case.different)]
        return await send(
            self.servers, self.site.port, prepared, connections=case.connections, status=case.status, count=requests
        )

    def _request(self, case: Case, number: int) -> bytes:
        """One request as it goes over the wire."""
        path, body = self._question(case, number)
        headers = {"Host": "bench", **self.speaker.of(case).headers, **_headers(body)}
        head = [f"{case.method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*head, "", ""]).encode() + body

    def _question(self, case: Case, number: int) -> tuple[str, bytes]:
        """Address and body. No two versions created here have the same name."""
        speech = self.speaker.of(case)
        standing = {name: speech.show(flow) for name, flow in self.flows.read.items()}
        if case.flows:
            standing["own"] = speech.show(self.flows.own[number % case.flows])
        path = speech.address(case).format(n=number % case.different + 1, application=speech.application, **standing)
        if not case.flows:
            return path, b""
        self.created += 1
        workflow = self.workflows[self.created % len(self.workflows)]
        return path, f'{{"version":"n{self.created}",{workflow[1:]}'.encode()


def _headers(body: bytes) -> dict[str, str]:
    return {"Content-Type": "application/json", "Content-Length": str(len(body))} if body else {}


@asynccontextmanager
async def running_contestants(
    servers: Servers,
    database: Database,
    tenant: Tenant,
    read: Mapping[str, int],
    workflows: Sequence[str],
    peers: Sequence[str] = tuple(PEERS),
) -> AsyncIterator[list[Contestant]]:
    """Ours and these of its PEERS, ours first.

    None has had a request when the block begins, but for whether it is ready.
    """
    ours = Speech(
        lambda case: case.ours, hex_id, {"Authorization": f"Bearer {tenant.token}"}, hex_id(tenant.application_id)
    )
    company = Speech(lambda case: case.ours, str, {"Authorization": tenant.key})
    theirs = Speech(lambda case: case.peers, str, application=str(tenant.application_id))
    async with AsyncExitStack() as stack:
        sites = {"ours": await stack.enter_async_context(running_api(servers))}
        for name in peers:
            site = running_site(servers, name, PEERS[name], str(tenant.company_id))
            sites[name] = await stack.enter_async_context(site)
        yield [
            Contestant(
                name,
                servers,
                site,
                Speaker(ours, company) if name == "ours" else Speaker(theirs, theirs),
                Flows(read, [await tenant.make_flow(database, f"{name} {number}") for number in range(FLOWS)]),
                workflows,
                site.resident_mib(),
            )
            for name, site in sites.items()
        ]
