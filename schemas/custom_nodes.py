"""Custom nodes as Losant shows them, in its palette and beside contents that refer to them.

Source of the shape: an entry of Losant's published schema paletteResponse.
"""

from __future__ import annotations

from typing import Any

import orjson

from core.domain.custom_nodes import CustomNode
from core.domain.identifiers import hex_id
from core.domain.versions import DEVELOP

COMPATIBLE: dict[str | None, dict[str, bool]] = {
    None: {"cloud": True, "experience": True, "customNode": True},
    "cloud": {"cloud": True, "experience": True, "customNode": True},
    "edge": {"edge": True},
}
"""Where a custom node can be used, by what it supports: a flow that says nothing is made for the cloud."""


def render_custom_node(node: CustomNode) -> dict[str, Any]:
    """One entry. The develop content is no version, so it has no `flowVersionId`."""
    shown: dict[str, Any] = {
        "id": hex_id(node.id),
        "name": node.name,
        "version": DEVELOP if node.version is None else node.version,
        "compatibleFlowClasses": COMPATIBLE[next(iter(node.custom_node_supports or ()), None)],
        **_looks(node),
    }
    if node.version_id is not None:
        shown["flowVersionId"] = hex_id(node.version_id)
    if node.description is not None:
        shown["description"] = node.description
    if node.config is not None:
        shown["customNodeConfig"] = orjson.Fragment(node.config)
    return shown


def _looks(node: CustomNode) -> dict[str, str]:
    """What it shows of itself. An empty icon or category is none, and the answer's schema has neither."""
    given = {
        "shortDescription": node.short_description,
        "iconData": node.icon_data or None,
        "docsUrl": node.docs_url,
        "category": node.category or None,
    }
    return {name: value for name, value in given.items() if value is not None}
