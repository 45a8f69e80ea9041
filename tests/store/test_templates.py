"""What PostgreSQL makes of a template: every form, every reason to leave a part out, whatever the values hold."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone

import orjson
import pytest

from core.domain.templates import Form, Given, Hole, Part, Template
from core.store.database import Database
from core.store.templates import SHOWN, compile_template, showing

COLUMNS = {
    "id": "$1::bigint", "at": "$2::timestamptz", "text": "$3::text", "list": "$4::text[]", "flag": "$5::boolean",
    "body": "$6::json",
}  # fmt: skip
NOTHING: Mapping[str, object] = dict.fromkeys(COLUMNS)

ODD = 'it\'s "odd" \\ \n \u0001 \u00e9 \U0001f600 {column} %s $1 /* shown */ --'
"""What careless quoting would get wrong, in SQL, in JSON or in Python."""


async def fill(database: Database, *parts: Part, **values: object) -> str:
    async with database.connection() as connection:
        columns = ", ".join(f"({place}) IS NULL" for place in COLUMNS.values())
        sql = f"SELECT {compile_template(Template(parts), COLUMNS)} AS shown, {columns}"
        shown: bytes = await connection.fetchval(sql, *{**NOTHING, **values}.values())
    return shown.decode()


@pytest.mark.parametrize(
    ("form", "column", "value", "shown"),
    [
        (Form.HEX_ID, "id", 1, "000000000000000000000001"),
        (Form.HEX_ID, "id", 2**63 - 1, "000000007fffffffffffffff"),
        (Form.INSTANT, "at", datetime(2026, 11, 21, 10, tzinfo=UTC), "2026-11-21T10:00:00.000Z"),
        (Form.INSTANT, "at", datetime(2026, 11, 21, 10, 0, 0, 999_999, tzinfo=UTC), "2026-11-21T10:00:00.999Z"),
        (
            Form.INSTANT, "at", datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=2))),
            "2025-12-31T22:30:00.000Z",
        ),
        (Form.JSON, "id", 7, "7"),
        (Form.JSON, "flag", False, "false"),
        (Form.JSON, "list", [], "[]"),
        (Form.MEMBERS, "body", '{ "b":1.50,"a":[] }', ' "b":1.50,"a":[] }'),
    ],
)  # fmt: skip
async def test_each_form(database: Database, form: Form, column: str, value: object, shown: str) -> None:
    assert await fill(database, "<", Hole(column, form), ">", **{column: value}) == f"<{shown}>"


async def test_texts_come_back_whatever_they_hold(database: Database) -> None:
    parts = ('{"text":', Hole("text", Form.JSON), ',"list":', Hole("list", Form.JSON), "}")
    shown = orjson.loads(await fill(database, *parts, text=ODD, list=[ODD, ""]))
    assert shown == {"text": ODD, "list": [ODD, ""]}


async def test_constant_text_is_itself(database: Database) -> None:
    assert await fill(database, ODD, Given("id", (ODD,)), id=1) == 2 * ODD


async def test_members_go_on_with_the_object_around(database: Database) -> None:
    parts = ('{"id":', Hole("id", Form.JSON), ",", Hole("body", Form.MEMBERS))
    shown = await fill(database, *parts, id=7, body='{"text":"\u00e9","n":1e2}')
    assert shown == '{"id":7,"text":"\u00e9","n":1e2}'


@pytest.mark.parametrize(
    ("hole", "shown"),
    [
        (Hole("text", Form.JSON, absent=ODD), orjson.dumps(ODD).decode()),
        (Hole("text", Form.JSON, absent=""), '""'),
        (Hole("body", Form.MEMBERS, absent='{"it\'s":[]}'), '"it\'s":[]}'),
    ],
)
async def test_what_has_no_value_can_be_written_as_if_it_had(database: Database, hole: Hole, shown: str) -> None:
    assert await fill(database, hole) == shown
    kept = await fill(database, hole, text="kept", body='{"kept":1}')
    assert kept == ('"kept"' if hole.column == "text" else '"kept":1}')


@pytest.mark.parametrize(
    ("given", "of_none", "of_it", "of_another", "of_empty"),
    [
        (Given("text", ("x",)), "", "x", "x", "x"),
        (Given("text", ("x",), being="it's"), "", "x", "", ""),
        (Given("text", ("x",), unlike="it's"), "", "", "x", "x"),
        (Given("text", ("x",), unlike=""), "", "x", "x", ""),
    ],
)
async def test_each_reason_to_leave_a_part_out(
    database: Database, given: Given, of_none: str, of_it: str, of_another: str, of_empty: str
) -> None:
    values = (None, "it's", "another", "")
    assert [await fill(database, "<", given, ">", text=value) for value in values] == [
        f"<{shown}>" for shown in (of_none, of_it, of_another, of_empty)
    ]


async def test_a_part_may_be_left_out_within_another(database: Database) -> None:
    part = Given("text", ("(", Given("id", (Hole("id", Form.JSON),)), ")"), unlike="none")
    for text, number, shown in (("a", 7, "(7)"), ("a", None, "()"), ("none", 7, ""), (None, 7, "")):
        assert await fill(database, "<", part, ">", text=text, id=number) == f"<{shown}>"


async def test_a_statement_shows_what_it_is_told_to(database: Database) -> None:
    show = showing({"one": "1", "two": "2"})
    both = [Template((Hole(column, Form.JSON),)) for column in ("one", "two")]
    async with database.connection() as connection:
        assert [await connection.fetchval(show(f"SELECT {SHOWN}", template)) for template in both] == [b"1", b"2"]


def test_only_what_is_offered_can_be_shown() -> None:
    with pytest.raises(KeyError):
        compile_template(Template((Hole("secret", Form.JSON),)), COLUMNS)
