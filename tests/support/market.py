"""The marketplace under test: versions that can be uploaded, items that were, and who may do what with them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from core.domain.access import ActorType, Principal, Role
from core.domain.flows import Flow
from core.domain.identifiers import new_public_id
from core.domain.jobs import LEASE_SECONDS, ClaimedJob
from core.domain.versions import Version
from core.operations import jobs, marketplace, uploads
from core.operations.settling import Terms
from core.operations.uploads import UploadRequest
from core.store import jobs as store
from core.store.database import Connection
from tests.support.api import Api, Reply
from tests.support.people import make_person
from tests.support.tenants import KEEP, Tenant

INSTANCE = "http://penstock.example"
LEASE = timedelta(seconds=LEASE_SECONDS)
TERMS = Terms(KEEP, LEASE, mail_daily_cap=0, new_id=lambda: new_public_id(os.urandom))

MARKET = "/api/v1/marketplace/flows"


def administrator(tenant: Tenant) -> Principal:
    """Somebody who may do everything in a company, without having logged in."""
    return Principal(tenant.company_id, ActorType.USER, 1, role=Role.ADMINISTRATOR, remote="127.0.0.1")


async def deployed(tenant: Tenant, name: str = "Orders", body: str | None = None) -> tuple[Flow, Version]:
    """A flow and its deployed version."""
    flow = await tenant.make_flow(name)
    version = await tenant.make_version(flow, "1.0", *([] if body is None else [body]))
    await tenant.deploy(flow, version)
    return flow, version


async def ask_upload(tenant: Tenant, version: Version, *, private: bool = True) -> str:
    """Accepts an upload and returns the job's public id."""
    request = UploadRequest(version.id, private=private, public_shelf=True)
    return await uploads.accept_upload(
        administrator(tenant), tenant.database, request, public_id=TERMS.new_id(), key=None
    )


async def claim(tenant: Tenant, public_id: str) -> ClaimedJob:
    """Takes up a job as a worker does with a delivery."""
    job = await jobs.read_job(administrator(tenant), tenant.database, public_id)

    async def work(connection: Connection) -> ClaimedJob | None:
        return await store.claim(connection, job.id, job.attempts, LEASE)

    claimed = await tenant.database.transaction(work)
    assert claimed is not None
    return claimed


async def run_upload(tenant: Tenant, public_id: str) -> int:
    """As a worker would carry it out; returns the item's id."""
    job = await claim(tenant, public_id)
    made, key = await uploads.make_artifact(tenant.database, job, instance=INSTANCE)
    await uploads.keep_artifact(tenant.database, job, made, key, TERMS)
    ended = await jobs.read_job(administrator(tenant), tenant.database, public_id)
    assert ended.outcome is not None
    return int(str(ended.outcome["item_id"]))


async def make_item(tenant: Tenant, name: str = "Orders", *, private: bool = True, body: str | None = None) -> int:
    """An item that the company has uploaded."""
    _, version = await deployed(tenant, name, body)
    return await run_upload(tenant, await ask_upload(tenant, version, private=private))


async def yank(tenant: Tenant, item_id: int, reason: str = "Wrong.") -> None:
    await marketplace.yank_item(administrator(tenant), tenant.database, item_id, reason)


@dataclass(frozen=True)
class Shop:
    """The marketplace as somebody of a company meets it, over HTTP."""

    tenant: Tenant
    api: Api

    async def upload(self, version: Version, body: Any = None, **headers: str) -> Reply:
        return await self.api.post(f"/api/v1/flow-versions/{version.id}/upload", body, headers=_headers(headers))

    async def items(self, parameters: str = "") -> list[dict[str, Any]]:
        answer = await self.api.get(f"{MARKET}{parameters}")
        assert answer.status == 200, answer.raw
        rows: list[dict[str, Any]] = answer.json["data"]
        return rows

    async def item(self, item_id: int) -> Reply:
        return await self.api.get(f"{MARKET}/{item_id}")

    async def artifact(self, item_id: int, **headers: str) -> Reply:
        return await self.api.get(f"{MARKET}/{item_id}/artifact", headers=_headers(headers))

    async def install(self, item_id: int, body: Any = None, **headers: str) -> Reply:
        return await self.api.post(f"{MARKET}/{item_id}/install", body, headers=_headers(headers))

    async def yank(self, item_id: int, reason: str = "It loses every second order.") -> Reply:
        return await self.api.post(f"{MARKET}/{item_id}/yank", {"reason": reason})

    async def job(self, public_id: str) -> dict[str, Any]:
        answer = await self.api.get(f"/api/v1/jobs/{public_id}")
        assert answer.status == 200, answer.raw
        document: dict[str, Any] = answer.json["data"]
        return document


def _headers(given: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in given.items()}


async def open_shop(anonymous: Api, tenant: Tenant, role: Role = Role.ADMINISTRATOR) -> Shop:
    """As somebody of this role who has logged in."""
    person = await make_person(tenant, role)
    return Shop(tenant, anonymous.as_(person.credential))
