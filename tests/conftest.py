"""Real servers once per test process, a database of its own per test, and a test that leaves nothing behind."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from core.settings import Settings, read_settings
from core.store.database import Database, open_database
from core.store.migrate import migrate
from tests.support.api import Api, open_api
from tests.support.logs import Logs, captured
from tests.support.machinery import Machinery, open_machinery
from tests.support.pooler import WANTED, running_pgbouncer
from tests.support.servers import RunningServer, open_folder, running_postgres_server, running_valkey
from tests.support.smtp import SmtpCatcher
from tests.support.tenants import Tenant, make_tenant

TEMPLATE = "penstock_template"

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
async def postgres() -> AsyncIterator[RunningServer]:
    with open_folder() as folder:
        async with running_postgres_server(folder) as server:
            yield server


@pytest.fixture(scope="session")
async def pooler(postgres: RunningServer) -> AsyncIterator[str | None]:
    """The URL of a PgBouncer in front of the server, where the run asks for one."""
    if not WANTED:
        yield None
        return
    with open_folder() as folder:
        async with running_pgbouncer(folder, postgres.url) as url:
            yield url


@pytest.fixture(scope="session")
async def valkey() -> AsyncIterator[RunningServer]:
    with open_folder() as folder:
        async with running_valkey(folder) as server:
            yield server


@pytest.fixture(scope="session")
async def template(postgres: RunningServer) -> str:
    """A migrated database that every test gets a copy of."""
    await _administer(postgres.url, f"CREATE DATABASE {TEMPLATE}")
    connection = await asyncpg.connect(named(postgres.url, TEMPLATE))
    await migrate(connection)
    await connection.close()
    return TEMPLATE


@pytest.fixture
async def database_url(postgres: RunningServer, template: str) -> AsyncIterator[str]:
    """A copy of the template. Dropping it fails while somebody is connected, so a forgotten connection is found."""
    name = f"test_{next(_numbers)}"
    await _administer(postgres.url, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield named(postgres.url, name)
    # A pooler keeps its connections; without one, a connection left open is a test's mistake and fails here.
    await _administer(postgres.url, f"DROP DATABASE {name}" + (" WITH (FORCE)" if WANTED else ""))


@pytest.fixture
async def smtp() -> AsyncIterator[SmtpCatcher]:
    async with SmtpCatcher() as catcher:
        yield catcher


@pytest.fixture
async def settings(database_url: str, pooler: str | None, valkey: RunningServer, smtp: SmtpCatcher) -> Settings:
    pooled = {} if pooler is None else {"DATABASE_DIRECT_URL": database_url}
    return read_settings(
        {
            "DATABASE_URL": database_url if pooler is None else named(pooler, urlsplit(database_url).path[1:]),
            **pooled,
            "REDIS_URL": valkey.url,
            "SMTP_URL": smtp.url,
            "PENSTOCK_PORT": "0",
            "PENSTOCK_RATE_LIMIT": "0",
            "PENSTOCK_PUBLIC_URL": "http://penstock.example",
            "PENSTOCK_MAIL_FROM": "penstock@penstock.example",
            "PENSTOCK_ALLOW_PRIVATE_TARGETS": "1",
        }
    )


@pytest.fixture
async def database(settings: Settings, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """The test's database. A test that ends with unfinished jobs fails, unless it is marked `leaves_jobs`."""
    async with open_database(settings, role="test", size=8) as database:
        yield database
        if request.node.get_closest_marker("leaves_jobs") is None:
            async with database.connection() as connection:
                left = await connection.fetch("SELECT public_id, kind, status FROM jobs WHERE finished_at IS NULL")
            assert not left, f"unfinished jobs: {left}"


@pytest.fixture
async def tenant(database: Database) -> Tenant:
    return await make_tenant(database)


@pytest.fixture
async def stranger(database: Database) -> Tenant:
    """Another company, which must never see anything of the first."""
    return await make_tenant(database, "Stranger")


@pytest.fixture
async def machinery(database: Database, settings: Settings) -> AsyncIterator[Machinery]:
    async with open_machinery(database, settings) as machinery:
        await machinery.redis.flushall()
        yield machinery


@pytest.fixture
async def anonymous(settings: Settings, database: Database) -> AsyncIterator[Api]:
    """The API without any credential."""
    async with open_api(settings) as api:
        yield api


@pytest.fixture
async def api(anonymous: Api, tenant: Tenant) -> Api:
    """The API as the tenant's token."""
    return anonymous.as_(f"Bearer {tenant.token}")


@pytest.fixture(autouse=True)
def logs() -> Iterator[Logs]:
    """What this test logged; an error it did not expect fails it."""
    with captured() as logs:
        yield logs
    assert not logs.unexpected


def named(url: str, database: str) -> str:
    """The URL of another database on the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


async def _administer(url: str, statement: str) -> None:
    async with AsyncExitStack() as stack:
        connection = await asyncpg.connect(url)
        stack.push_async_callback(connection.close)
        await connection.execute(statement)
