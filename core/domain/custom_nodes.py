"""Custom nodes: flows that other flows use as a node, and how a node refers to one.

A node of the type `CustomNodeExecuteNode` names in its config the flow, `customNodeId`, and the version,
`customNodeVersion`: a version's name, `develop`, or `default`, which is also what it means to name none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

EXECUTE_TYPE = "CustomNodeExecuteNode"
"""The type of a node that runs a custom node."""

MOST_CUSTOM_NODES = 1_000
"""Custom nodes in one answer. Nobody picks from a longer palette; each can carry an icon of 32 kB."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Which custom node some content refers to, at which version. None: no flow can have such an id."""

    custom_node_id: int | None
    version: str


@dataclass(frozen=True, slots=True)
class CustomNode:
    """A custom node at one of its versions; at its develop content where `version` is None.

    `config` is its settings as JSON text, None if it has none.
    """

    id: int
    name: str
    description: str | None
    short_description: str | None
    icon_data: str | None
    docs_url: str | None
    category: str | None
    custom_node_supports: Sequence[str] | None
    version_id: int | None
    version: str | None
    config: str | None
