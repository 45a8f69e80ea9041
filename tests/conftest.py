"""Real servers once per test process, a database as if it were new for each test, which leaves nothing behind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import pytest

from core.settings import Settings, read_settings
from core.store.database import Database, open_database
from tests.support.api import Api, open_api
from tests.support.databases import TEMPLATE, Databases, named
from tests.support.logs import Logs, captured
from tests.support.machinery import Machinery, open_machinery
from tests.support.pooler import WANTED, running_pgbouncer
from tests.support.servers import RunningServer, open_folder, running_postgres_server, running_valkey
from tests.support.smtp import SmtpCatcher
from tests.support.tenants import Tenant, make_tenant


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
async def databases(postgres: RunningServer) -> Databases:
    databases = Databases(postgres.url, pooled=bool(WANTED))
    await databases.prepare()
    return databases


@pytest.fixture(scope="session")
async def template(databases: Databases) -> str:
    """A migrated database, to make copies of."""
    return TEMPLATE


@pytest.fixture
async def database_url(databases: Databases) -> AsyncIterator[str]:
    """A database as after its migration. A connection left open is a test's mistake, and fails it."""
    url = await databases.take()
    yield url
    await databases.give_back(url)


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
