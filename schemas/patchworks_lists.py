"""What lists of the Patchworks dialect can be asked for, one table a resource: `filter[…]`, `sort`, `include` and
`fields[…]`. A name that a table does not have is refused with 400 and the names it has; other parameters are passed
over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import ValidationError, fields

from core.domain.distributions import Stat
from core.domain.flow_classes import FLOW_CLASSES
from core.domain.metrics import OTHER, RUN_KEYS, Interval, MetricType
from core.domain.runs import STATUS_NUMBERS, RunStatus, Trigger
from core.domain.versions import VersionStatus
from schemas.fields import Count, Query
from schemas.filters import (
    Bound,
    FilteredQuery,
    flags,
    ids,
    instant,
    not_allowed,
    numbers,
    several,
    split,
    texts,
    word_of,
    words,
)
from schemas.jobs import PageQuery
from schemas.moments import EARLIEST, LATEST
from schemas.patchworks import FLOW_FIELDS, VERSION_FIELDS
from schemas.reports import MOST_METRIC_NAME
from schemas.schedules import ENTRIES, MOST_ENTRIES


class Names(fields.Field[list[str]]):
    """Some of a few names, separated by commas, each with a sign in front where `signs` has one."""

    def __init__(self, what: str, names: Sequence[str], *, signs: str = "", **kwargs: Any) -> None:
        super().__init__(load_default=(), **kwargs)
        self.what, self.names, self.signs = what, names, signs

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> list[str]:
        asked = split(str(value))
        for name in asked:
            if (name[1:] if name[:1] in self.signs and self.signs else name) not in self.names:
                raise not_allowed(self.what, [name], self.names)
        return asked


def _digest(text: str) -> str:
    if re.fullmatch(r"[0-9a-f]{64}", text, re.ASCII) is None:
        raise ValidationError("must be SHA-256 digests, 64 hexadecimal digits in lower case each")
    return text


def _fields(resource: str, names: Sequence[str]) -> Names:
    return Names("field", names, data_key=f"fields[{resource}]")


FLOW_INCLUDES = (
    "versions", "latestVersion", "deployedVersion",
    "versions.schedules", "latestVersion.schedules", "deployedVersion.schedules",
    "versions_count", "versionsExists", "latestVersionExists", "deployedVersionExists",
)  # fmt: skip
VERSION_INCLUDES = ("schedules", "schedules_count", "schedulesExists")

FLOW_SORTS = ("id", "name", "flow_priority", "created_at", "updated_at")
VERSION_SORTS = ("id", "name", "iteration", "deployed_at", "created_at", "updated_at")


class FlowQuery(FilteredQuery):
    include = Names("include", FLOW_INCLUDES)
    flow_fields = _fields("flows", FLOW_FIELDS)
    version_fields = _fields("versions", VERSION_FIELDS)


class FlowsQuery(FlowQuery, PageQuery):
    sort = Names("sort", FLOW_SORTS, signs="-")
    filter_id = ids("id")
    filter_name = texts("name")
    filter_is_enabled = flags("is_enabled")
    filter_flow_class = words("flow_class", *FLOW_CLASSES)
    filter_flow_priority = numbers("flow_priority")


class FlowVersionQuery(FilteredQuery):
    include = Names("include", VERSION_INCLUDES)
    version_fields = _fields("versions", VERSION_FIELDS)


class FlowVersionsQuery(FlowVersionQuery, PageQuery):
    sort = Names("sort", VERSION_SORTS, signs="-")
    filter_id = ids("id")
    filter_name = texts("name")
    filter_status = words("status", *VersionStatus)
    filter_iteration = numbers("iteration")
    filter_is_enabled = flags("is_enabled")


ITEM_SORTS = ("id", "name", "version", "size", "created_at")


class MarketplaceQuery(FilteredQuery, PageQuery):
    sort = Names("sort", ITEM_SORTS, signs="-")
    filter_id = ids("id")
    filter_name = texts("name")
    filter_version = texts("version")
    filter_company_id = ids("company_id")
    filter_flow_id = ids("flow_id")
    filter_digest = several(_digest, "[0-9a-f]{64}", "digest")
    filter_private = flags("private")
    filter_is_yanked = flags("is_yanked")
    filter_is_latest = flags("is_latest")


class MarketplaceLogQuery(FilteredQuery, PageQuery):
    filter_company_id = ids("company_id")


RUN_SORTS = ("started_at", "finished_at", "scheduled_for", "id")


def _status(text: str) -> str:
    """A status by its word, or by the number that the vendor's documents have for it."""
    numbered = {str(number): status for status, number in STATUS_NUMBERS.items()}
    return word_of(*RunStatus)(numbered.get(text, text))


_STATUSES = "|".join([*RunStatus, *map(str, STATUS_NUMBERS.values())])


class RunsQuery(FilteredQuery, PageQuery):
    sort = Names("sort", RUN_SORTS, signs="-")
    filter_status = several(_status, _STATUSES, "status")
    filter_flow_id = ids("flow_id")
    filter_flow_version_id = ids("flow_version_id")
    filter_schedule_id = ids("schedule_id")
    filter_trigger = words("trigger", *Trigger)
    filter_started_after = instant("started_after")
    filter_started_before = instant("started_before")


METRIC_SORTS = ("type", "period_start", "flow_version_id", "key", "interval")

METRIC_KEYS = (*RUN_KEYS, *Stat, OTHER)
"""The keys there are, without those that begin with a runner's own name for what it measured."""

_STATS = "|".join(Stat)
_OWN_KEY = re.compile(rf".{{1,{MOST_METRIC_NAME}}}:(?:{_STATS})", re.DOTALL)


def _metric_key(text: str) -> str:
    if text not in METRIC_KEYS and _OWN_KEY.fullmatch(text) is None:
        raise ValidationError(
            f"must be one or more of {', '.join(METRIC_KEYS)}, or a runner's own name with one of"
            f" {', '.join(f':{stat}' for stat in Stat)} behind it"
        )
    return text


class MetricsQuery(FilteredQuery, PageQuery):
    """`since` is the first instant wanted, `until` the first that is not."""

    sort = Names("sort", METRIC_SORTS, signs="-")
    filter_interval = words("interval", *Interval)
    filter_type = words("type", *MetricType)
    filter_key = several(_metric_key, rf"{'|'.join(METRIC_KEYS)}|[^,]{{1,{MOST_METRIC_NAME}}}:(?:{_STATS})", "key")
    filter_version = ids("version")
    since = instant("from")
    until = instant("to")


class CalendarQuery(Query):
    """`from` is now where it is left out."""

    start = Bound(data_key="from", within=(EARLIEST, LATEST))
    count = Count(least=1, most=MOST_ENTRIES, load_default=ENTRIES)


FILTER = "filter_"
"""What the name of a filter begins with in a loaded query."""
