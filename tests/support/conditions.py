"""Each comparison by itself, against rows: of queries drawn at random, most are met by no row."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from core.domain.identifiers import hex_id
from core.domain.languages import Kind, Language
from tests.support.evaluator import COMPARE, TEXT, Row, holds


def operands_of(rows: list[Row], name: str, kind: Kind) -> list[Any]:
    """Null, and a few that some rows have or stand next to."""
    if kind is Kind.DATE:
        moments = sorted({moment for row in rows if (moment := row.dates[name])})
        return [None, 0, *(moment.isoformat() for moment in moments[:: len(moments) // 3])]
    if kind is Kind.ID:
        numbers = sorted({number for row in rows if (number := row.ids[name])})
        return [None, "f" * 24, *(hex_id(number) for number in numbers[:: len(numbers) // 3 + 1])]
    values = sorted({row.fields[name] for row in rows}, key=str)
    return [None, 5, *values[:: len(values) // 4 + 1], "ed"]


def conditions_of(rows: list[Row], language: Language) -> Iterator[dict[str, Any]]:
    for name, kind in language.items():
        if kind in (Kind.TRIGGERS, Kind.NODES):
            continue
        operands = operands_of(rows, name, kind)
        given = [operand for operand in operands if operand is not None]
        rules: list[dict[str, Any]] = [{rule: one} for rule in ("$eq", "$ne", *COMPARE) for one in operands]
        rules += [{rule: listed} for rule in ("$in", "$nin") for listed in ([], given[:1], given)]
        if kind in (Kind.TEXT, Kind.FLAG):
            rules += [{rule: one} for rule in TEXT for one in operands if isinstance(one, str)]
            rules += [{**rule, "$ci": True} for rule in rules]
        yield from ({name: rule} for rule in rules)


async def assert_each_condition(
    read: Callable[[dict[str, Any]], Awaitable[list[int]]], rows: list[Row], language: Language
) -> None:
    """As it is, and turned round: what SQL leaves open would be in neither."""
    for query in conditions_of(rows, language):
        expected = [row.id for row in rows if holds(query, row)]
        assert await read(query) == expected, query
        assert await read({"$nor": [query]}) == [row.id for row in rows if row.id not in expected], query
