"""What lists of the Patchworks dialect were asked for, as operations take it."""

from __future__ import annotations

from typing import Any

from yarl import URL

from core.domain.listings import Listing
from schemas.patchworks_lists import FILTER
from service.calls import Answer, Call
from service.native.paging import Paging


def listing_of(call: Call) -> Listing:
    """The page, what it is narrowed by and its order."""
    paging = Paging.of(call)
    filters = {
        name.removeprefix(FILTER): asked for name, asked in call.query.items() if name.startswith(FILTER) and asked
    }
    sorts = [(name.removeprefix("-"), name.startswith("-")) for name in call.query["sort"]]
    return Listing(paging.limit, paging.offset, filters, sorts)


def page_of(call: Call, path: str, rows: list[Any], total: int) -> Answer:
    """The page, with links that ask for the same in the same way."""
    paging = Paging.of(call)
    asked = URL(call.raw_path, encoded=True).query
    kept = {name: value for name, value in asked.items() if name.partition("[")[0] in _KEPT}
    return paging.answer(call, path, rows, total, {**kept, "per_page": str(paging.limit)})


_KEPT = frozenset({"filter", "sort", "include", "fields"})
