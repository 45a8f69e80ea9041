"""Starts servers and roles in order, keeps them running, and stops them in the opposite order."""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import asyncpg
import structlog

from cli.credentials import is_plain, read_credentials, write_credentials
from cli.embedded.binaries import OLDEST_POSTGRES
from cli.embedded.launch import Launch
from cli.embedded.mail import MailCatcher
from cli.embedded.ports import LOOPBACK, is_free
from cli.embedded.postgres import Postgres
from cli.embedded.starting import Server, start
from cli.embedded.valkey import Valkey
from cli.embedded.ward import Ward, open_ward
from cli.errors import StartError
from cli.home import PidFiles, hold_home, open_home
from cli.keeper import Keeper
from cli.outlet import standard_output
from core.settings import Settings, read_settings

ROLE_GRACE_SECONDS = 8.0
"""What a role may take to end: a worker finishes or hands back what it holds."""

SERVER_GRACE_SECONDS = 5.0
"""What a server may take to end after the roles have. With the warden's goodbye all is over within 15 s."""

PORT_SECONDS = 1.0
"""How long a taken port is asked again: the sockets of killed processes outlive the lock on the home by a moment."""

DATABASE_SECONDS = 10.0
"""How long a database named in DATABASE_URL may take to let us in."""

HEALTHY_SECONDS = 60.0
"""An API that does not answer by then will not without help."""

ASKING_SECONDS = 0.05

SAME_SIGNAL_SECONDS = 1.0
"""Signals this close are one request: make passes a SIGTERM on that its whole group has received already."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run between the servers."""

    roles: Callable[[Settings, Mapping[str, str]], Sequence[Launch]]
    """The processes, given the environment for them. The one named `api` must answer /healthz on PENSTOCK_PORT."""
    prepare: Callable[[Settings, Mapping[str, str]], Awaitable[Mapping[str, str]]]
    """Makes the database ready, given the credentials file of earlier starts; returns what it shall say now."""
    announcement: Callable[[Settings], str]
    """What to print once all is up."""
    furnish: Callable[[Settings], Awaitable[None]] | None = None
    """What to do once the API answers, before that is said."""


async def supervise(settings: Settings, environment: Mapping[str, str], plan: Plan) -> int:
    """Carries out the plan until a signal ends it; returns 0. Raises StartError, with everything stopped again."""
    if settings.port == 0:
        raise StartError("PENSTOCK_PORT is 0, but others have to know the port; set it to a number such as 8080")
    open_home(settings.home)
    try:
        async with hold_home(settings.home, settings.public_url) as lock:
            with stop_requests() as stop, pid_files(settings) as pids:
                await require_port(settings)
                async with open_ward(lock) as ward:
                    await Supervisor(settings, environment, plan, ward, pids).run(stop)
    except PermissionError as error:
        reason = f"{error.filename or settings.home} belongs to another user"
        raise StartError(f"{reason}; remove it, or name another folder in PENSTOCK_HOME") from None
    return 0


class StopRequests:
    """What signals have asked for: to stop, and then to hurry."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.hurry = asyncio.Event()
        self._first = 0.0

    def note(self) -> None:
        now = asyncio.get_running_loop().time()
        if not self.asked.is_set():
            self._first = now
            self.asked.set()
        elif now - self._first >= SAME_SIGNAL_SECONDS:
            self.hurry.set()


@contextmanager
def stop_requests() -> Iterator[StopRequests]:
    """Turns SIGTERM, SIGINT and, unless started by nohup, SIGHUP into requests for the length of a block."""
    loop = asyncio.get_running_loop()
    requests = StopRequests()
    signals = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signals.append(signal.SIGHUP)
    for signum in signals:
        loop.add_signal_handler(signum, requests.note)
    try:
        yield requests
    finally:
        for signum in signals:
            loop.remove_signal_handler(signum)


@contextmanager
def pid_files(settings: Settings) -> Iterator[PidFiles]:
    """The pid files of this run, our own among them. Those a killed run left behind are removed first."""
    pids = PidFiles(settings.home)
    pids.write("supervisor", os.getpid())
    try:
        yield pids
    finally:
        pids.clear()


async def require_port(settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PORT_SECONDS
    try:
        while not is_free(settings.host, settings.port):
            if loop.time() > deadline:
                raise StartError(
                    f"port {settings.port} on {settings.host} is taken by another program; set PENSTOCK_PORT"
                )
            await asyncio.sleep(ASKING_SECONDS)
    except OSError as error:
        raise StartError(
            f"cannot listen on {settings.host} port {settings.port} ({error.strerror}); set PENSTOCK_HOST and "
            "PENSTOCK_PORT to an address of this machine"
        ) from None


async def require_database(url: str) -> None:
    """Raises StartError if the database named by the operator cannot be used. It says nothing of the password."""
    try:
        connection = await asyncpg.connect(url, timeout=DATABASE_SECONDS)
    except TimeoutError:
        raise StartError(f"the database named in DATABASE_URL gives no answer in {DATABASE_SECONDS:.0f} s") from None
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StartError(f"the database named in DATABASE_URL cannot be used: {error}") from None
    major = connection.get_server_version().major
    await connection.close()
    if major < OLDEST_POSTGRES:
        raise StartError(f"the database named in DATABASE_URL is PostgreSQL {major}; {OLDEST_POSTGRES} is the oldest")


class Supervisor:
    """One run: what has been started so far, in order."""

    def __init__(
        self, settings: Settings, environment: Mapping[str, str], plan: Plan, ward: Ward, pids: PidFiles
    ) -> None:
        self._settings = settings
        self._environment = environment
        self._plan = plan
        self._ward = ward
        self._pids = pids
        self._servers: list[Keeper] = []
        self._roles: list[Keeper] = []

    async def run(self, stop: StopRequests) -> None:
        """Returns when it was asked to stop and all keepers have. A stop also interrupts a start."""
        starting = asyncio.create_task(self._start())
        asked = asyncio.create_task(stop.asked.wait())
        unguarded = asyncio.create_task(self._ward.lost())
        try:
            await asyncio.wait({starting, asked, unguarded}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                await asyncio.wait({asked, unguarded}, return_when=asyncio.FIRST_COMPLETED)
            if unguarded.done():
                raise StartError("the warden was killed, so a crash would leave processes behind; stopped everything")
        finally:
            for task in (starting, asked, unguarded):
                task.cancel()
            await asyncio.gather(starting, asked, unguarded, return_exceptions=True)
            await self._stop(stop)

    async def _start(self) -> None:
        environment = await self._start_servers()
        settings = read_settings(environment)
        known = read_credentials(settings.home)
        credentials = await self._plan.prepare(settings, known)
        addresses = {
            "PENSTOCK_URL": settings.public_url,
            "PENSTOCK_DATABASE_URL": environment["DATABASE_URL"],
            "PENSTOCK_REDIS_URL": environment["REDIS_URL"],
        }
        # An address of the operator's own may hold what a shell would misread; such a line is left out.
        plain = {name: address for name, address in addresses.items() if is_plain(address)}
        write_credentials(settings.home, {**plain, **credentials})
        for launch in self._plan.roles(settings, environment):
            keeper = Keeper(launch, self._ward, self._pids)
            keeper.start()
            self._roles.append(keeper)
        await self._healthy()
        if self._plan.furnish is not None:
            await self._plan.furnish(settings)
        standard_output().write(f"{self._plan.announcement(self._settings)}\n")

    async def _start_servers(self) -> dict[str, str]:
        """Starts the servers the operator did not name; returns the environment of every process that uses them."""
        given = self._settings
        environment = {**self._environment, "PENSTOCK_HOME": str(given.home), "PENSTOCK_PORT": str(given.port)}
        if given.database_url is not None:
            await require_database(given.database_url)
        else:
            environment["DATABASE_URL"] = await self._start_server(Postgres(given.home, environment))
            environment.pop("DATABASE_DIRECT_URL", None)
            # On a machine of one's own, callbacks go to programs on that machine.
            environment["PENSTOCK_ALLOW_PRIVATE_TARGETS"] = environment.get("PENSTOCK_ALLOW_PRIVATE_TARGETS") or "1"
        if given.redis_url is None:
            environment["REDIS_URL"] = await self._start_server(Valkey(given.home, environment))
        if given.smtp_url is None:
            environment["SMTP_URL"] = await self._start_server(MailCatcher(given.home, environment))
        return environment

    async def _start_server(self, server: Server) -> str:
        running = await start(server, self._ward)
        keeper = Keeper(running.launch, self._ward, self._pids)
        keeper.start(running.process)
        self._servers.append(keeper)
        return running.url

    async def _healthy(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + HEALTHY_SECONDS
        while not await asyncio.to_thread(_answers_healthz, self._settings):
            if loop.time() > deadline:
                raise StartError(
                    f"the API does not answer within {HEALTHY_SECONDS:.0f} s; what it wrote above says why"
                )
            await asyncio.sleep(ASKING_SECONDS)

    async def _stop(self, stop: StopRequests) -> None:
        """Roles first, while the servers they hand their work back to still run. Only roles can be hurried."""
        if self._servers or self._roles:
            _log.info("Stopping.", processes=len(self._servers) + len(self._roles))
        await asyncio.gather(*(keeper.stop(ROLE_GRACE_SECONDS, stop.hurry) for keeper in self._roles))
        unhurried = asyncio.Event()
        await asyncio.gather(*(keeper.stop(SERVER_GRACE_SECONDS, unhurried) for keeper in self._servers))


def _answers_healthz(settings: Settings) -> bool:
    host = LOOPBACK if settings.host in ("", "0.0.0.0", "::") else settings.host  # noqa: S104 - to tell, not to bind
    connection = http.client.HTTPConnection(host, settings.port, timeout=2.0)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
