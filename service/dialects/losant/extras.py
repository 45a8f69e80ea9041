"""What answers of the Losant dialect carry only when asked: `_type` and `_links`, and `customNodes`.

Each is written as members are, to be joined to what carries them.
"""

from __future__ import annotations

from collections.abc import Collection

import orjson

from core.domain.templates import Template
from core.operations.custom_nodes import find_custom_nodes
from schemas.custom_nodes import render_custom_node
from schemas.links import link
from schemas.losant import LINKED_FLOW, LINKED_JOB_LOG, LINKED_VERSION, SHOWN_FLOW, SHOWN_JOB_LOG, SHOWN_VERSION
from service.calls import Call


def links_of(call: Call, resource: str, flow_id: int = 0) -> bytes:
    """The type and the links of a list, one of those in `schemas/links.py`; nothing unless asked."""
    return link(resource, call.hex_id("applicationId"), flow_id) if call.query["links"] else b""


def flow_template(call: Call) -> Template:
    """How flows are shown: with their type and links if asked."""
    return LINKED_FLOW if call.query["links"] else SHOWN_FLOW


def version_template(call: Call) -> Template:
    """The same of versions."""
    return LINKED_VERSION if call.query["links"] else SHOWN_VERSION


def entry_template(call: Call) -> Template:
    """The same of entries of the job log."""
    return LINKED_JOB_LOG if call.query["links"] else SHOWN_JOB_LOG


async def custom_nodes_of(call: Call, *, version_ids: Collection[int] = (), flow_ids: Collection[int] = ()) -> bytes:
    """The custom nodes that these versions and the develop contents of these flows refer to; nothing unless asked."""
    if not call.query["include_custom_nodes"]:
        return b""
    found = await find_custom_nodes(
        call.asker, call.database, call.hex_id("applicationId"), version_ids=version_ids, flow_ids=flow_ids
    )
    return orjson.dumps({"customNodes": [render_custom_node(node) for node in found]})[1:-1]
