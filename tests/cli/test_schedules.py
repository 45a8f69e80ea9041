"""`penstock schedules preview`: the same instants as over HTTP, without a server."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from cli.errors import StartError
from cli.main import penstock

WORDS = ("schedules", "preview")


def shown(*words: str) -> list[str]:
    result = CliRunner().invoke(penstock, (*WORDS, *words), env={"COLUMNS": "120"})
    assert result.exit_code == 0, (result.output, result.exception)
    return [" ".join(line.split()) for line in result.output.splitlines()]


def test_it_shows_what_is_due_and_what_surprises() -> None:
    lines = shown("30 2 * * *", "--tz", "Europe/Berlin", "--from", "2027-03-27T12:00:00Z", "--count", "2")
    assert lines == [
        "expression says due in UTC clocks show note",
        "2027-03-28 02:30 2027-03-28 01:30 2027-03-28 03:30+02:00 DST_GAP",
        "2027-03-29 02:30 2027-03-29 00:30 2027-03-29 02:30+02:00",
    ]


def test_it_begins_now_in_utc_with_ten() -> None:
    assert len(shown("* * * * *")) == 11


def test_it_says_what_is_true_of_all() -> None:
    assert shown("0 0 30 2 *")[-1] == "NEVER_FIRES"
    assert shown("0 0 13 * 5", "--count", "1")[-1] == "DOM_DOW_OR"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("61 * * * *",), "cron_string: minute, character 1: 61 is not from 0 to 59"),
        (("0 3 * * *", "--tz", "Mars"), "timezone: is not a time zone; write a name of the IANA database"),
        (("0 3 * * *", "--from", "2027-03-27"), "--from: must be a date and time with its zone"),
    ],
)
def test_what_is_not_understood_is_one_line(words: tuple[str, ...], message: str) -> None:
    result = CliRunner().invoke(penstock, (*WORDS, *words))
    assert isinstance(result.exception, StartError)
    assert str(result.exception).startswith(message)


@pytest.mark.parametrize("count", ["0", "101", "many"])
def test_a_count_out_of_bounds_is_refused(count: str) -> None:
    assert CliRunner().invoke(penstock, (*WORDS, "0 3 * * *", "--count", count)).exit_code == 2
