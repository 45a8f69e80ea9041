"""PostgreSQL and Valkey for one bench: those of `make run`, fsync and all, in a folder that is removed afterwards."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from redis.asyncio import Redis

from cli.embedded.postgres import Postgres
from cli.embedded.starting import start
from cli.embedded.valkey import Valkey
from cli.embedded.ward import Ward, open_ward
from core.settings import Settings, read_settings
from core.store.database import Connection
from core.store.migrate import migrate

OURS = ("PENSTOCK_", "DATABASE_", "REDIS_", "SMTP_")
"""Variables that would point a bench at somebody's installation."""

SETTLE_SECONDS = 300
"""For VACUUM or CHECKPOINT after loading a million versions; some ten seconds on a slow disk."""

SHOWN = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size")


@dataclass(frozen=True, slots=True)
class Servers:
    """Both sides of every comparison use these, with the same settings."""

    folder: Path
    ward: Ward
    environment: Mapping[str, str]
    """For child processes: names these two servers, and nothing of this machine's own installation."""
    settings: Settings


@asynccontextmanager
async def open_servers() -> AsyncIterator[Servers]:
    """Fresh, migrated servers for one block. Autovacuum is off: it would fall into one side's round, not the other's.

    They end with this process, even when it is killed; the folder then stays behind.
    """
    with _open_folder() as folder:
        async with open_ward() as ward:
            postgres = await start(Postgres(folder, os.environ), ward)
            valkey = await start(Valkey(folder, os.environ), ward)
            inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
            named = {"DATABASE_URL": postgres.url, "REDIS_URL": valkey.url, "PENSTOCK_HOME": str(folder)}
            environment = inherited | named | {"PENSTOCK_RATE_LIMIT": "0"}  # a bench asks as often as it can
            await _set_up(postgres.url)
            yield Servers(folder, ward, environment, read_settings(environment))


async def print_facts(servers: Servers) -> None:
    """What the figures below depend on."""
    url, redis_url = servers.settings.database_url, servers.settings.redis_url
    assert url is not None
    assert redis_url is not None
    connection = await asyncpg.connect(url)
    try:
        shown = [f"{name}={await connection.fetchval(f'SHOW {name}')}" for name in SHOWN]
    finally:
        await connection.close()
    async with Redis.from_url(redis_url) as redis:
        about = await redis.info("server")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"Machine: {cores} cores, {platform.system()} {platform.machine()}, load {os.getloadavg()[0]:.1f} before")
    print(f"         Python {platform.python_version()}, data on {_file_system(servers.folder)}")
    print(f"PostgreSQL: {', '.join(shown)}, autovacuum=off")
    print(f"Valkey/Redis: {about.get('valkey_version') or about['redis_version']}, appendfsync=everysec")
    print(
        "Load, clients and servers share the cores; ratios are the result, absolute figures are this machine's today."
    )


async def settle(connection: Connection) -> None:
    """Leaves nothing of what was written so far to be paid for by what comes."""
    for statement in ("VACUUM (ANALYZE)", "CHECKPOINT"):
        await connection.execute(statement, timeout=SETTLE_SECONDS)


@contextmanager
def _open_folder() -> Iterator[Path]:
    """A temporary folder that others can enter: as root, PostgreSQL runs as another user."""
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


async def _set_up(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("ALTER SYSTEM SET autovacuum = off")
        await connection.execute("SELECT pg_reload_conf()")
        await migrate(connection)
    finally:
        await connection.close()


def _file_system(folder: Path) -> str:
    """The kind of file system, where the system tells: on one in memory, fsync costs nothing."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return "an unknown file system"
    entries = [line.split()[1:3] for line in mounts.read_text().splitlines()]
    above = [(place, kind) for place, kind in entries if folder.resolve().is_relative_to(place)]
    return max(above, key=lambda entry: len(entry[0]))[1]
