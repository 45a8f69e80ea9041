"""Builds domain values from rows, field by field of the same name."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

import asyncpg

Value = TypeVar("Value")


def build(kind: type[Value], row: asyncpg.Record, /, **given: object) -> Value:
    """A `kind` (a dataclass) whose fields come from the row's columns of the same names, but for those `given`."""
    names = [field.name for field in fields(kind) if field.name not in given]  # type: ignore[arg-type]
    values: dict[str, Any] = {name: row[name] for name in names}
    return kind(**values, **given)
