"""The checker: what should have been due, beside what the ledger has, beside what the runner received.

What should have been due comes from the history, the ledger is read as it stands, and the runner's own notes say what
reached it. A repeat, one `webhook-id` received more than once, is allowed and counted apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.store.database import Database
from tests.faults.history import Cron, Every, Expected, History

TICK = timedelta(microseconds=1)
WITHHELD = ("paused", "disabled", "firing_paused")
ENDED_BY_RUNNER = ("success", "partial_success", "failure")


@dataclass(frozen=True)
class Account:
    """What became of one instant of a line: a run's row, or a place in a gap, which has no `message_id`."""

    line: Hashable
    at: datetime
    status: str
    reason: str | None
    message_id: str | None
    attempts: int


@dataclass(frozen=True)
class Evidence:
    """The ledger's accounts, and how often the runner received what."""

    accounts: list[Account]
    received: Counter[str]
    unsigned: int

    @property
    def unended(self) -> list[Account]:
        """Runs that go on, or that failed for another reason than their runner's word."""
        return [one for one in self.accounts if _is_unended(one)]

    def only(self, line: Hashable) -> Evidence:
        """What there is about one line."""
        accounts = [one for one in self.accounts if one.line == line]
        names = {one.message_id for one in accounts}
        return Evidence(accounts, Counter({name: n for name, n in self.received.items() if name in names}), 0)


@dataclass(frozen=True)
class Verdict:
    """Everything is counted in instants, or in runs, which is the same. What must be 0 is in `faults`."""

    expected: int
    either: int
    """Due while something was changed, so that they may have an account or not."""
    begun: int
    """Runs that a runner ended, as the ledger has it."""
    received: int
    repeats: int
    missed: int
    unaccounted: int
    extra: int
    doubled: int
    misjudged: int
    """Withheld where nothing was, or run where they should have been withheld."""
    unended: int
    unheard: int
    """Runs that a runner ended and never received."""
    unknown: int
    """Received, and no run that a runner ended; or received more often than it was tried."""
    unsigned: int

    @property
    def faults(self) -> dict[str, int]:
        names = [field.name for field in fields(self)]
        return {name: getattr(self, name) for name in names[names.index("unaccounted") :] if getattr(self, name)}

    def __str__(self) -> str:
        return (
            f"{self.expected:,} instants, {self.unaccounted} unaccounted, {self.extra + self.doubled} extra;"
            f" {self.begun:,} runs = {self.received:,} received, {self.repeats} of them again"
        )


def judge(history: History, evidence: Evidence) -> Verdict:
    by_line: dict[Hashable, Counter[datetime]] = {}
    for account in evidence.accounts:
        by_line.setdefault(account.line, Counter())[account.at] += 1
    expected = dict(history.lines())
    nothing = Expected()
    strangers = sum(found.total() for line, found in by_line.items() if line not in expected)
    unaccounted = extra = 0
    for line, due in expected.items():
        found = by_line.get(line, Counter())
        unaccounted += len(due.required.keys() - found.keys())
        extra += len(found.keys() - due.required.keys() - due.optional.keys())
    ended, tries = _ended(evidence.accounts)
    return Verdict(
        expected=sum(len(due.required) for due in expected.values()),
        either=sum(len(due.optional) for due in expected.values()),
        begun=len(ended),
        received=len(evidence.received),
        repeats=evidence.received.total() - len(evidence.received),
        missed=sum(account.status == "missed" for account in evidence.accounts),
        unaccounted=unaccounted,
        extra=extra + strangers,
        doubled=sum(times - 1 for found in by_line.values() for times in found.values()),
        misjudged=sum(_is_misjudged(one, expected.get(one.line, nothing)) for one in evidence.accounts),
        unended=len(evidence.unended),
        unheard=len(ended - evidence.received.keys()),
        unknown=sum(name not in ended or times > tries[name] for name, times in evidence.received.items()),
        unsigned=evidence.unsigned,
    )


def _ended(accounts: list[Account]) -> tuple[set[str], Mapping[str, int]]:
    """Runs that their runner ended, by `webhook-id`, and how often each was tried."""
    ended = {one.message_id: one.attempts for one in accounts if one.message_id and one.status in ENDED_BY_RUNNER}
    return set(ended), ended


def _is_misjudged(account: Account, due: Expected) -> bool:
    allowed = due.required.get(account.at) or due.optional.get(account.at)
    return allowed is not None and (account.reason if account.reason in WITHHELD else None) not in allowed


def _is_unended(account: Account) -> bool:
    if account.status == "failure":
        return account.reason != "reported"
    return account.status in ("queued", "started")


async def collect(database: Database, timers: Mapping[int, Hashable], notes: Path) -> Evidence:
    """`timers` are the lines of timers by their ids; any other schedule is the line of its id."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT schedule_id, scheduled_for, status, reason, attempts FROM runs WHERE schedule_id IS NOT NULL"
        )
        gaps = await connection.fetch("SELECT * FROM run_gaps")
    accounts = [
        Account(
            timers.get(row["schedule_id"], row["schedule_id"]), row["scheduled_for"], row["status"], row["reason"],
            _message_id(row["schedule_id"], row["scheduled_for"]), row["attempts"],
        )
        for row in rows
    ]  # fmt: skip
    for gap in gaps:
        line = timers.get(gap["schedule_id"], gap["schedule_id"])
        rule = Every(gap["every_seconds"]) if gap["every_seconds"] else Cron(gap["cron_string"], gap["timezone"])
        inside = rule.within(gap["first_at"] - TICK, gap["until_at"] - TICK)
        assert (len(inside), inside[0]) == (gap["instants"], gap["first_at"]), "the gap has what it says"
        status = "missed" if gap["reason"] == "missed" else "skipped"
        accounts += [Account(line, at, status, gap["reason"], None, 0) for at in inside]
    received, unsigned = read_notes(notes)
    return Evidence(accounts, received, unsigned)


def read_notes(notes: Path) -> tuple[Counter[str], int]:
    """What a noting runner was asked to run, how often, and how many requests were not signed."""
    lines = [line.split(" ") for line in notes.read_text().splitlines()] if notes.exists() else []
    received = Counter(message_id for kind, message_id in lines if kind == "flow.run")
    return received, sum(kind == "unsigned" for kind, _ in lines)


def _message_id(schedule_id: int, at: datetime) -> str:
    """As the documents say, and not as the product has it."""
    return f"due_{schedule_id}_{int(at.astimezone(UTC).timestamp())}"
