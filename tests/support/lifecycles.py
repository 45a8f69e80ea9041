"""What tests of a version's way share: its steps, instants to plan for, and a way for them to come without waiting."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from core.domain.flows import Flow
from core.domain.versions import Version, VersionStatus
from core.operations import lifecycle
from core.operations.shown import Shown
from core.store.rows import build
from schemas.patchworks import SHOWN_FLOW_VERSION
from tests.support.tenants import KEEP, Tenant, yesterday


def tomorrow() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


async def come_due(tenant: Tenant, late: timedelta = timedelta(0)) -> None:
    """Every planned deploy of the company is due, and has been for so long."""
    async with tenant.database.connection() as connection:
        await connection.execute(
            "UPDATE flow_versions SET deploy_at = clock_timestamp() - $2::interval"
            " WHERE company_id = $1 AND deploy_at IS NOT NULL",
            tenant.company_id,
            late,
        )


async def views(tenant: Tenant, flow: Flow) -> list[Version]:
    """All versions of a flow, its Draft among them, the newest first."""
    async with tenant.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT * FROM flow_versions WHERE company_id = $1 AND flow_id = $2 ORDER BY iteration DESC",
            tenant.company_id,
            flow.id,
        )
    return [build(Version, row, status=VersionStatus(row["status"])) for row in rows]


async def place(tenant: Tenant, flow: Flow, version_id: int, at: datetime | None) -> Shown:
    """Deploys a version, plans that, or takes either back."""
    return await lifecycle.set_deployment(
        tenant.principal, tenant.database, flow.id, version_id, at, SHOWN_FLOW_VERSION
    )


async def copy(tenant: Tenant, flow: Flow, version_id: int) -> Shown:
    """The new Draft."""
    return await lifecycle.copy_version(
        tenant.principal, tenant.database, flow.id, version_id, SHOWN_FLOW_VERSION, keep=KEEP
    )


async def start_draft(tenant: Tenant, flow: Flow) -> Shown:
    return await lifecycle.create_draft(tenant.principal, tenant.database, flow.id, SHOWN_FLOW_VERSION)


async def deploy_draft(tenant: Tenant, flow: Flow) -> Shown:
    """Deploys a Draft made for it."""
    draft = await start_draft(tenant, flow)
    return await place(tenant, flow, draft.id, yesterday())
