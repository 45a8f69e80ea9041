"""What tests of deploys share: instants to plan for, and a way for them to come without waiting."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from core.domain.flows import Flow
from core.domain.listings import Listing
from core.domain.versions import VersionView
from core.operations import lifecycle
from tests.support.tenants import Tenant, yesterday


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


async def views(tenant: Tenant, flow: Flow) -> list[VersionView]:
    """All versions of a flow, its Draft among them, the newest first."""
    found, _ = await lifecycle.list_flow_versions(tenant.principal, tenant.database, flow.id, Listing(1_000, 0))
    return found


async def deploy_draft(tenant: Tenant, flow: Flow) -> VersionView:
    """Deploys a Draft made for it."""
    draft = await lifecycle.create_draft(tenant.principal, tenant.database, flow.id)
    return await lifecycle.set_deployment(tenant.principal, tenant.database, flow.id, draft.id, yesterday())
