"""What a caller can ask about custom nodes. Each function is one transaction."""

from __future__ import annotations

from collections.abc import Collection

from core.domain.access import Claim, Principal
from core.domain.custom_nodes import CustomNode
from core.operations.access import admitted
from core.operations.lists import watched
from core.store import custom_nodes as store
from core.store.database import Connection, Database


async def list_palette(claim: Claim, database: Database) -> list[CustomNode]:
    """The custom nodes of an application that can be used, each once at what a new use of it would run.

    Raises what `admit` raises.
    """

    async def work(connection: Connection) -> list[CustomNode]:
        principal = await admitted(connection, claim)
        return await store.list_palette(connection, principal.company_id, claim.application_id)

    return await watched(database, work)


async def find_custom_nodes(
    caller: Principal | Claim,
    database: Database,
    application_id: int,
    *,
    version_ids: Collection[int] = (),
    flow_ids: Collection[int] = (),
) -> list[CustomNode]:
    """The custom nodes that these versions, and the develop contents of these flows, refer to, each once at each
    version referred to.

    Only what they refer to themselves, not what that refers to. What is not there, or not in this application, is left
    out. Looks at the contents as they are now, which may be a moment later than what the ids were read for. For a claim
    raises what `admit` raises.
    """
    if not version_ids and not flow_ids:
        return []

    async def work(connection: Connection) -> list[CustomNode]:
        principal = caller if isinstance(caller, Principal) else await admitted(connection, caller)
        references = await store.find_references(
            connection, principal.company_id, version_ids=version_ids, flow_ids=flow_ids
        )
        return await store.find(connection, principal.company_id, application_id, references) if references else []

    return await watched(database, work)
