"""The peer of the API: aiohttp, orjson, uvloop, asyncpg, and nothing between a request and its SQL.

    python -m bench.bare_http COMPANY

Listens where PENSTOCK_HOST and PENSTOCK_PORT say. The body of a version is joined on as PostgreSQL has it, which is
the fastest way there is in Python.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from typing import Any

import orjson
import uvloop
from aiohttp import web

from bench.plain import Found, Pages, Plain, Row, open_plain
from core.settings import read_settings

PARTS = ("triggers", "nodes", "globals")
"""Of a body."""

PLAIN: web.AppKey[Plain] = web.AppKey("plain", Plain)


def create_app(url: str | None, company_id: int) -> web.Application:
    app = web.Application()

    async def opened(app: web.Application) -> AsyncIterator[None]:
        async with open_plain(url, company_id) as app[PLAIN]:
            yield

    app.cleanup_ctx.append(opened)
    app.router.add_get("/readyz", ready)
    app.router.add_get("/flows/{flow}/versions", list_versions)
    app.router.add_post("/flows/{flow}/versions", create_version)
    app.router.add_get("/flows/{flow}/versions/{name}", read_version)
    app.router.add_get("/flows/{flow}/matching", list_matching)
    app.router.add_get("/applications/{application}/flows", list_flows)
    app.router.add_get("/applications/{application}/namesakes", list_namesakes)
    app.router.add_get("/applications/{application}/jobLogs", list_job_logs)
    app.router.add_get("/flows", list_company_flows)
    app.router.add_get("/flows/{flow}", read_company_flow)
    app.router.add_get("/flows/{flow}/views", list_views)
    app.router.add_get("/flows/{flow}/views/{version}", read_view)
    return app


async def ready(_: web.Request) -> web.Response:
    return web.Response()


async def list_versions(request: web.Request) -> web.Response:
    pages = _pages(request)
    return _listed(pages, await request.app[PLAIN].versions(pages, int(request.match_info["flow"])))


async def list_matching(request: web.Request) -> web.Response:
    pages, asked = _pages(request), request.query
    flow, enabled = int(request.match_info["flow"]), asked["enabled"] == "true"
    return _listed(pages, await request.app[PLAIN].matching(pages, flow, enabled, asked["startsWith"]))


async def list_flows(request: web.Request) -> web.Response:
    pages, application = _pages(request), int(request.match_info["application"])
    return _listed(pages, await request.app[PLAIN].flows(pages, application, request.query["flowClass"]))


async def list_namesakes(request: web.Request) -> web.Response:
    pages, application, asked = _pages(request), int(request.match_info["application"]), request.query
    found = await request.app[PLAIN].namesakes(pages, application, asked["flowClass"], asked["version"])
    return _listed(pages, found)


async def list_job_logs(request: web.Request) -> web.Response:
    pages = _pages(request)
    found = await request.app[PLAIN].job_logs(pages, int(request.match_info["application"]))
    return _listed(pages, found, document="arguments")


async def read_version(request: web.Request) -> web.Response:
    row = await request.app[PLAIN].one(int(request.match_info["flow"]), request.match_info["name"])
    if row is None:
        raise web.HTTPNotFound
    return _answer(_shown(row))


async def create_version(request: web.Request) -> web.Response:
    sent = orjson.loads(await request.read())
    if not _is_version(sent):
        raise web.HTTPBadRequest
    body = orjson.dumps({key: sent.get(key, []) for key in PARTS})
    row = await request.app[PLAIN].create(
        int(request.match_info["flow"]), sent["version"], sent.get("enabled", True), sent.get("notes"), body
    )
    return _answer(_shown(row), status=201)


async def list_company_flows(request: web.Request) -> web.Response:
    pages = _pages(request)
    return _listed(pages, await request.app[PLAIN].company_flows(pages), document=None)


async def read_company_flow(request: web.Request) -> web.Response:
    return _found(await request.app[PLAIN].company_flow(int(request.match_info["flow"])))


async def list_views(request: web.Request) -> web.Response:
    pages = _pages(request)
    return _listed(pages, await request.app[PLAIN].views(pages, int(request.match_info["flow"])), document=None)


async def read_view(request: web.Request) -> web.Response:
    at = request.match_info
    return _found(await request.app[PLAIN].view(int(at["flow"]), int(at["version"])))


def _found(row: Row | None) -> web.Response:
    if row is None:
        raise web.HTTPNotFound
    return _answer(_shown(row, None))


def _is_version(sent: Any) -> bool:
    """As much as the FastAPI peer asks of a body: the kinds and bounds of its own members, none of what they hold."""
    return (
        isinstance(sent, dict)
        and isinstance(sent.get("version"), str)
        and 1 <= len(sent["version"]) <= 255
        and isinstance(sent.get("enabled", True), bool)
        and isinstance(sent.get("notes") or "", str)
        and all(_is_list_of_objects(sent.get(part, [])) for part in PARTS)
    )


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)


def _pages(request: web.Request) -> Pages:
    return Pages(int(request.query.get("page", "0")), int(request.query.get("perPage", "100")))


def _listed(pages: Pages, found: Found, document: str | None = "body") -> web.Response:
    rows, total = found
    items = [_shown(row, document) for row in rows]
    return _answer(
        {"items": items, "count": len(items), "totalCount": total, "perPage": pages.size, "page": pages.page}
    )


def _shown(row: Row, document: str | None = "body") -> dict[str, Any]:
    """With the column that holds JSON joined on, if there is one."""
    return {**row} if document is None else {**row, document: orjson.Fragment(row[document])}


def _answer(value: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(value), content_type="application/json")


if __name__ == "__main__":
    settings = read_settings()
    web.run_app(
        create_app(settings.database_url, int(sys.argv[1])),
        host=settings.host,
        port=settings.port,
        access_log=None,
        print=None,
        loop=uvloop.new_event_loop(),
    )
