"""What becomes of a version's standing, each as part of a transaction that has locked its flow.

Whoever deploys, in whatever dialect and at whatever hour, comes through here. What goes along with a version, such as
its schedules, has its place here, too: `start_draft` is the one way a Draft comes into being, and `deploy` and
`undeploy` the only ways something begins or ceases to be deployed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from core.domain.access import Principal
from core.domain.errors import Conflict
from core.domain.flow_classes import CUSTOM_NODE
from core.domain.versions import Content, Version, VersionStatus, deployed_name
from core.operations.firing import Deploys, accounted
from core.store import audit_events, deployments, flow_versions, schedules
from core.store.database import Connection
from core.store.deployments import Promoted
from core.store.flows import LockedFlow

NOT_DEPLOYABLE = "a custom node has no default version"


async def deploy(
    connection: Connection,
    principal: Principal,
    flow: LockedFlow,
    version: Version,
    details: Mapping[str, object] | None = None,
    *,
    planned_for: datetime | None = None,
) -> Promoted | None:
    """Makes a locked version of a locked flow its deployed one; None, and nothing changes, if it is that already.

    What was deployed becomes inactive, and a pending deploy of the flow is taken back. A Draft keeps its row and its
    id, is called `v<iteration>` from then on, and leaves a new Draft of the same content and schedules behind. A deploy
    that was planned counts from its instant on, however late it is. Raises Conflict for a flow that is a custom node.
    """
    if version.status is VersionStatus.DEPLOYED:
        return None
    require_deployable(flow)
    name = await _name_of_draft(connection, version) if version.status is VersionStatus.DRAFT else None
    async with accounted(connection, principal.company_id, flow.id, deploys=Deploys(planned_for)):
        await deployments.release(connection, principal, flow.id, but=version.id)
        promoted = await deployments.promote(connection, principal, version.id, name, details)
    if version.status is VersionStatus.DRAFT:
        content = Content(version.body, version.digest)
        await start_draft(connection, principal, flow.id, content, scheduled_like=version.id)
    return promoted


async def undeploy(connection: Connection, principal: Principal, flow_id: int, *, but: int = 0) -> bool:
    """Makes a locked flow's deployed version inactive and takes back its pending deploy, but for that of the version
    `but`; whether there was any of the two."""
    async with accounted(connection, principal.company_id, flow_id, deploys=Deploys()):
        return await deployments.release(connection, principal, flow_id, but=but)


async def cancel_pending(connection: Connection, principal: Principal, flow_id: int, *, but: int = 0) -> bool:
    """Takes back a locked flow's pending deploy, but for that of the version `but`; whether there was one."""
    version_id = await deployments.cancel_pending(connection, principal, flow_id, but=but)
    if version_id is None:
        return False
    await audit_events.record(connection, principal, "version.deploy_cancel", ("version", version_id))
    return True


async def plan(connection: Connection, principal: Principal, flow: LockedFlow, version: Version, at: datetime) -> bool:
    """Says when a locked version of a locked flow shall be deployed, in place of whatever was planned for the flow.

    False, and nothing changes, if exactly that was planned. Raises Conflict for a version that is deployed, and for a
    flow that is a custom node.
    """
    if version.deploy_at == at:
        return False
    if version.status is VersionStatus.DEPLOYED:
        raise Conflict("This version is deployed; there is nothing to plan.")
    require_deployable(flow)
    await cancel_pending(connection, principal, flow.id, but=version.id)
    await deployments.plan(connection, principal, version.id, at)
    details = {"at": at.isoformat()}
    await audit_events.record(connection, principal, "version.deploy_plan", ("version", version.id), details=details)
    return True


async def start_draft(
    connection: Connection,
    principal: Principal,
    flow_id: int,
    content: Content,
    *,
    scheduled_like: int | None = None,
) -> Version:
    """The Draft of a locked flow that has none; with a copy of each schedule of the flow's version `scheduled_like`."""
    draft = await flow_versions.insert_draft(connection, principal, flow_id, content)
    if scheduled_like is not None:
        await schedules.copy_schedules(connection, principal, scheduled_like, draft.id)
    return draft


def require_deployable(flow: LockedFlow) -> None:
    if flow.flow_class == CUSTOM_NODE:
        raise Conflict(f"This flow is a custom node; {NOT_DEPLOYABLE}.")


async def _name_of_draft(connection: Connection, draft: Version) -> str:
    taken = await deployments.names_beginning(
        connection, draft.company_id, draft.flow_id, deployed_name(draft.iteration, ())
    )
    return deployed_name(draft.iteration, taken)
