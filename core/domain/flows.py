"""A flow: the thing that has versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from core.domain.contents import DevelopChange

MOST_NAME = 255
MOST_DESCRIPTION = 32_767

HIGHEST_PRIORITY, LOWEST_PRIORITY, USUAL_PRIORITY = 1, 5, 3
"""Patchworks' numbers: 1 goes first."""

MOST_RUN_SECONDS = 604_800
"""A week: who has not heard of a run by then will not."""

USUAL_RUN_SECONDS = 3_600


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow as it stands. `deployed_version_id` is what Losant calls its default version.

    `develop` is its Draft's body as JSON text; None if there is no Draft, or if it was not read along.
    """

    id: int
    company_id: int
    application_id: int
    name: str
    description: str | None
    flow_class: str
    enabled: bool
    revision: int
    deployed_version_id: int | None
    created_at: datetime
    updated_at: datetime
    created_by_type: str
    created_by_id: int | None
    updated_by_type: str
    updated_by_id: int | None
    short_description: str | None
    icon_data: str | None
    docs_url: str | None
    category: str | None
    custom_node_supports: Sequence[str] | None
    runner_url: str | None
    flow_priority: int
    run_timeout_seconds: int
    develop: str | None

    @property
    def constants(self) -> dict[str, str | None]:
        """What a query on versions may ask that is the same for all versions of one flow."""
        return constants_of(self.name, self.flow_class, self.custom_node_supports)


def constants_of(name: str, flow_class: str, custom_node_supports: Sequence[str] | None) -> dict[str, str | None]:
    """A custom node supports one class at most."""
    return {"name": name, "flowClass": flow_class, "customNodeSupports": next(iter(custom_node_supports or ()), None)}


@dataclass(frozen=True, slots=True)
class PaletteEntry:
    """What a flow that is a custom node shows of itself; None says nothing, and empty text takes back what was said."""

    short_description: str | None = None
    icon_data: str | None = None
    docs_url: str | None = None
    category: str | None = None


UNSAID = PaletteEntry()


@dataclass(frozen=True, slots=True)
class Running:
    """Where a flow runs (None: where its company's flows do), how urgently, and for how long at most. In a change None
    leaves a value alone."""

    runner_url: str | None = None
    flow_priority: int | None = None
    run_timeout_seconds: int | None = None


AS_USUAL = Running()


@dataclass(frozen=True, slots=True)
class FlowChange:
    """What to change; None leaves a value alone. `deploy` and `undeploy` are what Losant's defaultVersionId asks.

    `cleared` names what shall have no value any more, of `description` and `runner_url`.
    """

    name: str | None = None
    enabled: bool | None = None
    description: str | None = None
    deploy: int | None = None
    undeploy: bool = False
    palette: PaletteEntry = UNSAID
    develop: DevelopChange | None = None
    running: Running = AS_USUAL
    cleared: frozenset[str] = frozenset()
