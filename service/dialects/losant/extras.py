"""What answers of the Losant dialect carry only when asked: `_type` and `_links`, and `customNodes`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from core.operations.custom_nodes import find_custom_nodes
from schemas.custom_nodes import render_custom_node
from schemas.links import linked
from service.calls import Call


def links_of(call: Call, resource: str, flow_id: int = 0, thing_id: int = 0) -> dict[str, Any]:
    """The type and the links of a resource, one of those in `schemas/links.py`; nothing unless asked."""
    if not call.query["links"]:
        return {}
    return dict(linked(resource, call.hex_id("applicationId"), flow_id, thing_id))


async def custom_nodes_of(
    call: Call, *, version_ids: Collection[int] = (), flow_ids: Collection[int] = ()
) -> dict[str, Any]:
    """The custom nodes that these versions and the develop contents of these flows refer to; nothing unless asked."""
    if not call.query["include_custom_nodes"]:
        return {}
    found = await find_custom_nodes(
        call.principal, call.database, call.hex_id("applicationId"), version_ids=version_ids, flow_ids=flow_ids
    )
    return {"customNodes": [render_custom_node(node) for node in found]}
