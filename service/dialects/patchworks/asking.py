"""What lists of the Patchworks dialect were asked for, as operations take it."""

from __future__ import annotations

from typing import Any

import orjson

from core.domain.listings import Listing
from core.operations.shown import Page
from schemas.patchworks_lists import FILTER
from service.calls import Answer, Call
from service.native.paging import Paging


def listing_of(call: Call) -> Listing:
    """The page, what it is narrowed by and its order."""
    paging = Paging.of(call)
    filters = {
        name.removeprefix(FILTER): asked if isinstance(asked, list) else [asked]
        for name, asked in call.query.items()
        if name.startswith(FILTER) and asked
    }
    sorts = [(name.removeprefix("-"), name.startswith("-")) for name in call.query["sort"]]
    return Listing(paging.limit, paging.offset, filters, sorts)


def is_special(call: Call) -> bool:
    """Whether things are to be shown with more or less than themselves."""
    return bool(call.query["include"] or call.query["version_fields"] or call.query.get("flow_fields"))


def page_of(call: Call, path: str, page: Page, rows: list[Any] | None = None) -> Answer:
    """The page, with these rows where it is not shown as it came."""
    shown = orjson.Fragment(b"[" + page.items + b"]") if rows is None else rows
    return Paging.of(call).answer(call, path, shown, page.total, count=len(page.ids))


def rows_of(page: Page) -> list[dict[str, Any]]:
    """What is on the page, each as it is shown."""
    rows: list[dict[str, Any]] = orjson.loads(b"[" + page.items + b"]")
    return rows
