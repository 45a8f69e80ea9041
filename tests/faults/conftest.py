"""A line for each promise, and the ground on which it is put to the test."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from urllib.parse import urlsplit, urlunsplit

import pytest
from redis.asyncio import Redis

from tests.faults.ground import Ground, copied_database, open_ground
from tests.support.servers import RunningServer
from tests.support.smtp import SmtpCatcher

WIDTH = 76
"""Columns up to the verdict."""

NewGround = Callable[[], Awaitable[Ground]]

_numbers = itertools.count(1)


class Promise:
    """What a test has to say about the promise in the first line of its docstring."""

    def __init__(self, record: Callable[[str, object], None]) -> None:
        self._record = record

    def kept(self, how: str, *, control: str) -> None:
        """`how` it showed, and what went wrong in the control, where the guard was missing."""
        self._record("kept", f"kept ({how}); control: {control}")


class Lines:
    """Prints the line of each promise when its test is over, instead of pytest's dot."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._broken: set[str] = set()

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        return ("passed", "", "") if report.passed and report.when == "call" and _told(report) else None

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not (told := _told(report)):
            return
        if report.failed:
            self._broken.add(report.nodeid)
        if report.when == "teardown":
            broken = report.nodeid in self._broken
            self._print(told["promise"], "BROKEN" if broken else told.get("kept", "not shown"), broken)

    def _print(self, title: str, verdict: str, broken: bool) -> None:
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if terminal is not None:
            terminal.ensure_newline()
            terminal.write_line(f"{title} ".ljust(WIDTH, ".") + f" {verdict}", red=broken, green=not broken)


def _told(report: pytest.TestReport) -> dict[str, str]:
    """What the test has said so far; empty for tests of other folders."""
    told = {name: str(value) for name, value in report.user_properties}
    return told if "promise" in told else {}


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Lines(config), "promises")


@pytest.fixture
def promise(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Promise:
    record_property("promise", request.function.__doc__.partition("\n")[0].rstrip("."))
    return Promise(record_property)


@pytest.fixture
async def empty_redis_url(valkey: RunningServer) -> str:
    async with Redis.from_url(valkey.url) as redis:
        await redis.flushall()
    return valkey.url


@pytest.fixture
async def new_ground(
    postgres: RunningServer, template: str, empty_redis_url: str, smtp: SmtpCatcher
) -> AsyncIterator[NewGround]:
    """Makes installations on the same servers, each with databases of its own: one for the promise, one for its
    control."""
    async with AsyncExitStack() as stack:
        redis_databases = itertools.count()

        async def make() -> Ground:
            name = f"faults_{next(_numbers)}"
            database_url = await stack.enter_async_context(copied_database(postgres.url, template, name))
            redis_url = urlunsplit(urlsplit(empty_redis_url)._replace(path=f"/{next(redis_databases)}"))
            return await stack.enter_async_context(open_ground(database_url, redis_url, smtp))

        yield make


@pytest.fixture
async def ground(new_ground: NewGround) -> Ground:
    return await new_ground()
