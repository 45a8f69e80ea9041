"""Custom nodes, and which of them contents refer to: one typed function per query."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from core.domain.custom_nodes import EXECUTE_TYPE, MOST_CUSTOM_NODES, CustomNode, Reference
from core.domain.flow_classes import CUSTOM_NODE
from core.domain.identifiers import parse_hex_id
from core.store.database import Connection
from core.store.queries import query
from core.store.rows import build

_LIST_PALETTE = query("custom_nodes.list_palette")
_FIND_REFERENCES = query("custom_nodes.find_references")
_FIND = query("custom_nodes.find_custom_nodes")


async def list_palette(connection: Connection, company_id: int, application_id: int) -> list[CustomNode]:
    """The first MOST_CUSTOM_NODES of an application by name, each at what a new use of it would run."""
    rows = await connection.fetch(_LIST_PALETTE, company_id, application_id, CUSTOM_NODE, MOST_CUSTOM_NODES)
    return [build(CustomNode, row) for row in rows]


async def find_references(
    connection: Connection, company_id: int, *, version_ids: Collection[int], flow_ids: Collection[int]
) -> list[Reference]:
    """What these versions and the develop contents of these flows refer to, at most MOST_CUSTOM_NODES of it."""
    rows = await connection.fetch(
        _FIND_REFERENCES, company_id, list(version_ids), list(flow_ids), EXECUTE_TYPE, MOST_CUSTOM_NODES
    )
    return [Reference(parse_hex_id(row["custom_node"]), row["version"]) for row in rows]


async def find(
    connection: Connection, company_id: int, application_id: int, references: Sequence[Reference]
) -> list[CustomNode]:
    """Those of the application's custom nodes that are referred to, by name and then by version."""
    known = [reference for reference in references if reference.custom_node_id is not None]
    rows = await connection.fetch(
        _FIND,
        company_id,
        application_id,
        CUSTOM_NODE,
        [reference.custom_node_id for reference in known],
        [reference.version for reference in known],
    )
    return [build(CustomNode, row) for row in rows]
