"""What lists of the Losant dialect share: what they are narrowed by, their order, and the envelope they come in."""

from __future__ import annotations

from typing import Any

from core.domain.documents import parse_json
from core.domain.languages import Language
from core.domain.query import (
    EVERYTHING,
    Combination,
    Condition,
    Glob,
    Group,
    Node,
    Operator,
    TriggerFilter,
    parse_query,
)
from core.store.lists import Order
from core.threads import computed
from service.calls import Call


def order_of(call: Call) -> Order:
    page, per_page = call.query["page"], call.query["per_page"]
    return Order(
        call.query["sort_field"], call.query["sort_direction"].lower() == "desc", limit=per_page, offset=page * per_page
    )


async def query_of(call: Call, language: Language) -> Combination | None:
    """The parameter `query`; None if it is not there or blank. Raises Invalid."""
    text = call.query.get("query")
    if not text:
        return None
    return await computed(len(text), lambda: parse_query(parse_json(text, "query"), language=language))


async def selection_of(call: Call, language: Language) -> Combination:
    """What a list of flows is narrowed by: `query`, which overrides them, or the other parameters. Blank ones are
    none, but there is always a class."""
    query = await query_of(call, language)
    if query is not None:
        return query
    asked: list[Node] = [Condition("flowClass", Operator.EQ, call.query["flow_class"])]
    if glob := call.query.get("filter"):
        asked.append(Glob(glob, "name"))
    if triggers := call.query["trigger_filter"]:
        asked.append(TriggerFilter(triggers))
    return Combination(Group.AND, tuple(asked))


async def entries_of(call: Call, language: Language) -> Combination:
    """What a list is narrowed by that takes nothing but a query."""
    query = await query_of(call, language)
    return EVERYTHING if query is None else query


def envelope_of(call: Call, count: int, total: int, **more: Any) -> dict[str, Any]:
    """What a list tells beside its items; `filter` and `filterField` only when they were given."""
    query = call.query
    given = {"filter": "filter", "filterField": "filter_field"}
    return {
        "count": count,
        "totalCount": total,
        "perPage": query["per_page"],
        "page": query["page"],
        "sortField": query["sort_field"],
        "sortDirection": query["sort_direction"] or "asc",
        **{shown: query[name] for shown, name in given.items() if name in query},
        **more,
    }
