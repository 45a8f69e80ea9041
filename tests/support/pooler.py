"""PgBouncer in transaction mode between the tests and their PostgreSQL, for `make test-pooler`.

In this mode consecutive transactions of one client may run on different server connections, so whatever outlives a
transaction (a session setting, a session lock, a prepared statement) is lost or, worse, somebody else's.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from cli.embedded.account import find_disguise
from cli.embedded.launch import Launch
from cli.embedded.ports import LOOPBACK, free_port
from cli.embedded.ward import open_ward

WANTED = os.environ.get("PENSTOCK_TEST_POOLER") == "pgbouncer"

PATIENCE_SECONDS = 10.0


@asynccontextmanager
async def running_pgbouncer(folder: Path, postgres_url: str) -> AsyncIterator[str]:
    """The URL of a pooler in front of that server; any database of it can be named in the path."""
    server = urlsplit(postgres_url)
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, "PgBouncer is not installed; on Debian: apt install pgbouncer"
    port = free_port()
    (folder / "users.txt").write_text(f'"{server.username}" "{server.password}"\n')
    (folder / "pgbouncer.ini").write_text(
        f"""
[databases]
* = host={server.hostname} port={server.port}
[pgbouncer]
listen_addr = {LOOPBACK}
listen_port = {port}
auth_type = plain
auth_file = {folder}/users.txt
pool_mode = transaction
default_pool_size = 4
min_pool_size = 2
server_round_robin = 1
max_client_conn = 200
unix_socket_dir =
"""
    )
    disguise = find_disguise(Path(program), folder, folder / "none")
    command = (*disguise.prefix, program, "-q", str(folder / "pgbouncer.ini"))
    log = folder / "pgbouncer.log"
    async with open_ward() as ward:
        process = await ward.spawn(
            Launch("pgbouncer", command, os.environ, folder=folder, log=log, account=disguise.account)
        )
        url = urlunsplit(server._replace(netloc=f"{server.username}:{server.password}@{LOOPBACK}:{port}"))
        await _answers(url, process, log)
        yield url
        process.terminate()
        await process.wait()


async def _answers(url: str, process: asyncio.subprocess.Process, log: Path) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            assert process.returncode is None, f"it ended; see {log}"
            try:
                connection = await asyncpg.connect(url, statement_cache_size=0)
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.02)
            else:
                await connection.close()
                return
