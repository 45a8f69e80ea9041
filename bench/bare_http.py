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

from bench.plain import Plain, Row, open_plain
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
    return app


async def ready(_: web.Request) -> web.Response:
    return web.Response()


async def list_versions(request: web.Request) -> web.Response:
    page, per_page = int(request.query.get("page", "0")), int(request.query.get("perPage", "100"))
    rows, total = await request.app[PLAIN].page(int(request.match_info["flow"]), page, per_page)
    items = [_shown(row) for row in rows]
    return _answer({"items": items, "count": len(items), "totalCount": total, "perPage": per_page, "page": page})


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


def _shown(row: Row) -> dict[str, Any]:
    return {**row, "body": orjson.Fragment(row["body"])}


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
