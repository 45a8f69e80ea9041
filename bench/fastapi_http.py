"""For information: the same as bare_http in FastAPI on uvicorn, with models for what comes in and goes out.

    python -m bench.fastapi_http COMPANY

uvicorn runs on uvloop and httptools. Listens where PENSTOCK_HOST and PENSTOCK_PORT say.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

import orjson
import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from bench.plain import Found, Pages, Row, open_plain
from core.settings import read_settings

Item = TypeVar("Item")


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


class Flow(Shape):
    id: int
    application_id: int
    name: str
    description: str | None
    flow_class: str
    enabled: bool
    body: dict[str, Any]
    default_version_id: int | None
    creation_date: datetime
    created_by_id: int | None
    created_by_type: str
    last_updated: datetime
    last_updated_by_id: int | None
    last_updated_by_type: str


class JobLog(Shape):
    id: int
    job_id: str
    application_id: int
    kind: str
    status: str
    arguments: dict[str, Any]
    requested_by_id: int | None
    requested_by_type: str
    total: int | None
    removed: int
    failed: int
    error_code: str | None
    error_message: str | None
    run_queued_at: datetime
    run_started_at: datetime | None
    run_completed_at: datetime | None


class Page(Shape, Generic[Item]):
    items: list[Item]
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
    app.get("/flows/{flow}/versions", response_model=Page[Version])(list_versions)
    app.post("/flows/{flow}/versions", response_model=Version, status_code=201)(create_version)
    app.get("/flows/{flow}/versions/{name}", response_model=Version)(read_version)
    app.get("/flows/{flow}/matching", response_model=Page[Version])(list_matching)
    app.get("/applications/{application}/flows", response_model=Page[Flow])(list_flows)
    app.get("/applications/{application}/namesakes", response_model=Page[Version])(list_namesakes)
    app.get("/applications/{application}/jobLogs", response_model=Page[JobLog])(list_job_logs)
    return app


async def ready() -> dict[str, str]:
    return {}


def pages_of(page: int = 0, per_page: Annotated[int, Query(alias="perPage")] = 100) -> Pages:
    return Pages(page, per_page)


Asked = Annotated[Pages, Depends(pages_of)]


async def list_versions(request: Request, pages: Asked, flow: int) -> dict[str, Any]:
    return _listed(pages, await request.app.state.plain.versions(pages, flow))


async def list_matching(
    request: Request, pages: Asked, flow: int, enabled: bool, starts_with: Annotated[str, Query(alias="startsWith")]
) -> dict[str, Any]:
    return _listed(pages, await request.app.state.plain.matching(pages, flow, enabled, starts_with))


async def list_flows(
    request: Request, pages: Asked, application: int, flow_class: Annotated[str, Query(alias="flowClass")]
) -> dict[str, Any]:
    return _listed(pages, await request.app.state.plain.flows(pages, application, flow_class))


async def list_namesakes(
    request: Request, pages: Asked, application: int, version: str, flow_class: Annotated[str, Query(alias="flowClass")]
) -> dict[str, Any]:
    return _listed(pages, await request.app.state.plain.namesakes(pages, application, flow_class, version))


async def list_job_logs(request: Request, pages: Asked, application: int) -> dict[str, Any]:
    return _listed(pages, await request.app.state.plain.job_logs(pages, application), document="arguments")


async def read_version(request: Request, flow: int, name: str) -> dict[str, Any]:
    row = await request.app.state.plain.one(flow, name)
    if row is None:
        raise HTTPException(404)
    return _shown(row)


async def create_version(request: Request, flow: int, new: NewVersion) -> dict[str, Any]:
    body = orjson.dumps(new.model_dump(include={"triggers", "nodes", "globals"}))
    row = await request.app.state.plain.create(flow, new.version, new.enabled, new.notes, body)
    return _shown(row)


def _listed(pages: Pages, found: Found, document: str = "body") -> dict[str, Any]:
    rows, total = found
    items = [_shown(row, document) for row in rows]
    return {"items": items, "count": len(items), "totalCount": total, "perPage": pages.size, "page": pages.page}


def _shown(row: Row, document: str = "body") -> dict[str, Any]:
    """With the column that holds JSON read."""
    return {**row, document: orjson.loads(row[document])}


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
