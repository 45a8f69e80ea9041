"""What lists of the Patchworks dialect can be asked for, one table a resource: `filter[…]`, `sort`, `include` and
`fields[…]`.

A name that a table does not have is refused with 400 and the names it has, as Laravel's query builders do; a value
that a filter cannot have is 422. Blank is as good as left out. Other parameters are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from marshmallow import ValidationError, fields, pre_load

from core.domain.distributions import Stat
from core.domain.documents import member_path
from core.domain.errors import NotAllowed
from core.domain.flow_classes import FLOW_CLASSES
from core.domain.identifiers import LARGEST_ID, parse_integer_id
from core.domain.metrics import OTHER, RUN_KEYS, Interval, MetricType
from core.domain.runs import STATUS_NUMBERS, RunStatus, Trigger
from core.domain.versions import MOST_NAME, VersionStatus
from schemas.fields import Count, Query
from schemas.filters import Bound
from schemas.jobs import PageQuery
from schemas.moments import EARLIEST, PATTERN, Moment, parse_moment
from schemas.patchworks import FLOW_FIELDS, VERSION_FIELDS
from schemas.reports import MOST_METRIC_NAME
from schemas.schedules import ENTRIES, MOST_ENTRIES

MOST_VALUES = 100
"""Values of one filter, and names of one include: as many as the largest page has rows."""

MOST_TEXT = 4_096
"""Characters of one parameter: a hundred ids and names of a usual length."""

_BRACKETED = re.compile(r"(filter|fields)\[([^\[\]]*)\]", re.ASCII)


class Several(fields.Field[list[Any]]):
    """Values separated by commas, of which any may hold. `one` makes a value of a text, or raises ValidationError."""

    def __init__(self, one: Callable[[str], Any], pattern: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.one, self.pattern = one, pattern

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> list[Any]:
        return [self.one(text) for text in _split(str(value))]


class Names(fields.Field[list[str]]):
    """Some of a few names, separated by commas, each with a sign in front where `signs` has one."""

    def __init__(self, what: str, names: Sequence[str], *, signs: str = "", **kwargs: Any) -> None:
        super().__init__(load_default=(), **kwargs)
        self.what, self.names, self.signs = what, names, signs

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> list[str]:
        asked = _split(str(value))
        for name in asked:
            if (name[1:] if name[:1] in self.signs and self.signs else name) not in self.names:
                raise not_allowed(self.what, name, self.names)
        return asked


def not_allowed(what: str, name: str, allowed: Sequence[str]) -> NotAllowed:
    """A refusal in Laravel's words."""
    verb = "is" if what == "sort" else "are"
    offer = f"Allowed {what}(s) are `{', '.join(allowed)}`." if allowed else f"There are no allowed {what}s."
    return NotAllowed(f"Requested {what}(s) `{member_path('', name)}` {verb} not allowed. {offer}")


def _split(text: str) -> list[str]:
    if len(text) > MOST_TEXT:
        raise ValidationError(f"must have at most {MOST_TEXT} characters")
    if "\0" in text:
        raise ValidationError("must not contain NUL")
    values = [part for part in text.split(",") if part]
    if len(values) > MOST_VALUES:
        raise ValidationError(f"must have at most {MOST_VALUES} values")
    return values


def _id(text: str) -> int:
    number = parse_integer_id(text)
    if number is None:
        raise ValidationError(f"must be whole numbers from 1 to {LARGEST_ID}")
    return number


def _small(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) is None:
        raise ValidationError("must be whole numbers from 0 to 999999999")
    return int(text)


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise ValidationError("must be true or false")
    return text.lower() in ("true", "1")


def _text(text: str) -> str:
    if len(text) > MOST_NAME:
        raise ValidationError(f"must have at most {MOST_NAME} characters each")
    return text


def _digest(text: str) -> str:
    if re.fullmatch(r"[0-9a-f]{64}", text, re.ASCII) is None:
        raise ValidationError("must be SHA-256 digests, 64 hexadecimal digits in lower case each")
    return text


def _word(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValidationError(f"must be one or more of {', '.join(words)}")
        return text

    return read


def _several(one: Callable[[str], Any], pattern: str, name: str) -> Several:
    """A filter. `pattern` is what each value must look like."""
    return Several(one, rf"^(?:(?:{pattern})?(?:,(?:{pattern})?)*)$", data_key=f"filter[{name}]")


def _ids(name: str) -> Several:
    return _several(_id, "[1-9][0-9]{0,18}", name)


def _flags(name: str) -> Several:
    return _several(_flag, "[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|0|1", name)


def _numbers(name: str) -> Several:
    return _several(_small, "[0-9]{1,9}", name)


def _texts(name: str) -> Several:
    return _several(_text, "[^,]{1,255}", name)


def _words(name: str, *words: str) -> Several:
    return _several(_word(*words), "|".join(words), name)


def _fields(resource: str, names: Sequence[str]) -> Names:
    return Names("field", names, data_key=f"fields[{resource}]")


class ThingQuery(Query):
    """For whatever can be shown with more than itself, or with less."""

    @pre_load
    def _refuse_unknown(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        for kind, what in (("filter", "filter"), ("fields", "field")):
            known = [name for name, given in map(_bracketed, self._keys()) if given == kind]
            asked = [name for name, given in map(_bracketed, data) if given == kind]
            for name in asked:
                if name not in known and (known or kind == "fields"):
                    raise not_allowed(what, name, known)
        return data

    def _keys(self) -> list[str]:
        return [str(field.data_key or name) for name, field in self.fields.items()]


def _bracketed(name: str) -> tuple[str, str]:
    """The name in `filter[name]`, and `filter`; nothing and nothing for any other parameter."""
    found = _BRACKETED.fullmatch(name)
    return (found[2], found[1]) if found else ("", "")


FLOW_INCLUDES = (
    "versions", "latestVersion", "deployedVersion",
    "versions.schedules", "latestVersion.schedules", "deployedVersion.schedules",
    "versions_count", "versionsExists", "latestVersionExists", "deployedVersionExists",
)  # fmt: skip
VERSION_INCLUDES = ("schedules", "schedules_count", "schedulesExists")

FLOW_SORTS = ("id", "name", "flow_priority", "created_at", "updated_at")
VERSION_SORTS = ("id", "name", "iteration", "deployed_at", "created_at", "updated_at")


class FlowQuery(ThingQuery):
    include = Names("include", FLOW_INCLUDES)
    flow_fields = _fields("flows", FLOW_FIELDS)
    version_fields = _fields("versions", VERSION_FIELDS)


class FlowsQuery(FlowQuery, PageQuery):
    sort = Names("sort", FLOW_SORTS, signs="-")
    filter_id = _ids("id")
    filter_name = _texts("name")
    filter_is_enabled = _flags("is_enabled")
    filter_flow_class = _words("flow_class", *FLOW_CLASSES)
    filter_flow_priority = _numbers("flow_priority")


class FlowVersionQuery(ThingQuery):
    include = Names("include", VERSION_INCLUDES)
    version_fields = _fields("versions", VERSION_FIELDS)


class FlowVersionsQuery(FlowVersionQuery, PageQuery):
    sort = Names("sort", VERSION_SORTS, signs="-")
    filter_id = _ids("id")
    filter_name = _texts("name")
    filter_status = _words("status", *VersionStatus)
    filter_iteration = _numbers("iteration")
    filter_is_enabled = _flags("is_enabled")


ITEM_SORTS = ("id", "name", "version", "size", "created_at")


class MarketplaceQuery(ThingQuery, PageQuery):
    sort = Names("sort", ITEM_SORTS, signs="-")
    filter_id = _ids("id")
    filter_name = _texts("name")
    filter_version = _texts("version")
    filter_company_id = _ids("company_id")
    filter_flow_id = _ids("flow_id")
    filter_digest = _several(_digest, "[0-9a-f]{64}", "digest")
    filter_private = _flags("private")
    filter_is_yanked = _flags("is_yanked")
    filter_is_latest = _flags("is_latest")


class MarketplaceLogQuery(ThingQuery, PageQuery):
    filter_company_id = _ids("company_id")


RUN_SORTS = ("started_at", "finished_at", "scheduled_for", "id")


def _status(text: str) -> str:
    """A status by its word, or by the number that the vendor's documents have for it."""
    numbered = {str(number): status for status, number in STATUS_NUMBERS.items()}
    return _word(*RunStatus)(numbered.get(text, text))


def _moment(text: str) -> datetime:
    """An instant in milliseconds since 1970, or as RFC 3339 writes it."""
    if _MILLISECONDS.fullmatch(text):
        return EARLIEST + timedelta(milliseconds=int(text))
    Moment().check(text)
    return parse_moment(text)


_MILLISECONDS = re.compile(r"[0-9]{1,14}", re.ASCII)
_MOMENT = f"[0-9]{{1,14}}|{PATTERN}"
_STATUSES = "|".join([*RunStatus, *map(str, STATUS_NUMBERS.values())])


class RunsQuery(ThingQuery, PageQuery):
    sort = Names("sort", RUN_SORTS, signs="-")
    filter_status = _several(_status, _STATUSES, "status")
    filter_flow_id = _ids("flow_id")
    filter_flow_version_id = _ids("flow_version_id")
    filter_schedule_id = _ids("schedule_id")
    filter_trigger = _words("trigger", *Trigger)
    filter_started_after = _several(_moment, _MOMENT, "started_after")
    filter_started_before = _several(_moment, _MOMENT, "started_before")


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


class MetricsQuery(ThingQuery, PageQuery):
    """`since` is the first instant wanted, `until` the first that is not."""

    sort = Names("sort", METRIC_SORTS, signs="-")
    filter_interval = _words("interval", *Interval)
    filter_type = _words("type", *MetricType)
    filter_key = _several(_metric_key, rf"{'|'.join(METRIC_KEYS)}|[^,]{{1,{MOST_METRIC_NAME}}}:(?:{_STATS})", "key")
    filter_version = _ids("version")
    since = Bound(data_key="filter[from]")
    until = Bound(data_key="filter[to]")


class CalendarQuery(Query):
    """`from` is now where it is left out."""

    start = Several(_moment, rf"^(?:{_MOMENT})?$", data_key="from")
    count = Count(least=1, most=MOST_ENTRIES, load_default=ENTRIES)


FILTER = "filter_"
"""What the name of a filter begins with in a loaded query."""
