"""What answers of the Losant dialect carry only when asked: `_type` and `_links`, and `customNodes`.

Each is written as members are, to be joined to what carries them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import orjson

from core.domain.templates import Template
from core.operations.custom_nodes import find_custom_nodes
from schemas.custom_nodes import render_custom_node
from schemas.links import Linker
from schemas.losant import LINKED_VERSION, SHOWN_VERSION
from service.calls import Call


def linker_of(call: Call, resource: str) -> Callable[..., bytes]:
    """What writes the type and the links of resources of one kind, those in `schemas/links.py`; nothing unless asked.

    Takes the ids that `Linker.members` takes.
    """
    return Linker(resource, call.hex_id("applicationId")).members if call.query["links"] else _nothing


def links_of(call: Call, resource: str, flow_id: int = 0, thing_id: int = 0) -> bytes:
    """The same of one resource."""
    return linker_of(call, resource)(flow_id, thing_id)


def version_template(call: Call) -> Template:
    """How versions are shown: with their type and links if asked."""
    return LINKED_VERSION if call.query["links"] else SHOWN_VERSION


def _nothing(_flow_id: int = 0, _thing_id: int = 0) -> bytes:
    return b""


async def custom_nodes_of(call: Call, *, version_ids: Collection[int] = (), flow_ids: Collection[int] = ()) -> bytes:
    """The custom nodes that these versions and the develop contents of these flows refer to; nothing unless asked."""
    if not call.query["include_custom_nodes"]:
        return b""
    found = await find_custom_nodes(
        call.asker, call.database, call.hex_id("applicationId"), version_ids=version_ids, flow_ids=flow_ids
    )
    return orjson.dumps({"customNodes": [render_custom_node(node) for node in found]})[1:-1]
