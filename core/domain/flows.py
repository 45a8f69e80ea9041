"""A flow: the thing that has versions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

MOST_NAME = 255
MOST_DESCRIPTION = 32_767

FLOW_CLASSES = ("cloud", "edge", "embedded", "experience", "customNode")


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow as it stands. `deployed_version_id` is what Losant calls its default version."""

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

    @property
    def constants(self) -> dict[str, str | None]:
        """What a query on versions may ask that is the same for all versions of one flow."""
        return constants_of(self.name, self.flow_class)


def constants_of(name: str, flow_class: str) -> dict[str, str | None]:
    return {"name": name, "flowClass": flow_class, "customNodeSupports": None}


@dataclass(frozen=True, slots=True)
class FlowChange:
    """What to change; None leaves a value alone. `deploy` and `undeploy` are what Losant's defaultVersionId asks."""

    name: str | None = None
    enabled: bool | None = None
    description: str | None = None
    deploy: int | None = None
    undeploy: bool = False
