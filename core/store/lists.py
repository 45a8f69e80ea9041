"""What all lists have in common: which page, in which order, and how many rows there are in all."""

from __future__ import annotations

from dataclasses import dataclass

from core.store.predicates import Predicate

QUERY = "/* query */ TRUE"
"""Stands in a query where a compiled predicate goes."""

ORDER = "/* order */ 1"
"""Stands in a query where a subject's order goes."""

JOINED = "/* joined */"
"""Stands in a query where the rows are joined that a predicate may look at beside the subject's own."""


@dataclass(frozen=True, slots=True)
class Order:
    """Which page of a list, sorted by what: `sort` is a word that lists of its kind can be sorted by."""

    sort: str
    descending: bool
    limit: int
    offset: int


def page_of(statement: str, predicate: Predicate, order: Order) -> str:
    """A listing statement with its predicate, what that looks at, and its order put in."""
    by = predicate.subject.order(order.sort, descending=order.descending)
    joins = predicate.subject.joins if predicate.joined else ""
    return statement.replace(JOINED, joins).replace(QUERY, predicate.sql).replace(ORDER, by)
