"""For information: the same as bare_http in FastAPI on uvicorn, with models for what comes in and goes out.

    python -m bench.fastapi_http COMPANY

uvicorn runs on uvloop and httptools. Listens where PENSTOCK_HOST and PENSTOCK_PORT say.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any

import orjson
import uvicorn
from fastapi import FastAPI, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from bench.plain import Row, open_plain
from core.settings import read_settings


class Shape(BaseModel):
    """camelCase outside, snake_case inside."""

    model_config = ConfigDict(alias_generator=to_camel)


class Version(Shape):
    id: int
    flow_id: int
    version: str
    enabled: bool
    notes: str | None
    body: dict[str, Any]
    creation_date: datetime
    created_by_id: int | None
    created_by_type: str
    last_updated: datetime
    last_updated_by_id: int | None
    last_updated_by_type: str


class Page(Shape):
    items: list[Version]
    count: int
    total_count: int
    per_page: int
    page: int


class NewVersion(Shape):
    version: str = Field(min_length=1, max_length=255)
    enabled: bool = True
    notes: str | None = Field(None, max_length=32_767)
    triggers: list[dict[str, Any]] = []
    nodes: list[dict[str, Any]] = []
    globals: list[dict[str, Any]] = []


def create_app(url: str | None, company_id: int) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_plain(url, company_id) as app.state.plain:
            yield

    app = FastAPI(lifespan=lifespan)
    app.get("/readyz")(ready)
    app.get("/flows/{flow}/versions", response_model=Page)(list_versions)
    app.post("/flows/{flow}/versions", response_model=Version, status_code=201)(create_version)
    app.get("/flows/{flow}/versions/{name}", response_model=Version)(read_version)
    return app


async def ready() -> dict[str, str]:
    return {}


async def list_versions(
    request: Request, flow: int, page: int = 0, per_page: Annotated[int, Query(alias="perPage")] = 100
) -> dict[str, Any]:
    rows, total = await request.app.state.plain.page(flow, page, per_page)
    items = [_shown(row) for row in rows]
    return {"items": items, "count": len(items), "totalCount": total, "perPage": per_page, "page": page}


async def read_version(request: Request, flow: int, name: str) -> dict[str, Any]:
    row = await request.app.state.plain.one(flow, name)
    if row is None:
        raise HTTPException(404)
    return _shown(row)


async def create_version(request: Request, flow: int, new: NewVersion) -> dict[str, Any]:
    body = orjson.dumps(new.model_dump(include={"triggers", "nodes", "globals"}))
    row = await request.app.state.plain.create(flow, new.version, new.enabled, new.notes, body)
    return _shown(row)


def _shown(row: Row) -> dict[str, Any]:
    return {**row, "body": orjson.loads(row["body"])}


if __name__ == "__main__":
    settings = read_settings()
    uvicorn.run(
        create_app(settings.database_url, int(sys.argv[1])),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
    )
