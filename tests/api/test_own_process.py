"""The API as a process of its own: what it does not import at its start is there when a request needs it."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

import aiohttp
import jwt
import orjson
import pytest

from core.domain.access import Role
from core.settings import Settings
from service.documents import DOCUMENTED
from tests.support.api import Api
from tests.support.market import deployed
from tests.support.people import PASSWORD, make_user
from tests.support.roles import open_roles
from tests.support.servers import open_folder
from tests.support.tenants import Tenant


@pytest.fixture
async def process(settings: Settings) -> AsyncIterator[Api]:
    """`penstock api`, which nobody has asked for anything."""
    assert settings.database_url is not None
    assert settings.redis_url is not None
    environment = {
        "DATABASE_URL": settings.database_url,
        "DATABASE_DIRECT_URL": settings.database_direct_url or "",
        "REDIS_URL": settings.redis_url,
        "PENSTOCK_PORT": "0",
    }
    with open_folder() as folder:
        async with open_roles(folder, environment) as roles, aiohttp.ClientSession() as session:
            (listening,) = (await roles.start("api")).of("The API is listening.")
            yield Api(session, listening["url"], None)


async def test_what_is_imported_late_is_there_when_it_is_needed(process: Api, tenant: Tenant) -> None:
    user = await make_user(tenant, Role.ADMINISTRATOR)
    entered = await process.post("/fabric/api/login", {"username": user.email, "password": PASSWORD})
    assert entered.status == 200
    token = entered.json["token"]
    api = process.as_(f"Bearer {token}")

    foreign = jwt.get_unverified_header(token) | {"alg": "RS256"}
    head = jwt.utils.base64url_encode(orjson.dumps(foreign)).decode()
    assert (await process.as_(f"Bearer {head}.{token.partition('.')[2]}").get("/api/v1/jobs")).status == 401
    assert (await api.get("/api/v1/jobs")).status == 200

    asked = {"cron_string": "0 9 1 * *", "from": "2027-01-15T00:00:00Z", "count": 1}
    preview = await api.post("/api/v1/schedules/preview", asked)
    assert [instant["nominal"] for instant in preview.json["data"]] == ["2027-02-01T09:00:00"]

    flow, version = await deployed(tenant)
    exported = await api.get(f"/api/v1/flows/{flow.id}/versions/{version.id}/export")
    assert (await api.post("/api/v1/flows/import", exported.raw)).status == 200
    spoilt = exported.raw.replace(b'"Orders"', b'"Others"')
    assert spoilt != exported.raw
    assert (await api.post("/api/v1/flows/import", spoilt)).status == 422

    for dialect in DOCUMENTED:
        answer = await process.get(f"/openapi/{dialect.value}.json")
        assert answer.status == 200
        assert answer.json["paths"]
        assert answer.headers["ETag"] == f'"{hashlib.sha256(answer.raw).hexdigest()[:32]}"'
