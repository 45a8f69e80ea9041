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
)
from core.domain.templates import Form, Hole, Part, Template
from schemas.fields import Body, Flag, Text
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


SHOWN_FLOW_VERSION = Template(
    (
        '{"id":', Hole("id", Form.VALUE), *_value("flow_id", "flow_id"), *_value("flow_name", "flow_name"),
        *_value("flow_priority", "flow_priority"), *_value("iteration", "iteration"), *_value("name", "name"),
        *_value("status", "status"), *_value("is_deployed", "is_deployed"), *_value("is_editable", "is_editable"),
        *_value("is_enabled", "enabled"), *_value("notes", "notes"), *_value("revision", "revision"),
        *_value("digest", "digest"), *_instant("deployed_at", "deployed_or_planned_at"),
        *_instant("last_deployed_at", "last_deployed_at"), *_instant("created_at", "created_at"),
        *_instant("updated_at", "updated_at"), "}",
    )
)  # fmt: skip
"""A version without its content. `deployed_at` is since when, or from when on; `digest`, of the content, is in
hexadecimal."""

FLOW_FIELDS = (
    "id", "name", "description", "is_enabled", "flow_class", "runner_url", "flow_priority", "run_timeout_seconds",
    "revision", "created_at", "updated_at",
)  # fmt: skip
"""What a flow shows."""

VERSION_FIELDS = (
    "id", "flow_id", "flow_name", "flow_priority", "iteration", "name", "status", "is_deployed", "is_editable",
    "is_enabled", "notes", "revision", "digest", "deployed_at", "last_deployed_at", "created_at", "updated_at",
)  # fmt: skip
"""What a version shows."""


def chosen(shown: dict[str, Any], fields: Collection[str]) -> dict[str, Any]:
    """Only these fields of a thing; all of them where none are named."""
    return {name: shown[name] for name in shown if name in fields} if fields else shown
