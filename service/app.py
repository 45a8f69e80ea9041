"""Puts the API together: settings in, a running server out."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from aiohttp import web
from aiohttp.http import HttpProcessingError

from core.operations.settling import Terms
from core.settings import Settings, SettingsError
from core.store.database import open_database
from service.calls import SERVICE, Service
from service.documents import DOCUMENTED, serve_document
from service.endpoints import MOST_BODY, Endpoint
from service.hashing import open_hashing
from service.health import healthz, readyz
from service.hints import open_hints
from service.memory import giving_back
from service.middleware import error_boundary, extra_slashes
from service.published import KEYS, serve_keys
from service.rates import open_rates, show_standing
from service.routes import ROUTES, Route
from service.watching import open_watch

LONGEST_ADDRESS = 4 * 1024 * 1024
"""Bytes of a request's first line: the longest query there is, each character of it in four bytes and each of these
percent-encoded, and then some."""

COLLECT_AFTER = 50_000
"""Objects made and not yet freed before cycles are looked for. Requests leave hardly any, and Python's 700 is one
request: looking took a twentieth of it. 50,000 are some MB."""

SHUTDOWN_SECONDS = 5.0
"""What running requests get to finish after SIGTERM."""

_log = structlog.get_logger()


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a line of aiohttp's server log is about us, and not about a sender of something that is no HTTP.

    Anyone can cause those as often as they like, and each shows the sender's address and bytes that may hold a token.
    """
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)


_server_log = logging.getLogger("penstock.http")
_server_log.addFilter(_is_ours)


def create_app(service: Service) -> web.Application:
    """The application with every route of the table; it opens and closes nothing itself."""
    app = web.Application(middlewares=[error_boundary, extra_slashes], client_max_size=MOST_BODY)
    app[SERVICE] = service
    app.on_response_prepare.append(show_standing)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get(KEYS, serve_keys)
    for dialect in DOCUMENTED:
        app.router.add_get(f"/openapi/{dialect.value}.json", serve_document(dialect))
    for route in _in_order():
        app.router.add_route(route.method, route.path, Endpoint(route).handler)
    return app


def _in_order() -> list[Route]:
    """The router tries paths one by one: those that are asked for most come first, each with all of its methods."""
    paths = list(dict.fromkeys(route.path for route in ROUTES))
    quick = {route.path for route in ROUTES if route.claims}
    return sorted(ROUTES, key=lambda route: (route.path not in quick, paths.index(route.path)))


@asynccontextmanager
async def open_service(settings: Settings) -> AsyncIterator[Service]:
    """The database, the hints and the terms of one process."""
    if settings.redis_url is None:
        raise SettingsError("REDIS_URL is not set; name a Redis or Valkey, or use `make run`.")
    terms = Terms.of(settings)
    async with (
        open_database(settings, role="api", plan_once=True) as database,
        open_hints(settings.redis_url) as hints,
        open_watch(database) as watch,
        open_rates(settings.redis_url) as rates,
    ):
        with open_hashing() as hashing:
            yield Service(settings, database, hints, watch, terms, hashing, rates)


@asynccontextmanager
async def listening(settings: Settings) -> AsyncIterator[str]:
    """Serves on the configured host and port for the life of the context; yields the base URL."""
    async with open_service(settings) as service:
        runner = web.AppRunner(
            create_app(service),
            access_log=None,
            logger=_server_log,
            shutdown_timeout=SHUTDOWN_SECONDS,
            auto_decompress=False,
            max_line_size=LONGEST_ADDRESS,
        )
        await runner.setup()
        try:
            site = web.TCPSite(runner, settings.host, settings.port, backlog=1024)
            await site.start()
            host, port = runner.addresses[0][:2]
            yield f"http://{host}:{port}"
        finally:
            await runner.cleanup()


async def serve(settings: Settings) -> int:
    """The api role: listens until SIGTERM or SIGINT. Returns the exit code."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with giving_back(), listening(settings) as url:
        gc.freeze()  # what is there by now stays: no collection need look at it again
        gc.set_threshold(COLLECT_AFTER)
        _log.info("The API is listening.", url=url)
        await stop.wait()
    return 0
