"""What should have been due, worked out from what was done to each schedule and timer, and from nothing of the product.

A change takes effect at one instant of the database's clock that only the product knows; the history knows one before
it and one after it. What is due in between may count by either meaning, which is a few instants of thousands.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache

from tests.support.crons import due_instants

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Every:
    """Every so many seconds, counted from 1970."""

    seconds: int

    def within(self, after: datetime, until: datetime) -> list[datetime]:
        first = int((after - EPOCH).total_seconds() // self.seconds) + 1
        last = int((until - EPOCH).total_seconds() // self.seconds)
        return [EPOCH + timedelta(seconds=n * self.seconds) for n in range(first, last + 1)]


@dataclass(frozen=True)
class Cron:
    expression: str
    zone: str

    def within(self, after: datetime, until: datetime) -> list[datetime]:
        return [at for at in _days(self, _day(after), _day(until)) if after < at <= until]


def _day(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


@cache
def _days(cron: Cron, first: datetime, last: datetime) -> list[datetime]:
    return due_instants(cron.expression, cron.zone, first, last + timedelta(days=1, minutes=1))


@dataclass(frozen=True)
class Meaning:
    """What the instants of a line mean while it is live: when they are, and why none of them is run, if so."""

    rule: Every | Cron
    withheld: str | None = None

    def within(self, after: datetime, until: datetime) -> set[datetime]:
        return set(self.rule.within(after, until))


@dataclass(frozen=True)
class Change:
    """From some instant between these two on it meant this; None: nothing, it was not live."""

    earliest: datetime
    latest: datetime
    meaning: Meaning | None


@dataclass
class Expected:
    """Instants that must have an account, and such as may have one; each with what it may say of why it was not run."""

    required: dict[datetime, set[str | None]] = field(default_factory=dict)
    optional: dict[datetime, set[str | None]] = field(default_factory=dict)

    def add(self, before: Meaning | None, after: Meaning | None, start: datetime, end: datetime) -> None:
        """What is due in (start, end], where either of two meanings holds."""
        meanings = [meaning for meaning in (before, after) if meaning is not None]
        found = [(meaning, meaning.within(start, end)) for meaning in meanings]
        for at in set().union(*(instants for _, instants in found)):
            means = {meaning.withheld for meaning, instants in found if at in instants}
            sure = len(found) == 2 and all(at in instants for _, instants in found)
            (self.required if sure else self.optional).setdefault(at, set()).update(means)


class History:
    """Of each line, a schedule or a timer by any name, what was done to it, in order. The clock may step in between."""

    def __init__(self) -> None:
        self._lines: dict[Hashable, list[Change]] = {}
        self._passed = (EPOCH, EPOCH)

    def change(self, line: Hashable, earliest: datetime, latest: datetime, meaning: Meaning | None) -> None:
        """What means the same as before is no change."""
        changes = self._lines.setdefault(line, [])
        if (changes[-1].meaning if changes else None) != meaning:
            earliest, latest = max(earliest, self._passed[0]), max(latest, self._passed[1])
            changes.append(Change(earliest, max(latest, earliest), meaning))

    def set_back(self, earliest: datetime, latest: datetime) -> None:
        """The clock was set back when everything until some instant between these two had its account: what it shows
        again until then has passed already."""
        self._passed = (max(earliest, self._passed[0]), max(latest, self._passed[1]))

    def only(self, line: Hashable) -> History:
        """The same of one line."""
        history = History()
        history._lines = {line: self._lines[line]}
        return history

    def lines(self) -> Iterator[tuple[Hashable, Expected]]:
        """The verdict on each line, all of which must have ended."""
        for line, changes in self._lines.items():
            assert changes[-1].meaning is None, f"{line} is still live"
            expected, before = Expected(), Change(EPOCH, EPOCH, None)
            for change in changes:
                expected.add(before.meaning, before.meaning, before.latest, change.earliest)
                expected.add(before.meaning, change.meaning, max(change.earliest, before.latest), change.latest)
                before = change
            yield line, expected
