"""An installation under test: its roles as processes, and a company in it.

Faults are put at exact points with means of the outside only: a row lock makes a batch wait, a lock of the relay's
makes nothing be delivered, and the wire of tests/support makes a process wait for an answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import asyncpg
from arq.connections import ArqRedis

from core.domain.flows import Flow
from core.domain.identifiers import hex_id
from core.operations.settling import Terms
from core.settings import Settings, read_settings
from core.store.database import Database, open_database
from tests.faults.deletion import MAIL_DOMAIN, RECOVERY_SECONDS, Deletion
from tests.support.api import Api, Reply
from tests.support.claiming import RELAY_LOCK
from tests.support.machinery import open_machinery
from tests.support.roles import Role, Roles, open_roles
from tests.support.servers import open_folder
from tests.support.smtp import SmtpCatcher
from tests.support.tenants import Tenant, make_tenant
from tests.support.waiting import until
from worker.relay import Relay
from worker.rescuer import Rescuer
from worker.transport import connect
from worker.wakeup import Wakeup

READER = "ops@example.com"

BEAT_SECONDS = 0.2
"""Of the relay that runs alone: it listens to no hints."""


class Lock:
    """A row or a duty that the test keeps for itself, so that whoever comes for it waits."""

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record], watcher: Database) -> None:
        self._connection = connection
        self._pid = connection.get_server_pid()
        self._watcher = watcher

    async def waited_for(self, seconds: float = 20.0) -> int:
        """Waits until a session waits for this lock, and returns its number in PostgreSQL."""

        async def waiting() -> int | None:
            async with self._watcher.connection() as connection:
                pid: int | None = await connection.fetchval(
                    "SELECT pid FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid))", self._pid
                )
            return pid

        return await until(waiting, "somebody waits for the lock", seconds)

    def release(self) -> None:
        """Safe to call twice, and after the server has gone."""
        self._connection.terminate()


class Ground:
    """One installation. `roles` starts its processes; `api` is what a client of it sees."""

    def __init__(
        self, settings: Settings, database: Database, tenant: Tenant, roles: Roles, session: aiohttp.ClientSession,
        redis: ArqRedis, smtp: SmtpCatcher,
    ) -> None:  # fmt: skip
        self.settings = settings
        self.database = database
        self.tenant = tenant
        self.roles = roles
        self.redis = redis
        self.smtp = smtp
        self._session = session
        self._api: Api | None = None

    @property
    def database_url(self) -> str:
        assert self.settings.database_url is not None
        return self.settings.database_url

    @property
    def redis_url(self) -> str:
        assert self.settings.redis_url is not None
        return self.settings.redis_url

    @property
    def api(self) -> Api:
        assert self._api is not None, "no API was started"
        return self._api

    async def start(self, name: str, **environment: str) -> Role:
        role = await self.roles.start(name, **environment)
        if name == "api":
            listening = await role.said("The API is listening.")
            self._api = Api(self._session, listening["url"], f"Bearer {self.tenant.token}")
        return role

    @property
    def relay(self) -> Relay:
        """A relay alone, for controls that have no rescuer."""
        return Relay(self.database, self.redis)

    @property
    def rescuer(self) -> Rescuer:
        return Rescuer(self.database, self.redis, self.terms)

    @property
    def terms(self) -> Terms:
        return Terms.of(self.settings)

    @asynccontextmanager
    async def relaying(self) -> AsyncIterator[None]:
        """The relay's loop in this process, and none of the scheduler's others."""

        async def relay() -> None:
            while True:
                await self.relay.run_once()
                await Wakeup().wait(BEAT_SECONDS)

        task = asyncio.create_task(relay())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def lock(self, statement: str, *arguments: object) -> Lock:
        """Locks what the statement locks, in a transaction of its own, until the lock is released."""
        connection = await asyncpg.connect(self.database_url)
        await connection.execute("BEGIN")
        await connection.fetch(statement, *arguments)
        return Lock(connection, self.database)

    async def lock_version(self, version_id: int) -> Lock:
        """A batch that comes to this version waits, with everything it holds."""
        return await self.lock("SELECT id FROM flow_versions WHERE id = $1 FOR UPDATE", version_id)

    @asynccontextmanager
    async def undelivered(self) -> AsyncIterator[None]:
        """Nothing staged reaches Redis during the block: the relays wait for the lock of their claim."""
        lock = await self.lock(RELAY_LOCK)
        try:
            yield
        finally:
            lock.release()

    async def make_flow(self, versions: int) -> Flow:
        flow = await self.tenant.make_flow()
        await self.tenant.make_versions(flow, versions)
        return flow

    def path(self, flow: Flow) -> str:
        return f"/applications/{self.tenant.application}/flows/{hex_id(flow.id)}"

    async def post_deletion(self, flow: Flow, **headers: str) -> Reply:
        """Asks for the removal of every version, with a letter at the end."""
        body = {"query": {}, "email": READER}
        return await self.api.post(f"{self.path(flow)}/versions/delete", body, headers=headers)

    async def accept(self, flow: Flow, **headers: str) -> str:
        reply = await self.post_deletion(flow, **headers)
        assert reply.status == 202, reply.raw
        job_id: str = reply.json["jobId"]
        return job_id

    async def delete(self, versions: int, *, locks: Sequence[float] = ()) -> Deletion:
        """The arrangement of most tests: a deletion is accepted, and before it begins a version is created, another
        replaced and a third deployed. None of the three may be lost.

        `locks` are the places where batches will wait: 0 is the first version, 1 would be behind the last.
        """
        assert versions >= 3
        flow = await self.make_flow(versions)
        async with self.undelivered():
            deletion = Deletion(self, flow, await self.accept(flow), await self.version_ids(flow))
            deletion.locks = [await self.lock_version(deletion.version_ids[int(place * versions)]) for place in locks]
            await self.create(flow, "after")
            await self.replace(flow, f"v{versions // 2}")
            await self.deploy(flow, f"v{versions}")
            deletion.spared = {"after": None, f"v{versions // 2}": "changed_since", f"v{versions}": "protected"}
        return deletion

    async def stage(self, versions: int) -> Deletion:
        """A deletion accepted in this process, for what is gone through step by step."""
        flow = await self.make_flow(versions)
        job_id = await self.tenant.ask_deletion(flow, email=READER)
        return Deletion(self, flow, job_id, await self.version_ids(flow))

    async def create(self, flow: Flow, name: str) -> None:
        reply = await self.api.post(f"{self.path(flow)}/versions", {"version": name})
        assert reply.status == 201, reply.raw

    async def replace(self, flow: Flow, name: str) -> None:
        path = f"{self.path(flow)}/versions?allowReplacement=true"
        reply = await self.api.post(path, {"version": name, "notes": "replaced"})
        assert reply.status == 201, reply.raw

    async def remove(self, flow: Flow, name: str) -> None:
        reply = await self.api.delete(f"{self.path(flow)}/versions/{name}")
        assert reply.status == 200, reply.raw

    async def deploy(self, flow: Flow, name: str) -> None:
        version = await self.api.get(f"{self.path(flow)}/versions/{name}")
        reply = await self.api.patch(self.path(flow), {"defaultVersionId": version.json["id"]})
        assert reply.status == 200, reply.raw

    async def version_ids(self, flow: Flow) -> list[int]:
        async with self.database.connection() as connection:
            rows = await connection.fetch("SELECT id FROM flow_versions WHERE flow_id = $1 ORDER BY id", flow.id)
        return [row["id"] for row in rows]

    async def finish(self) -> None:
        """Ends in this process what a control has left: what nobody has, what nobody delivers."""
        async with self.database.connection() as connection:
            await connection.execute("UPDATE jobs SET leased_until = clock_timestamp() WHERE status = 'in_progress'")
        await self.rescuer.run_once()
        async with self.database.connection() as connection:
            await connection.execute(
                "UPDATE jobs SET deliver_at = clock_timestamp(), relayed_until = NULL WHERE status = 'queued'"
            )
        async with open_machinery(self.database, self.settings) as machinery:
            await machinery.drain()

    async def job_ids(self, flow: Flow) -> list[str]:
        """The deletions this flow has ever been asked for."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(
                "SELECT public_id FROM jobs WHERE flow_id = $1 AND parent_id IS NULL ORDER BY id", flow.id
            )
        return [row["public_id"] for row in rows]

    async def session_is(self, pid: int, state: str) -> None:
        """Waits for a session to be in this state, or to be gone if that is `gone`."""

        async def is_so() -> bool:
            async with self.database.connection() as connection:
                found = await connection.fetchval("SELECT state FROM pg_stat_activity WHERE pid = $1", pid)
            return (found or "gone") == state

        await until(is_so, f"session {pid} is {state}", RECOVERY_SECONDS)

    async def snapshot(self) -> list[object]:
        """Everything a worker could change."""
        async with self.database.connection() as connection:
            return [
                await connection.fetch("SELECT * FROM jobs ORDER BY id"),
                await connection.fetch("SELECT * FROM job_failures ORDER BY job_id, version_id"),
                await connection.fetch("SELECT id, revision FROM flow_versions ORDER BY id"),
                await connection.fetchval("SELECT count(*) FROM deleted_versions"),
                await connection.fetchval("SELECT count(*) FROM audit_events"),
            ]

    async def unfinished(self) -> list[dict[str, str]]:
        async with self.database.connection() as connection:
            rows = await connection.fetch("SELECT public_id, kind, status FROM jobs WHERE finished_at IS NULL")
        return [dict(row) for row in rows]

    async def idle(self) -> bool:
        """Whether every job has ended, letters included."""
        return not await self.unfinished()


@asynccontextmanager
async def copied_database(server_url: str, template: str, name: str) -> AsyncIterator[str]:
    """Dropping it fails while somebody is connected, so a process that was left running is found."""
    await _administer(server_url, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    await _administer(server_url, f"DROP DATABASE {name}")


@asynccontextmanager
async def open_ground(database_url: str, redis_url: str, smtp: SmtpCatcher, **more: str) -> AsyncIterator[Ground]:
    """At its end every role must have logged nothing loud, and no job may be left unfinished."""
    environment = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "SMTP_URL": smtp.url,
        "PENSTOCK_PORT": "0",
        "PENSTOCK_RATE_LIMIT": "0",
        "PENSTOCK_PUBLIC_URL": f"http://{MAIL_DOMAIN}",
        "PENSTOCK_MAIL_FROM": f"penstock@{MAIL_DOMAIN}",
        **more,
    }
    settings = read_settings(environment)
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(open_folder())
        database = await stack.enter_async_context(open_database(settings, role="test", size=8))
        redis = connect(redis_url)
        stack.push_async_callback(redis.aclose)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        tenant = await make_tenant(database)
        async with open_roles(folder, environment) as roles:
            ground = Ground(settings, database, tenant, roles, session, redis, smtp)
            yield ground
        unfinished = await ground.unfinished()
        assert not unfinished, unfinished


async def _administer(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
