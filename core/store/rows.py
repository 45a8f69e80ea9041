"""Builds domain values from rows, field by field of the same name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import cache
from operator import itemgetter
from typing import Any, TypeVar

import asyncpg

Value = TypeVar("Value")


def build(kind: type[Value], row: asyncpg.Record, /, **given: object) -> Value:
    """A `kind` (a dataclass) whose fields come from the row's columns of the same names, but for those `given`."""
    names, pick = _columns(kind, tuple(given))  # type: ignore[arg-type]
    if not given:
        return kind(*pick(row))
    return kind(**dict(zip(names, pick(row), strict=True)), **given)


@cache
def _columns(kind: type, given: tuple[str, ...]) -> tuple[tuple[str, ...], Callable[[asyncpg.Record], tuple[Any, ...]]]:
    """The names that are read from a row, and what reads them; kept, since a page of a list asks a thousand times."""
    names = tuple(field.name for field in fields(kind) if field.name not in given)
    if len(names) < 2:  # itemgetter would give one value bare
        return names, lambda row: tuple(row[name] for name in names)
    return names, itemgetter(*names)
