"""Reads the named queries of core/store/sql.

A file holds queries in this form, and nothing else speaks SQL but the predicate compiler:

    -- name: lock_flow
    -- What it is for, in a line; then why this lock or this order.
    SELECT …;
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

_HEADING = re.compile(r"^-- name: (\w+)\n", re.MULTILINE | re.ASCII)


def query(name: str) -> str:
    """The SQL called `table.verb_noun`. Raises KeyError for a name no file has."""
    table, _, verb = name.partition(".")
    return queries_of(table)[verb]


@cache
def queries_of(table: str) -> dict[str, str]:
    """All queries of one file, by name, with their comments."""
    text = resources.files("core.store.sql").joinpath(f"{table}.sql").read_text()
    parts = _HEADING.split(text)[1:]
    named = dict(zip(parts[::2], (part.strip() for part in parts[1::2]), strict=True))
    if len(named) * 2 != len(parts):
        raise ValueError(f"{table}.sql names a query twice")
    return named


def tables() -> list[str]:
    """The query files there are, in alphabetical order."""
    entries = resources.files("core.store.sql").iterdir()
    return sorted(entry.name.removesuffix(".sql") for entry in entries if entry.name.endswith(".sql"))
