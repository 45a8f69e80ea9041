"""The Patchworks dialect's wire shapes: what its requests may hold, and our values as its JSON.

Sources: the "Flows" and "Flow Versions" pages of the Patchworks Core API. What has no value is null.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from core.domain.flows import (
    HIGHEST_PRIORITY,
    LOWEST_PRIORITY,
    MOST_DESCRIPTION,
    MOST_NAME,
    MOST_RUN_SECONDS,
    Flow,
)
from core.domain.templates import Form, Hole, Part, Template
from core.domain.versions import VersionStatus, VersionView
from schemas.fields import Body, Flag, Text, microseconds
from schemas.moments import Moment
from schemas.shapes import Number

MOST_URL = 1024


class FlowBody(Body):
    """What can be said of a flow when it is made and later."""

    description = Text(most=MOST_DESCRIPTION, allow_none=True)
    is_enabled = Flag()
    runner_url = Text(least=1, most=MOST_URL, allow_none=True)
    flow_priority = Number(whole=True, least=HIGHEST_PRIORITY, most=LOWEST_PRIORITY)
    run_timeout_seconds = Number(whole=True, least=1, most=MOST_RUN_SECONDS)


class FlowPost(FlowBody):
    name = Text(least=1, most=MOST_NAME, required=True)


class FlowPut(FlowBody):
    """PUT and PATCH alike change what is given, as Patchworks does."""

    name = Text(least=1, most=MOST_NAME)


class FlowVersionPut(Body):
    deployed_at = Moment(allow_none=True)


def _value(name: str, column: str) -> tuple[Part, Part]:
    return f',"{name}":', Hole(column, Form.VALUE)


def _instant(name: str, column: str) -> tuple[Part, Part]:
    return f',"{name}":', Hole(column, Form.MICROSECONDS)


SHOWN_FLOW = Template(
    (
        '{"id":', Hole("id", Form.VALUE), *_value("name", "name"), *_value("description", "description"),
        *_value("is_enabled", "enabled"), *_value("flow_class", "flow_class"), *_value("runner_url", "runner_url"),
        *_value("flow_priority", "flow_priority"), *_value("run_timeout_seconds", "run_timeout_seconds"),
        *_value("revision", "revision"), *_instant("created_at", "created_at"), *_instant("updated_at", "updated_at"),
        "}",
    )
)  # fmt: skip


def render_flow(flow: Flow) -> dict[str, Any]:
    return {
        "id": flow.id,
        "name": flow.name,
        "description": flow.description,
        "is_enabled": flow.enabled,
        "flow_class": flow.flow_class,
        "runner_url": flow.runner_url,
        "flow_priority": flow.flow_priority,
        "run_timeout_seconds": flow.run_timeout_seconds,
        "revision": flow.revision,
        "created_at": microseconds(flow.created_at),
        "updated_at": microseconds(flow.updated_at),
    }


def render_version(version: VersionView) -> dict[str, Any]:
    """`deployed_at` is since when, or from when on; `digest`, of the content, is in hexadecimal."""
    return {
        "id": version.id,
        "flow_id": version.flow_id,
        "flow_name": version.flow_name,
        "flow_priority": version.flow_priority,
        "iteration": version.iteration,
        "name": version.name,
        "status": version.status,
        "is_deployed": version.status is VersionStatus.DEPLOYED,
        "is_editable": version.status is VersionStatus.DRAFT,
        "is_enabled": version.enabled,
        "notes": version.notes,
        "revision": version.revision,
        "digest": version.digest.hex(),
        "deployed_at": microseconds(version.deployed_at or version.deploy_at),
        "last_deployed_at": microseconds(version.last_deployed_at),
        "created_at": microseconds(version.created_at),
        "updated_at": microseconds(version.updated_at),
    }


FLOW_FIELDS = (
    "id", "name", "description", "is_enabled", "flow_class", "runner_url", "flow_priority", "run_timeout_seconds",
    "revision", "created_at", "updated_at",
)  # fmt: skip
"""What render_flow shows."""

VERSION_FIELDS = (
    "id", "flow_id", "flow_name", "flow_priority", "iteration", "name", "status", "is_deployed", "is_editable",
    "is_enabled", "notes", "revision", "digest", "deployed_at", "last_deployed_at", "created_at", "updated_at",
)  # fmt: skip
"""What render_version shows."""


def chosen(shown: dict[str, Any], fields: Collection[str]) -> dict[str, Any]:
    """Only these fields of a rendered thing; all of them where none are named."""
    return {name: shown[name] for name in shown if name in fields} if fields else shown
