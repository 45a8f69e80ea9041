"""Where the filters and sorts of the Patchworks dialect stand, and how they get into a statement.

Only names of the tables below become SQL; every value a caller sent is a parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from core.domain.listings import Listing, Values
from core.domain.versions import fold
from core.store.lists import ORDER, QUERY


@dataclass(frozen=True, slots=True)
class Filter:
    """A predicate in which `{}` is the array of the values asked for, each as `meant` makes it."""

    sql: str
    meant: Callable[[Any], Any] = lambda value: value


@dataclass(frozen=True, slots=True)
class Sort:
    """An expression to sort by. What has no value comes before the rest; said only where that can be, since no index
    would serve otherwise."""

    sql: str
    nullable: bool = False

    def directed(self, *, descending: bool) -> str:
        direction = f"{self.sql} DESC" if descending else f"{self.sql} ASC"
        if not self.nullable:
            return direction
        return f"{direction} NULLS LAST" if descending else f"{direction} NULLS FIRST"


@dataclass(frozen=True, slots=True)
class Shelf:
    """One kind of row: its filters, what it can be sorted by, and its own order, of which no two rows have the same."""

    filters: Mapping[str, Filter]
    sorts: Mapping[str, Sort]
    order: tuple[Sort, bool]


def _anywhere(text: str) -> str:
    """A pattern of LIKE for texts that contain this one, in any case."""
    plain = fold(text).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{plain}%"


FLOWS = Shelf(
    {
        "id": Filter("f.id = ANY ({}::bigint[])"),
        "name": Filter('coalesce(f.name_folded, lower(f.name) COLLATE "C") LIKE ANY ({}::text[])', _anywhere),
        "is_enabled": Filter("f.enabled = ANY ({}::boolean[])"),
        "flow_class": Filter("f.flow_class = ANY ({}::text[])"),
        "flow_priority": Filter("f.flow_priority = ANY ({}::integer[])"),
    },
    {
        "id": Sort("f.id"),
        "name": Sort('(f.name COLLATE "C")'),
        "flow_priority": Sort("f.flow_priority"),
        "created_at": Sort("f.created_at"),
        "updated_at": Sort("f.updated_at"),
    },
    order=(Sort("f.id"), False),
)

VERSIONS = Shelf(
    {
        "id": Filter("v.id = ANY ({}::bigint[])"),
        "name": Filter("v.name_folded LIKE ANY ({}::text[])", _anywhere),
        "status": Filter("v.status = ANY ({}::text[])"),
        "iteration": Filter("v.iteration = ANY ({}::integer[])"),
        "is_enabled": Filter("v.enabled = ANY ({}::boolean[])"),
    },
    {
        "id": Sort("v.id"),
        "name": Sort("v.name", nullable=True),
        "iteration": Sort("v.iteration"),
        "deployed_at": Sort("coalesce(v.deployed_at, v.deploy_at)", nullable=True),
        "created_at": Sort("v.created_at"),
        "updated_at": Sort("v.updated_at"),
    },
    order=(Sort("v.iteration"), True),
)


def listed_by(statement: str, shelf: Shelf, listing: Listing, *, first: int) -> tuple[str, list[Any]]:
    """A listing statement with filters and order put in, and the values of its parameters from `$first` on."""
    predicate, values = _narrowed(shelf, listing, first)
    return statement.replace(QUERY, predicate).replace(ORDER, _ordered(shelf, listing)), values


def _narrowed(shelf: Shelf, listing: Listing, first: int) -> tuple[str, list[Any]]:
    parts: list[str] = []
    values: list[Any] = []
    for name, asked in listing.filters.items():
        found = shelf.filters[name]
        parts.append(found.sql.format(f"${first + len(values)}"))
        values.append(_meant(found, asked))
    return " AND ".join(parts) or "TRUE", values


def _meant(found: Filter, asked: Values) -> list[Any]:
    return [found.meant(value) for value in asked]


def _ordered(shelf: Shelf, listing: Listing) -> str:
    """Equal values go by the row's own order, so that pages never overlap."""
    asked = [(shelf.sorts[name], descending) for name, descending in listing.sorts]
    return ", ".join(sort.directed(descending=descending) for sort, descending in [*asked, shelf.order])
