"""JSON text with holes: how a dialect shows a thing, in a form PostgreSQL can fill in.

A list of a hundred then travels as one text that is ready to be sent, instead of as two thousand values that become
objects, then JSON. A hole names one of the columns the store offers for the thing; the store alone knows its SQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from typing import TypeAlias


class Form(Enum):
    """How the value of a column is written."""

    HEX_ID = auto()
    """An id as 24 hexadecimal digits, without quotes."""
    INSTANT = auto()
    """An instant in UTC, `2026-11-21T10:00:00.000Z`, without quotes."""
    JSON = auto()
    """Text in quotes and escaped, a number or a boolean."""
    VALUE = auto()
    """The same, or null where there is none."""
    MICROSECONDS = auto()
    """An instant in UTC to the microsecond, in quotes, or null where there is none."""
    MEMBERS = auto()
    """A JSON object without its opening brace: its members, as they were sent, go on with the object around. Not inside
    of a Given."""


@dataclass(frozen=True, slots=True)
class Hole:
    """The value of a column, written in a form; where it has none, as if it had `absent`."""

    column: str
    form: Form
    absent: str | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """A part that is left out as a whole unless the column has a value; has the value `being`; has one other than
    `unlike`. Only one of the two is said."""

    column: str
    parts: tuple[Part, ...]
    being: str | None = None
    unlike: str | None = None


Part: TypeAlias = str | Hole | Given


@dataclass(frozen=True, eq=False)
class Template:
    """Constant text, holes, and parts that may be missing, in order. Written once as a constant, and only itself."""

    parts: tuple[Part, ...]

    @cached_property
    def head(self) -> Template:
        """The same without the members it ends with, for whoever has them at hand."""
        *parts, last = self.parts
        assert isinstance(last, Hole), "it ends with members"
        assert last.form is Form.MEMBERS, "it ends with members"
        return Template(tuple(parts))
