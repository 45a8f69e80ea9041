"""What lists of the Losant dialect can be asked for: the page, the order, what they are narrowed by and what is shown.

Source: Losant's endpoint table. `filterField` has one word in each list, so it says nothing but may be said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, pre_load

from core.domain.flow_classes import FLOW_CLASSES
from core.domain.versions import MOST_NAME
from schemas.fields import Count, Query, QueryFlag, Text, Word

MOST_PAGE = 1_000
"""Rows of one page; Losant's own CLI asks for this many."""

LAST_PAGE = 999_999_999
"""Pages are counted from 0 and end where the digits a client may send end."""

MOST_QUERY = 262_144
"""Characters of a query in the address or in a body. The bounds on its conditions would allow no more anyway."""

MOST_FILTER = 1024
"""Characters of a glob, and of a trigger's type or key that is filtered by."""

MOST_TRIGGERS = 100
"""Triggers to filter by: Losant's own bound."""

DIRECTIONS = ("asc", "desc", "ASC", "DESC", "")

_FILTER_NAME = "triggerFilter"
_ENTRY = re.compile(r"triggerFilter\[([0-9]{1,9})\]\[([^\[\]]*)\]", re.ASCII)
_MEMBERS = ("type", "key")


class LinkedQuery(Query):
    """For whatever can be shown with its type and links."""

    links = QueryFlag(load_default=False, data_key="_links")


class ContentQuery(LinkedQuery):
    """For whatever can be shown with the custom nodes its content refers to."""

    include_custom_nodes = QueryFlag(load_default=False, data_key="includeCustomNodes")


class PageQuery(LinkedQuery):
    page = Count(least=0, most=LAST_PAGE, load_default=0)
    per_page = Count(least=1, most=MOST_PAGE, load_default=100, data_key="perPage")
    sort_direction = Word(*DIRECTIONS, load_default="asc", data_key="sortDirection")
    query = Text(most=MOST_QUERY)


class VersionsQuery(PageQuery, ContentQuery):
    sort_field = Word("version", "id", "creationDate", "lastUpdated", load_default="version", data_key="sortField")
    filter_field = Word("version", data_key="filterField")
    filter = Text(most=MOST_FILTER)


class TriggerFilter(fields.Field[tuple[tuple[str | None, str | None], ...]]):
    """`triggerFilter[0][type]=timer&triggerFilter[0][key]=…`, as pairs of type and key in the order of their numbers.

    The query it stands in has to gather the parameters first. Blank is none.
    """

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> tuple[tuple[str | None, str | None], ...]:
        if value == "":
            return ()
        if not isinstance(value, Mapping):
            raise ValidationError(f"must be written as {_FILTER_NAME}[0][type] and {_FILTER_NAME}[0][key]")
        if max(value) >= MOST_TRIGGERS:
            raise ValidationError(f"must have at most {MOST_TRIGGERS} entries")
        return tuple(_pair(number, value[number]) for number in sorted(value))


def _pair(number: int, entry: Mapping[str, str]) -> tuple[str | None, str | None]:
    for name, text in entry.items():
        problem = _problem(name, text)
        if problem:
            raise ValidationError({number: {name: [problem]}})
    return entry.get("type"), entry.get("key")


def _problem(name: str, text: str) -> str | None:
    if name not in _MEMBERS:
        return f"is not known here; there are {', '.join(_MEMBERS)}"
    if len(text) > MOST_FILTER:
        return f"must have at most {MOST_FILTER} characters"
    return "must not contain NUL" if "\0" in text else None


class FlowListQuery(PageQuery, ContentQuery):
    """What both lists of flows take."""

    sort_field = Word("name", "id", "creationDate", "lastUpdated", load_default="name", data_key="sortField")
    filter_field = Word("name", data_key="filterField")
    filter = Text(most=MOST_FILTER)
    flow_class = Word(*FLOW_CLASSES, load_default="cloud", data_key="flowClass")
    trigger_filter = TriggerFilter(load_default=(), data_key=_FILTER_NAME)

    @pre_load
    def _gather(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Puts the parameters of the trigger filter, each with its place in its name, under one name."""
        found: dict[int, dict[str, str]] = {}
        for name, value in data.items():
            if name.startswith(f"{_FILTER_NAME}["):
                place = _ENTRY.fullmatch(name)
                if place is None:
                    return {**data, _FILTER_NAME: "written in another way"}
                found.setdefault(int(place[1]), {})[place[2]] = value
        return {**data, _FILTER_NAME: found} if found else data


class FlowsQuery(FlowListQuery):
    all_versions = QueryFlag(load_default=False, data_key="allVersions")


class NamesakesQuery(FlowListQuery):
    version = Text(least=1, most=MOST_NAME, required=True)


class WritingQuery(ContentQuery):
    """For whatever brings content along."""

    strict = QueryFlag(load_default=False, data_key="strictValidation")


class VersionPostQuery(WritingQuery):
    allow_replacement = QueryFlag(load_default=False, data_key="allowReplacement")


class JobLogsQuery(PageQuery):
    sort_field = Word(
        "name", "status", "resourceType", "runQueuedAt", "runStartedAt", "runCompletedAt",
        load_default="runQueuedAt", data_key="sortField",
    )  # fmt: skip
