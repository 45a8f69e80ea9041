"""Builds domain values from rows, field by field of the same name."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Any, TypeVar

import asyncpg

Value = TypeVar("Value")


def build(kind: type[Value], row: asyncpg.Record, /, **given: object) -> Value:
    """A `kind` (a dataclass) whose fields come from the row's columns of the same names, but for those `given`."""
    values: dict[str, Any] = {name: row[name] for name in _names(kind) if name not in given}  # type: ignore[arg-type]
    return kind(**values, **given)


@cache
def _names(kind: type) -> tuple[str, ...]:
    """Kept, since a page of a list asks a thousand times."""
    return tuple(field.name for field in fields(kind))
