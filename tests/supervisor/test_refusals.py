"""Why a start is refused: one line that names the cause and the way out, exit code 1, nothing left behind."""

from __future__ import annotations

import os
import shutil
import socket

import pytest

from tests.supervisor.program import Program


async def test_a_second_supervisor_on_the_same_home(program: Program) -> None:
    first = await program.start("api")
    await first.up()
    second = await program.start("api")
    line = await second.refused()
    assert f"pid {first.process.pid}" in line
    assert f"http://127.0.0.1:{program.port}" in line
    assert program.pid("supervisor") == first.process.pid, "the files of the first one are untouched"
    assert await first.stop() == 0, first.output()


async def test_a_port_that_is_taken(program: Program) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", program.port))
        other.listen()
        line = await (await program.start("api")).refused()
    assert f"port {program.port}" in line
    assert "PENSTOCK_PORT" in line


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PENSTOCK_PORT", "0"), ("PENSTOCK_HOST", "192.0.2.1"), ("PENSTOCK_HOST", "no.such.host.invalid")],
)
async def test_an_address_nobody_could_listen_on(program: Program, variable: str, value: str) -> None:
    assert variable in await (await program.start("api", environment={variable: value})).refused()


async def test_a_folder_that_cannot_be_written(program: Program) -> None:
    program.home.mkdir(mode=0o500)
    line = await (await program.start("api", prefix=_without_root_powers())).refused()
    assert str(program.home) in line
    assert "PENSTOCK_HOME" in line


async def test_a_folder_that_cannot_be_made(program: Program) -> None:
    program.home.write_text("a file")
    assert "PENSTOCK_HOME" in await (await program.start("api")).refused()


async def test_data_of_another_postgresql(program: Program) -> None:
    data = program.home / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("9\n")
    line = await (await program.start("api")).refused()
    assert "made by PostgreSQL 9 and the one here" in line
    assert "pg_dump" in line


async def test_data_whose_password_is_gone(program: Program) -> None:
    first = await program.start("api")
    await first.up()
    await first.stop()
    password = program.home / "postgres.password"
    password.unlink()
    assert str(password) in await (await program.start("api")).refused()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://somebody:hushhush@127.0.0.1:1/nothing",
        "postgresql://somebody:hushhush@127.0.0.1:notaport/nothing",
        "nonsense:hushhush",
    ],
)
async def test_a_database_url_that_leads_nowhere(program: Program, url: str) -> None:
    line = await (await program.start("api", environment={"DATABASE_URL": url})).refused()
    assert "DATABASE_URL" in line
    assert "hushhush" not in line


async def test_a_server_that_cannot_start(program: Program) -> None:
    program.home.mkdir()
    (program.home / "valkey").mkdir()
    (program.home / "valkey" / "appendonlydir").write_text("a file where a folder belongs")
    line = await (await program.start("api")).refused()
    assert "valkey does not start" in line
    assert str(program.home / "logs" / "valkey.log") in line


def _without_root_powers() -> tuple[str, ...]:
    """Root may write anywhere; without these capabilities it is an ordinary owner of its files."""
    if os.geteuid() != 0:
        return ()
    setpriv = shutil.which("setpriv")
    assert setpriv, "setpriv of util-linux is needed to try this as root"
    return (setpriv, "--bounding-set=-dac_override,-dac_read_search", "--")
