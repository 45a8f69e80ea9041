"""What the routes of the Patchworks dialect answer, beside the envelopes that all routes under /api/v1 share."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from core.domain.flow_classes import FLOW_CLASSES
from core.domain.flows import HIGHEST_PRIORITY, LOWEST_PRIORITY
from core.domain.metrics import Interval, MetricType
from core.domain.schedules import CalendarWarning
from core.domain.stored_schedules import OverlapPolicy
from core.domain.versions import VersionStatus
from schemas.answers import Fields, answer, dated, listed, number, one_of
from schemas.native_answers import data_of, page_of


def _nullable_text() -> fields.Field[str]:
    return fields.String(allow_none=True)


def _nullable_date() -> fields.Field[Any]:
    return fields.AwareDateTime(allow_none=True)


def _priority() -> fields.Field[int]:
    return fields.Integer(metadata={"minimum": HIGHEST_PRIORITY, "maximum": LOWEST_PRIORITY})


def _flow() -> Fields:
    return {
        "id": number(least=1),
        "name": fields.String(),
        "description": _nullable_text(),
        "is_enabled": fields.Boolean(),
        "flow_class": one_of(*FLOW_CLASSES),
        "runner_url": _nullable_text(),
        "flow_priority": _priority(),
        "run_timeout_seconds": number(least=1),
        "installed_from": fields.Integer(allow_none=True),
        "revision": number(),
        "created_at": dated(),
        "updated_at": dated(),
    }


def _version() -> Fields:
    return {
        "id": number(least=1),
        "flow_id": number(least=1),
        "flow_name": fields.String(),
        "flow_priority": _priority(),
        "iteration": number(least=1),
        "name": _nullable_text(),
        "status": one_of(*VersionStatus),
        "is_deployed": fields.Boolean(),
        "is_editable": fields.Boolean(),
        "is_enabled": fields.Boolean(),
        "notes": _nullable_text(),
        "revision": number(),
        "digest": fields.String(metadata={"pattern": "^[0-9a-f]{64}$"}),
        "deployed_at": _nullable_date(),
        "last_deployed_at": _nullable_date(),
        "created_at": dated(),
        "updated_at": dated(),
    }


_Schedule = answer(
    "schedule",
    {
        "id": fields.Integer(),
        "flow_version_id": fields.Integer(),
        "cron_string": fields.String(),
        "timezone": fields.String(),
        "overlap_policy": one_of(*OverlapPolicy),
        "catchup_window_seconds": number(),
        "paused": fields.Boolean(),
        "pause_reason": fields.String(allow_none=True),
        "deployed_at": _nullable_date(),
        "created_at": dated(),
        "updated_at": dated(),
    },
)


def _warnings() -> fields.Field[list[object]]:
    return fields.List(one_of(*CalendarWarning))


_DueInstant = answer(
    "dueInstant",
    {
        "nominal": fields.String(),
        "utc": dated(),
        "local": fields.String(),
        "offset": fields.String(),
        "warnings": _warnings(),
    },
)

_CalendarMeta = answer(
    "calendarMeta",
    {
        "timezone": fields.String(),
        "zone_data": fields.String(),
        "from": dated(),
        "until": dated(),
        "complete": fields.Boolean(),
        "warnings": _warnings(),
    },
)

_Flow = answer("companyFlow", _flow())
_Version = answer("companyFlowVersion", _version())

_ChosenVersion = answer(
    "chosenFlowVersion",
    {},
    {
        **_version(),
        "schedules": listed(_Schedule),
        "schedules_count": number(),
        "schedules_exists": fields.Boolean(),
    },
)
_ChosenFlow = answer(
    "chosenFlow",
    {},
    {
        **_flow(),
        "versions": listed(_ChosenVersion),
        "latest_version": fields.Nested(_ChosenVersion, allow_none=True),
        "deployed_version": fields.Nested(_ChosenVersion, allow_none=True),
        "versions_count": number(),
        "versions_exists": fields.Boolean(),
        "latest_version_exists": fields.Boolean(),
        "deployed_version_exists": fields.Boolean(),
    },
)
"""Read with `fields[…]` it has only those, with `include` more than itself."""

Flow = data_of("companyFlowDocument", _Flow)
ChosenFlow = data_of("chosenFlowDocument", _ChosenFlow)
Flows = page_of("companyFlows", _ChosenFlow)
FlowVersion = data_of("companyFlowVersionDocument", _Version)
ChosenFlowVersion = data_of("chosenFlowVersionDocument", _ChosenVersion)
FlowVersions = page_of("companyFlowVersions", _ChosenVersion)
Told = answer("told", {"message": fields.String()})
Schedule = data_of("scheduleDocument", _Schedule)
Schedules = page_of("schedules", _Schedule)
ScheduleDeleted = answer("scheduleDeleted", {"message": fields.String()})
_Metric = answer(
    "versionMetric",
    {
        "flow_version_id": number(least=1),
        "type": one_of(*MetricType),
        "key": fields.String(),
        "interval": one_of(*Interval),
        "period_start": dated(),
        "value": fields.Float(),
    },
)
Metrics = page_of("versionMetrics", _Metric)
SchedulePreview = answer("schedulePreview", {"data": listed(_DueInstant), "meta": fields.Nested(_CalendarMeta)})
