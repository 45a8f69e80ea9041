"""Two versions to compare: a pump's workflow, and a realistic edit of it."""

from __future__ import annotations

import copy
import json
from datetime import timedelta
from typing import Any

from core.domain.runs import RunStatus
from core.domain.significance import LEAST_RUNS
from core.domain.versions import Version
from tests.support.metrics import end
from tests.support.runs import Runnable
from tests.support.tenants import Tenant

PUMP: dict[str, Any] = {
    "triggers": [
        {
            "type": "timer",
            "key": "every-minute",
            "config": {"seconds": 60},
            "meta": {"category": "trigger", "name": "timer", "label": "Every minute", "x": 60, "y": 20},
            "outputIds": [["read"]],
        }
    ],
    "nodes": [
        {"id": "read", "type": "GetDeviceNode", "config": {"tag": "pump"}, "meta": {"label": "Read", "x": 1, "y": 1},
         "outputIds": [["judge"]]},
        {"id": "judge", "type": "ConditionalNode", "config": {"expression": "{{data.bar}} > 4.25"},
         "meta": {"label": "Too high?", "x": 1, "y": 2}, "outputIds": [[], ["tell"]]},
        {"id": "tell", "type": "EmailNode", "config": {"to": "shift@example.com"}, "meta": {"x": 1, "y": 3},
         "outputIds": [[]]},
    ],
    "globals": [{"key": "limitBar", "json": "4.25"}],
}  # fmt: skip


def changed() -> dict[str, Any]:
    """A realistic edit: another limit, a node in between, a trigger that fires more often; and everything was moved."""
    content = copy.deepcopy(PUMP)
    content["nodes"][1]["config"]["expression"] = "{{data.bar}} > {{globals.limitBar}}"
    content["nodes"][1]["outputIds"] = [[], ["wait"]]
    content["nodes"].insert(0, {"id": "wait", "type": "DelayNode", "config": {"seconds": 5}, "outputIds": [["tell"]]})
    content["triggers"][0]["config"]["seconds"] = 30
    for element in (*content["nodes"], *content["triggers"]):
        element.setdefault("meta", {}).update(x=500, y=500)
    return content


async def pair(tenant: Tenant, after: dict[str, Any] | None = None) -> tuple[str, Version, Version]:
    """The address to compare at, and two versions of a flow."""
    flow = await tenant.make_flow()
    one = await tenant.make_version(flow, "v1", json.dumps(PUMP))
    other = await tenant.make_version(flow, "v2", json.dumps(changed() if after is None else after))
    return f"/api/v1/flows/{flow.id}/versions/{one.id}/compare/{other.id}", one, other


async def run_second(runnable: Runnable, version: Version, statuses: list[RunStatus], took: timedelta) -> None:
    assert len(statuses) >= LEAST_RUNS
    for status in statuses:
        await end(runnable, await runnable.start(version_id=version.id), status, took=took)
