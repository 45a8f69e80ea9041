"""Custom nodes as Losant shows them, in its palette and beside contents that refer to them.

Source of the shape: an entry of Losant's published schema paletteResponse.
"""

from __future__ import annotations

from typing import Any

import orjson

from core.domain.custom_nodes import DEVELOP, CustomNode
from core.domain.identifiers import hex_id

COMPATIBLE = {"cloud": True, "experience": True, "customNode": True}
"""Where a custom node can be used that does not say that it is made for the edge."""


def render_custom_node(node: CustomNode) -> dict[str, Any]:
    """One entry. The develop content is no version, so it has no `flowVersionId`."""
    shown: dict[str, Any] = {
        "id": hex_id(node.id),
        "name": node.name,
        "version": DEVELOP if node.version is None else node.version,
        "compatibleFlowClasses": COMPATIBLE,
    }
    if node.version_id is not None:
        shown["flowVersionId"] = hex_id(node.version_id)
    if node.description is not None:
        shown["description"] = node.description
    if node.config is not None:
        shown["customNodeConfig"] = orjson.Fragment(node.config)
    return shown
