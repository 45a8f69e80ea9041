"""Which version of a flow is deployed and which is to be: what makes it so, and what waits for its instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import asyncpg
import orjson

from core.domain.access import Principal
from core.domain.templates import Template
from core.domain.versions import fold
from core.store.database import Connection
from core.store.flow_versions import showing_version
from core.store.queries import query
from core.store.rows import build

_RELEASE = query("deployments.release_deployed")
_PROMOTE = query("deployments.promote_version")
_DEPLOY_AT_ONCE = query("deployments.deploy_at_once")
_NAMES_BEGINNING = query("deployments.names_beginning")
_PLAN = query("deployments.plan_deploy")
_CANCEL_PENDING = query("deployments.cancel_pending")
_LIST_DUE = query("deployments.list_due")
_NEXT_DUE_IN = query("deployments.next_due_in")


@dataclass(frozen=True, slots=True)
class Promoted:
    """The version that is deployed now, and since when that is so."""

    id: int
    digest: bytes
    name: str
    deployed_at: datetime


@dataclass(frozen=True, slots=True)
class Due:
    """A deploy whose instant, `deploy_at`, has come."""

    company_id: int
    flow_id: int
    version_id: int
    deploy_at: datetime


async def release(connection: Connection, principal: Principal, flow_id: int, *, but: int = 0) -> bool:
    """Makes a locked flow's deployed version inactive and takes back its pending deploy, but for that of the version
    `but`, with an audit event each; whether there was any of the two."""
    released: int = await connection.fetchval(
        _RELEASE,
        principal.company_id,
        flow_id,
        but,
        principal.actor_type,
        principal.actor_id,
        principal.remote,
    )
    return released > 0


async def promote(
    connection: Connection,
    principal: Principal,
    version_id: int,
    name: str | None,
    details: Mapping[str, object] | None = None,
) -> Promoted:
    """Makes a locked version the deployed one, when there is no other, with its audit event. A Draft gets `name`."""
    row = await connection.fetchrow(
        _PROMOTE,
        principal.company_id,
        version_id,
        principal.actor_type,
        principal.actor_id,
        principal.remote,
        name,
        None if name is None else fold(name),
        orjson.dumps(details or {}).decode(),
    )
    return build(Promoted, row)


async def deploy_at_once(
    connection: Connection, principal: Principal, flow_id: int, version_id: int, at: datetime, template: Template
) -> asyncpg.Record | None:
    """Deploys a kept version where there is nothing to decide, with its audit events: id, revision and shown. None, and
    nothing is done, where there is something to decide: then the long way tells what."""
    return await connection.fetchrow(
        showing_version(_DEPLOY_AT_ONCE, template),
        principal.company_id,
        principal.application_id,
        flow_id,
        version_id,
        at,
        principal.actor_type,
        principal.actor_id,
        principal.remote,
    )


async def names_beginning(connection: Connection, company_id: int, flow_id: int, base: str) -> set[str]:
    """The names in use that are `base`, or `base` with a hyphen and more. `base` has no wildcard of LIKE."""
    rows = await connection.fetch(_NAMES_BEGINNING, company_id, flow_id, base)
    return {row["name"] for row in rows}


async def plan(connection: Connection, principal: Principal, version_id: int, at: datetime) -> None:
    await connection.execute(_PLAN, principal.company_id, version_id, at, principal.actor_type, principal.actor_id)


async def cancel_pending(connection: Connection, principal: Principal, flow_id: int, *, but: int = 0) -> int | None:
    """Takes back the pending deploy of a locked flow, unless it is that of the version `but`; whose it was."""
    version_id: int | None = await connection.fetchval(
        _CANCEL_PENDING, principal.company_id, flow_id, but, principal.actor_type, principal.actor_id
    )
    return version_id


async def list_due(connection: Connection, limit: int) -> list[Due]:
    """Deploys of any company whose instant has come, the earliest first."""
    return [build(Due, row) for row in await connection.fetch(_LIST_DUE, limit)]


async def next_due_in(connection: Connection) -> float | None:
    """Seconds until the next pending deploy is due; None if there is none."""
    seconds: float | None = await connection.fetchval(_NEXT_DUE_IN)
    return seconds
