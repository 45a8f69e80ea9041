"""What an operator sees of the supervisor: it starts all, keeps all running, stops all, and says why when it cannot."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg
import psutil
import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.supervisor.program import STOP_SECONDS, Program, until

pytestmark = pytest.mark.xdist_group("supervisor")

SERVERS = {"postgres", "valkey", "mail"}

T = TypeVar("T")

ORPHAN_SECONDS = 10.0
"""The warden gives the children 5 s."""


async def test_everything_runs_after_a_start_and_nothing_after_a_stop(program: Program) -> None:
    run = await program.start("api", "worker", "worker-2")
    await run.up()

    assert program.pids().keys() == {"supervisor", "api", "worker", "worker-2", *SERVERS}
    assert all(psutil.pid_exists(pid) for pid in program.pids().values())
    assert program.pid("supervisor") == run.process.pid
    credentials = program.credentials()
    assert credentials["PENSTOCK_URL"] == f"http://127.0.0.1:{program.port}"
    assert stat.S_IMODE((program.home / "credentials.env").stat().st_mode) == 0o600
    async with Redis.from_url(credentials["PENSTOCK_REDIS_URL"]) as valkey:
        assert await valkey.config_get("append*only*", "maxmemory-policy") == {
            "appendonly": "yes",
            "maxmemory-policy": "noeviction",
        }

    assert await run.stop() == 0, run.output()
    assert program.left() == []
    assert program.pids() == {}


async def test_the_terminal_interrupt_stops_it_too(program: Program) -> None:
    run = await program.start("api")
    await run.up()
    assert await run.stop(signal.SIGINT) == 0, run.output()


async def test_a_stop_interrupts_a_start(program: Program) -> None:
    run = await program.start("api")
    await until(lambda: program.pid("supervisor"), 10.0, "the supervisor's pid file")
    assert await run.stop() == 0, run.output()
    assert program.left() == []


async def test_killed_roles_and_servers_come_back_where_they_were(program: Program) -> None:
    run = await program.start("api", "worker")
    await run.up()
    before = program.pids()
    credentials = program.credentials()

    killed = {"api", *SERVERS}
    for name in killed:
        os.kill(before[name], signal.SIGKILL)
    await until(lambda: not program.pids().items() & {(name, before[name]) for name in killed}, 5.0, "new pid files")

    assert await _retried(lambda: _starts(credentials["PENSTOCK_DATABASE_URL"])) == 1
    assert await _retried(lambda: _ping(credentials["PENSTOCK_REDIS_URL"]))
    assert await _retried(lambda: _connect(program.port))
    assert program.pid("worker") == before["worker"]
    assert await run.stop() == 0, run.output()


async def test_nothing_survives_a_killed_supervisor_and_the_next_one_resumes(program: Program) -> None:
    first = await program.start("api", "worker", "stubborn")
    await first.up()
    of_the_first = set(program.left())
    first.process.kill()
    await first.ended()

    second = await program.start("api")  # at once: it has to wait for what the warden still ends
    await second.up()
    assert not of_the_first & set(program.left())
    assert program.credentials()["STARTS"] == "2"
    assert await second.stop() == 0, second.output()


async def test_nothing_survives_a_supervisor_killed_for_good(program: Program) -> None:
    run = await program.start("api", "worker")
    await run.up()
    run.process.kill()
    await until(lambda: not program.left(), ORPHAN_SECONDS, "an empty machine")


async def test_without_its_warden_it_stops_everything_and_says_so(program: Program) -> None:
    run = await program.start("api")
    await run.up()
    warden = next(each for each in program.left() if any("warden.py" in part for part in each.cmdline()))
    warden.kill()
    assert "warden" in await run.refused()
    assert program.left() == []


async def test_a_role_that_will_not_end_is_killed_sooner_at_the_second_request(program: Program) -> None:
    run = await program.start("api", "stubborn")
    await run.up()
    loop = asyncio.get_running_loop()
    asked = loop.time()
    while "is killed" not in run.output():  # the same signal again and again, as an impatient operator does
        run.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.1)
    assert 1.0 < loop.time() - asked < 6.0, "make passes the first signal on, which is no second request"
    assert await run.ended() == 0, run.output()


async def test_a_role_that_will_not_end_is_killed_in_time(program: Program) -> None:
    run = await program.start("api", "stubborn")
    await run.up()
    run.process.send_signal(signal.SIGTERM)
    assert await run.ended(STOP_SECONDS) == 0, run.output()
    assert program.left() == []


async def _starts(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM starts"))
    finally:
        await connection.close()


async def _ping(url: str) -> bool:
    async with Redis.from_url(url) as valkey:
        return bool(await valkey.ping())


async def _connect(port: int) -> bool:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    await writer.wait_closed()
    return True


async def _retried(ask: Callable[[], Awaitable[T]], seconds: float = 10.0) -> T:
    """The first answer of a server that is on its way back."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                return await ask()
            except (OSError, asyncpg.PostgresError, RedisError):
                await asyncio.sleep(0.05)
