"""The grammar of cron expressions: what is read, and that everything else is refused at its very character."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.cron import MOST_CRON_CHARACTERS, Cron, parse_cron
from core.domain.errors import Invalid
from tests.support.crons import BOUNDS, expressions, has_wildcard_hour, values

EVERY_MONTH = list(range(1, 13))
EVERY_WEEKDAY = list(range(7))


def numbers(bits: int) -> list[int]:
    return [value for value in range(64) if bits >> value & 1]


def sets(cron: Cron) -> list[list[int]]:
    days = cron.days
    return [numbers(bits) for bits in (cron.minutes, cron.hours, days.days, days.months, days.weekdays)]


def refusal(text: str) -> str:
    with pytest.raises(Invalid) as refused:
        parse_cron(text)
    assert refused.value.path == "cron_string"
    return refused.value.problem


# What is read


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("*", list(range(60))),
        ("5", [5]),
        ("05", [5]),
        ("5-8", [5, 6, 7, 8]),
        ("5-5", [5]),
        ("*/45", [0, 45]),
        ("*/60", [0]),
        ("*/1", list(range(60))),
        ("5/15", [5, 20, 35, 50]),
        ("59/15", [59]),
        ("10-30/10", [10, 20, 30]),
        ("10-11/15", [10]),
        ("1,2,1", [1, 2]),
        ("*/30,7,50-52", [0, 7, 30, 50, 51, 52]),
        ("*,5", list(range(60))),
    ],
)
def test_a_field_is_a_list_of_parts(field: str, expected: list[int]) -> None:
    assert numbers(parse_cron(f"{field} * * * *").minutes) == expected


def test_each_field_has_its_bounds() -> None:
    assert sets(parse_cron("0,59 0,23 1,31 1,12 *")) == [[0, 59], [0, 23], [1, 31], [1, 12], EVERY_WEEKDAY]
    assert sets(parse_cron("* * * * 0,6"))[4] == [0, 6]
    assert sets(parse_cron("* */6 * */5 */3")) == [
        list(range(60)), [0, 6, 12, 18], list(range(1, 32)), [1, 6, 11], [0, 3, 6]
    ]  # fmt: skip


def test_fields_stand_between_blanks() -> None:
    written = parse_cron("  0\t3  1 *\t \t2 ")
    assert sets(written) == sets(parse_cron("0 3 1 * 2"))
    assert (written.text, written.day_at) == ("  0\t3  1 *\t \t2 ", 8)


@settings(deadline=None)
@given(expressions())
def test_it_reads_what_a_plain_reading_reads(expression: str) -> None:
    cron = parse_cron(expression, may_never_fire=True)
    fields = [sorted(values(field, *bounds)) for field, bounds in zip(expression.split(), BOUNDS, strict=True)]
    if len(fields[2]) == 31 or len(fields[4]) == 7:
        assert not cron.days.either
    if cron.either_day and not cron.days.either:
        fields[2], fields[4] = list(range(1, 32)), EVERY_WEEKDAY
    assert sets(cron) == fields
    assert cron.wildcard_hour == has_wildcard_hour(expression)


@pytest.mark.parametrize(
    ("expression", "either", "wildcard"),
    [
        ("0 0 1 * *", False, False),
        ("0 * * * 1", False, True),
        ("0 0 1 * 1", True, False),
        ("0 */2 1-31 * 1", True, True),
        ("0 1,*/7 * * 0-6", False, True),
        ("0 0-23 */2 * */2", True, True),
        ("0 0-22 * * *", False, False),
    ],
)
def test_day_and_weekday_written_mean_either(expression: str, either: bool, wildcard: bool) -> None:
    cron = parse_cron(expression)
    assert (cron.either_day, cron.wildcard_hour) == (either, wildcard)


# What is refused


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "minute, character 1: is missing"),
        ("  ", "minute, character 3: is missing"),
        ("*", "hour, character 2: is missing"),
        ("* * * *", "weekday, character 8: is missing"),
        ("0 * * * * *", "field 6, character 11: there are 6 fields"),
        ("0 0 0 1 1 * 2026", "field 6, character 11: there are 7 fields"),
        ("@daily", "minute, character 1: a macro"),
        (" @every 5m", "minute, character 2: a macro"),
        ("R * * * *", "minute, character 1: 'R' is not understood here"),
        ("R R * * *", "minute, character 1: 'R' is not understood here"),
        ("* H * * *", "hour, character 3: 'H' is not understood here"),
        ("H(0-5) * * * *", "minute, character 1: 'H' is not understood here"),
        ("* * L * *", "day, character 5: 'L' is not understood here"),
        ("* * 15W * *", "day, character 7: 'W' is not understood here"),
        ("* * ? * *", "day, character 5: '?' is not understood here"),
        ("* * * * 1#2", "weekday, character 10: '#' is not understood here"),
        ("0 0 * * MON", "weekday, character 9: names are not understood; write 1 for MON"),
        ("0 0 * * fri-mon", "weekday, character 9: names are not understood; write 5 for FRI"),
        ("0 0 * * 1-Fri", "weekday, character 11: names are not understood; write 5 for FRI"),
        ("0 0 1 JAN *", "month, character 7: names are not understood; write 1 for JAN"),
        ("0 0 1 1,dec *", "month, character 9: names are not understood; write 12 for DEC"),
        ("0 0 * * JAN", "weekday, character 9: 'J' is not understood here"),
        ("60 * * * *", "minute, character 1: 60 is not from 0 to 59"),
        ("61 * * * *", "minute, character 1: 61 is not from 0 to 59"),
        ("* 24 * * *", "hour, character 3: 24 is not from 0 to 23"),
        ("* * 0 * *", "day, character 5: 0 is not from 1 to 31"),
        ("* * 32 * *", "day, character 5: 32 is not from 1 to 31"),
        ("* * * 0 *", "month, character 7: 0 is not from 1 to 12"),
        ("* * * 13 *", "month, character 7: 13 is not from 1 to 12"),
        ("* * * * 7", "weekday, character 9: 7 is not from 0 to 6; Sunday is 0"),
        ("* * * * 5-7", "weekday, character 11: 7 is not from 0 to 6; Sunday is 0"),
        ("1,2,60 * * * *", "minute, character 5: 60 is not from 0 to 59"),
        ("50-60 * * * *", "minute, character 4: 60 is not from 0 to 59"),
        ("* 22-2 * * *", "hour, character 3: the range 22-2 runs backwards; write 22-23,0-2"),
        ("* * * 11-2 *", "month, character 7: the range 11-2 runs backwards; write 11-12,1-2"),
        ("* * * * 5-1", "weekday, character 9: the range 5-1 runs backwards; write 5-6,0-1"),
        ("*/0 * * * *", "minute, character 3: a step of 0 is not from 1 to 60"),
        ("*/90 * * * *", "minute, character 3: a step of 90 is not from 1 to 60"),
        ("* */25 * * *", "hour, character 5: a step of 25 is not from 1 to 24"),
        ("5-10/0 * * * *", "minute, character 6: a step of 0 is not from 1 to 60"),
        ("1,,2 * * * *", "minute, character 3: a value is missing"),
        (", * * * *", "minute, character 1: a value is missing"),
        ("1, * * * *", "minute, character 3: a value is missing"),
        ("* * * * 1,", "weekday, character 11: a value is missing"),
        ("-5 * * * *", "minute, character 1: '-' is not understood here"),
        ("5- * * * *", "minute, character 2: '-' is not understood here"),
        ("1-2-3 * * * *", "minute, character 4: '-' is not understood here"),
        ("/5 * * * *", "minute, character 1: '/' is not understood here"),
        ("*/ * * * *", "minute, character 2: '/' is not understood here"),
        ("*/5/5 * * * *", "minute, character 4: '/' is not understood here"),
        ("*/-1 * * * *", "minute, character 2: '/' is not understood here"),
        ("** * * * *", "minute, character 2: '*' is not understood here"),
        ("*-5 * * * *", "minute, character 2: '-' is not understood here"),
        ("*5 * * * *", "minute, character 2: '5' is not understood here"),
        ("1.5 * * * *", "minute, character 2: '.' is not understood here"),
        ("+1 * * * *", "minute, character 1: '+' is not understood here"),
        ("1_0 * * * *", "minute, character 2: '_' is not understood here"),
        ("\u0663 * * * *", r"minute, character 1: '\u0663' is not understood here"),
        ("1\u0663 * * * *", r"minute, character 2: '\u0663' is not understood here"),
        ("* \uff15 * * *", r"hour, character 3: '\uff15' is not understood here"),
        ("* \u00b2 * * *", r"hour, character 3: '\xb2' is not understood here"),
        ("*\u00a0* * * *", "minute, character 2: only spaces and tabs separate fields"),
        ("* *\u2003* * *", "hour, character 4: only spaces and tabs separate fields"),
        ("* * * * *\n", r"weekday, character 10: '\n' is not understood here"),
        ("* * * *\n*", "month, character 8: only spaces and tabs separate fields"),
        ("* * * * \x00", r"weekday, character 9: '\x00' is not understood here"),
        ("* * * * \ud800", r"weekday, character 9: '\ud800' is not understood here"),
        ("0 0 30 2 *", "day, character 5: no such day is in any of these months, so it never fires"),
        ("0 0  30,31 2 *", "day, character 6: no such day is in any of these months, so it never fires"),
        ("0 0 31 2,4,6,9,11 *", "day, character 5: no such day is in any of these months, so it never fires"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_shown_where_it_stands(text: str, problem: str) -> None:
    assert refusal(text).startswith(problem)


def test_the_path_is_the_callers() -> None:
    with pytest.raises(Invalid) as refused:
        parse_cron("61 * * * *", "triggers[0].config.cron")
    assert refused.value.message == "triggers[0].config.cron: minute, character 1: 61 is not from 0 to 59"


def test_a_day_that_no_year_has_is_refused_unless_it_may() -> None:
    assert parse_cron("0 0 30 2 *", may_never_fire=True).never_fires
    for fires in ("0 0 29 2 *", "0 0 30,1 2 *", "0 0 31 2,3 *", "0 0 30 2 1", "0 0 31 4 0-6", "0 0 30 1-2 *"):
        assert not parse_cron(fires).never_fires


def test_text_of_up_to_128_characters_is_read() -> None:
    assert MOST_CRON_CHARACTERS == 128
    longest = f"{'1,' * 59}59 * * * *".ljust(128)
    assert numbers(parse_cron(longest).minutes) == [1, 59]
    assert refusal(longest + " ") == "expression, character 129: has 129 characters and may have 128"
    assert refusal("9" * 120 + " * * * *").startswith("minute, character 1: 999")


@pytest.mark.parametrize("text", ["x" * 10_240, "1," * 5_120, "* " * 5_120, "\u0663" * 10_240, " " * 10_240])
def test_ten_kilobytes_are_refused_at_once(text: str) -> None:
    took = []
    for _ in range(50):
        began = time.perf_counter()
        assert refusal(text) == "expression, character 129: has 10240 characters and may have 128"
        took.append(time.perf_counter() - began)
    assert min(took) < 0.0005


@settings(deadline=None)
@given(st.text(max_size=140) | st.text("0123456789*,-/ \tRHLWMON", max_size=140))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    problem = ""
    try:
        cron = parse_cron(text)
    except Invalid as refused:
        problem = refused.problem
    if problem:
        place = int(problem.partition("character ")[2].partition(":")[0])
        assert problem.isprintable()
        assert 1 <= place <= len(text) + 1
    else:
        assert all(sets(cron))
