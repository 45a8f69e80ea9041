"""The grammar of a cron expression, and what it names as sets of numbers.

    minute 0-59   hour 0-23   day 1-31   month 1-12   weekday 0-6, 0 being Sunday

Exactly five fields with blanks between them. A field is a list of parts with commas between them; a part is `*`, `5` or
`1-5`, each with `/step` if wanted. `5/15` goes on to the end of its field: 5, 20, 35, 50. These are the fields and
values of the Patchworks documents and no others: no seconds, years, names, macros, `L`, `W`, `#`, `?`, `H` or `R`, no 7
for Sunday, no range that runs backwards. Every refusal names the field and the character, counted from 1.

Where day and weekday are both written as anything but `*`, either may match: the rule of POSIX for crontab, taken by
the letter, so that `1-31` and `*/2` count as written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from core.domain.errors import Invalid

MOST_CRON_CHARACTERS = 128
"""Enough for a list of a dozen numbers in every field. Longer text is refused before it is looked at."""


@dataclass(frozen=True, slots=True)
class Field:
    """One of the five, with its lowest and highest value and the names other programs know those by."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return self.high - self.low + 1


MINUTE = Field("minute", 0, 59)
HOUR = Field("hour", 0, 23)
DAY = Field("day", 1, 31)
MONTH = Field("month", 1, 12, ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"))
WEEKDAY = Field("weekday", 0, 6, ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))
FIELDS = (MINUTE, HOUR, DAY, MONTH, WEEKDAY)

_LONGEST_MONTHS = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

_WORD = re.compile(r"[^ \t]+")
_OTHER_BLANK = re.compile(r"\s")
_PART = re.compile(r"(?:\*|(?P<first>[0-9]+)(?:-(?P<last>[0-9]+))?)(?:/(?P<step>[0-9]+))?", re.ASCII)
_FOREIGN = re.compile(r"[^0-9*,/-]")
_LETTERS = re.compile(r"[A-Za-z]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class DayRule:
    """Which days: each number is a set, where bit n stands for the value n. With `either`, a day of `days` or of
    `weekdays` will do; without it both must hold, and one of the two is then full."""

    days: int
    months: int
    weekdays: int
    either: bool

    @property
    def impossible(self) -> bool:
        """Whether there is no such day in any year, such as 30 February."""
        if self.either or self.weekdays != _full(WEEKDAY):
            return False
        return all(
            lowest(self.days) > length for month, length in enumerate(_LONGEST_MONTHS) if self.months >> month & 1
        )


@dataclass(frozen=True, slots=True)
class Cron:
    """An expression that passed the grammar. `minutes` and `hours` are sets as in DayRule.

    `wildcard_hour` decides what a change of the clocks means: the hour is written with a `*`, or names all 24.
    `either_day` says that both day and weekday are written, `never_fires` that no year has such a day. `day_at` is the
    character where the day field begins.
    """

    text: str
    minutes: int
    hours: int
    days: DayRule
    wildcard_hour: bool
    either_day: bool
    never_fires: bool
    day_at: int


def lowest(bits: int) -> int:
    """The smallest value in a set that is not empty."""
    return (bits & -bits).bit_length() - 1


def parse_cron(text: str, path: str = "cron_string", *, may_never_fire: bool = False) -> Cron:
    """What the expression names, or Invalid with `path`, the field's name and the character.

    A date that no year has, such as 30 February, is refused unless `may_never_fire`: a preview shows it as a warning.
    """
    if len(text) > MOST_CRON_CHARACTERS:
        problem = f"has {len(text)} characters and may have {MOST_CRON_CHARACTERS}"
        raise Invalid(_problem("expression", MOST_CRON_CHARACTERS + 1, problem), path)
    try:
        cron = _parse(text)
    except _Fault as fault:
        raise Invalid(fault.problem, path) from None
    if cron.never_fires and not may_never_fire:
        refuse_day(cron, "no such day is in any of these months, so it never fires", path)
    return cron


def refuse_day(cron: Cron, problem: str, path: str = "cron_string") -> NoReturn:
    """Says what is wrong with the days of an expression that the grammar has nothing against."""
    raise Invalid(_problem(DAY.name, cron.day_at, problem), path)


class _Fault(Exception):
    """What is wrong with a field, and where. The path of the whole expression is added outside."""

    def __init__(self, field: str, position: int, problem: str) -> None:
        self.problem = _problem(field, position, problem)
        super().__init__(self.problem)


def _problem(field: str, position: int, problem: str) -> str:
    return f"{field}, character {position}: {problem}"


def _parse(text: str) -> Cron:
    words = _words(text)
    minutes, hours, days, months, weekdays = (
        _Values(field, word, position).read() for field, (word, position) in zip(FIELDS, words, strict=True)
    )
    either = "*" not in (words[2][0], words[4][0])
    rule = _day_rule(days, months, weekdays, either)
    wildcard_hour = "*" in words[1][0] or hours == _full(HOUR)
    return Cron(text, minutes, hours, rule, wildcard_hour, either, rule.impossible, words[2][1])


def _day_rule(days: int, months: int, weekdays: int, either: bool) -> DayRule:
    if either and (days == _full(DAY) or weekdays == _full(WEEKDAY)):
        days, weekdays, either = _full(DAY), _full(WEEKDAY), False
    rule = DayRule(days, months, weekdays, either)
    return EVERY_DAY if rule == EVERY_DAY else rule


def _words(text: str) -> list[tuple[str, int]]:
    """The five fields, each with the character it begins at."""
    words = [(found[0], found.start() + 1) for found in _WORD.finditer(text)]
    if len(words) == len(FIELDS):
        return words
    if text.lstrip(" \t").startswith("@"):
        problem = "a macro such as @daily is not understood; write five fields, 0 0 * * *"
        raise _Fault(MINUTE.name, words[0][1], problem)
    for field, (word, position) in zip(FIELDS, words, strict=False):
        if blank := _OTHER_BLANK.search(word):
            raise _Fault(field.name, position + blank.start(), "only spaces and tabs separate fields")
    if len(words) < len(FIELDS):
        problem = f"is missing; five fields are needed ({' '.join(field.name for field in FIELDS)})"
        raise _Fault(FIELDS[len(words)].name, len(text) + 1, problem)
    problem = f"there are {len(words)} fields and five are understood, without seconds or years"
    raise _Fault("field 6", words[len(FIELDS)][1], problem)


class _Values:
    """Reads one field: `word`, which begins at character `position` of the expression."""

    def __init__(self, field: Field, word: str, position: int) -> None:
        self._field = field
        self._word = word
        self._position = position

    def read(self) -> int:
        """The set of values the field names, never empty."""
        values, at = 0, 0
        while True:
            part = _PART.match(self._word, at)
            if part is None:
                self._misread(at)
            values |= self._part(part)
            at = part.end()
            if at == len(self._word):
                return values
            if self._word[at] != ",":
                self._misread(at)
            at += 1

    def _part(self, part: re.Match[str]) -> int:
        first, last, step = self._bounds(part)
        if step == 1:
            return (2 << last) - (1 << first)
        return sum(1 << value for value in range(first, last + 1, step))

    def _bounds(self, part: re.Match[str]) -> tuple[int, int, int]:
        field = self._field
        step = self._step(part)
        if part["first"] is None:
            return field.low, field.high, step
        first = self._value(part, "first")
        if part["last"] is None:
            return first, first if part["step"] is None else field.high, step
        last = self._value(part, "last")
        if last < first:
            self._fault(
                part.start("first"),
                f"the range {first}-{last} runs backwards; write {first}-{field.high},{field.low}-{last}",
            )
        return first, last, step

    def _value(self, part: re.Match[str], group: str) -> int:
        value = int(part[group])
        if not self._field.low <= value <= self._field.high:
            hint = "; Sunday is 0" if self._field is WEEKDAY and value == 7 else ""
            self._fault(part.start(group), f"{value} is not from {self._field.low} to {self._field.high}{hint}")
        return value

    def _step(self, part: re.Match[str]) -> int:
        if part["step"] is None:
            return 1
        step = int(part["step"])
        if not 1 <= step <= self._field.size:
            # A longer one would only ever meet the first value, which is not what whoever wrote */90 had in mind.
            self._fault(part.start("step"), f"a step of {step} is not from 1 to {self._field.size}")
        return step

    def _misread(self, at: int) -> NoReturn:
        """The word cannot be read on from here; a character that no field has is more worth naming, if there is one."""
        foreign = _FOREIGN.search(self._word, at)
        if foreign is None and self._word[at : at + 1] in ("", ","):
            self._fault(at, "a value is missing")
        if foreign is not None:
            at = foreign.start()
        letters = _LETTERS.match(self._word, at)
        name = letters[0].upper() if letters else ""
        if name in self._field.names:
            number = self._field.low + self._field.names.index(name)
            self._fault(at, f"names are not understood; write {number} for {name}")
        self._fault(at, f"{self._word[at]!a} is not understood here; there are numbers and * , - /")

    def _fault(self, at: int, problem: str) -> NoReturn:
        raise _Fault(self._field.name, self._position + at, problem)


def _full(field: Field) -> int:
    return (2 << field.high) - (1 << field.low)


EVERY_DAY = DayRule(_full(DAY), _full(MONTH), _full(WEEKDAY), either=False)
"""The one object for it, so that asking whether a rule is this one costs nothing."""
