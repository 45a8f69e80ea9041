"""What all lists have in common: which page, in which order, and how many rows there are in all."""

from __future__ import annotations

from dataclasses import dataclass

from core.store.predicates import Predicate

QUERY = "/* query */ TRUE"
"""Stands in a query where a compiled predicate goes."""

ORDER = "/* order */ 1"
"""Stands in a query where a subject's order goes."""


@dataclass(frozen=True, slots=True)
class Order:
    """Which page of a list, sorted by what: `sort` is a word that lists of its kind can be sorted by."""

    sort: str
    descending: bool
    limit: int
    offset: int


def page_of(statement: str, predicate: Predicate, order: Order) -> str:
    """A listing statement with its predicate and its order put in."""
    by = predicate.subject.order(order.sort, descending=order.descending)
    return statement.replace(QUERY, predicate.sql).replace(ORDER, by)


def count_of(statement: str, predicate: Predicate) -> str:
    """A counting statement with its predicate put in."""
    return statement.replace(QUERY, predicate.sql)


def known_total(order: Order, rows: int) -> int | None:
    """How many rows there are in all if the page tells: it is not full, and not beyond the end. Else None."""
    if rows < order.limit and (rows or not order.offset):
        return order.offset + rows
    return None
