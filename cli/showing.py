"""What commands about people and keys print, and how ids are typed at them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.table import Column, Table

from core.domain.identifiers import parse_hex_id, parse_integer_id


class Id(click.ParamType[int]):
    """An id in either spelling: a plain number, or 24 hexadecimal digits."""

    name = "id"

    def convert(self, value: object, param: click.Parameter | None, context: click.Context | None) -> int:
        number = parse_hex_id(str(value)) or parse_integer_id(str(value))
        if number is None:
            self.fail(f"{value} is neither a number nor 24 hexadecimal digits", param, context)
        return number


ID = Id()


def say(facts: Mapping[str, object]) -> None:
    """One `name value` a line, for people and for scripts."""
    for name, value in facts.items():
        click.echo(f"{name} {value}")


PIPED_WIDTH = 1_000
"""Characters of a line that no terminal shows: nothing in it is folded, so that scripts find ids whole."""


def show(rows: Iterable[Mapping[str, object]], *columns: str) -> None:
    """A table of these columns; where a terminal is too narrow for one it is folded, never cut."""
    table = Table(*(Column(column, overflow="fold") for column in columns), box=None, header_style="bold")
    for row in rows:
        table.add_row(*(_cell(row[column]) for column in columns))
    Console(width=None if sys.stdout.isatty() else PIPED_WIDTH).print(table)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
