"""Version metrics: how runs become numbers, by five minutes, hour and day. Pure arithmetic."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from core.domain.distributions import BILLION, Distribution, billionths
from core.domain.runs import RunStatus

MOST_NAMES = 200
"""Names of a runner's own metrics that are kept of a version in a day. One report has at most a hundred, so a runner
that means what it says has room; one that makes up a name for each run costs no more than this."""


class Interval(StrEnum):
    FIVE_MINUTES = "5m"
    HOUR = "hour"
    DAY = "day"

    @property
    def seconds(self) -> int:
        return _SECONDS[self]

    @property
    def longest(self) -> timedelta:
        """The longest range that can be asked for at once: some nine thousand periods, or ten years."""
        return _LONGEST[self]

    @property
    def usual(self) -> timedelta:
        """The range that is meant where nobody says from when."""
        return _USUAL[self]

    def floor(self, at: datetime) -> datetime:
        """When the period of an instant began, in UTC."""
        return at.astimezone(UTC) - (at - _EPOCH) % timedelta(seconds=self.seconds)

    def ceiling(self, at: datetime) -> datetime:
        """The first instant from this one on at which a period begins."""
        begun = self.floor(at)
        return begun if begun == at else begun + timedelta(seconds=self.seconds)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_SECONDS = {Interval.FIVE_MINUTES: 300, Interval.HOUR: 3_600, Interval.DAY: 86_400}
_LONGEST = {
    Interval.FIVE_MINUTES: timedelta(days=31),
    Interval.HOUR: timedelta(days=366),
    Interval.DAY: timedelta(days=3_660),
}
_USUAL = {Interval.FIVE_MINUTES: timedelta(days=1), Interval.HOUR: timedelta(days=7), Interval.DAY: timedelta(days=90)}


class MetricType(StrEnum):
    RUNS = "runs"
    """How many runs ended how, how many instants were not run, and requests to the runner."""
    DURATION = "duration"
    """Milliseconds from the runner's taking a run to its end."""
    LATENESS = "lateness"
    """Milliseconds from the due instant until a run was begun, or was given up."""
    PAYLOAD = "payload"
    """Bytes that runs were started with, of those that were started with any."""
    CUSTOM = "custom"
    """What runners told, by their own names."""


ATTEMPTS = "attempts"
"""The key of requests to the runner, beside the statuses."""

OTHER = "other"
"""The key of values whose names were too many."""

RUN_KEYS = (
    ATTEMPTS,
    *(status.value for status in sorted(RunStatus) if not status.active),
)


class Ending(NamedTuple):
    """What the ledger tells of a run that ended, or of `number` instants that were not run: fewer than none where they
    were run after all. `metrics` is the JSON text of an object of numbers."""

    company_id: int
    flow_id: int
    flow_version_id: int
    status: str
    ended_at: datetime
    number: int
    attempts: int
    duration_us: int | None
    lateness_us: int | None
    payload_bytes: int | None
    metrics: str | None


@dataclass(frozen=True, slots=True)
class Metric:
    """One number of a version in a period: milliseconds, bytes, a count, or what the runner means by it."""

    flow_version_id: int
    type: MetricType
    key: str
    interval: Interval
    period_start: datetime
    value: float


class Window(NamedTuple):
    """Periods of an interval that begin in [since, until)."""

    interval: Interval
    since: datetime
    until: datetime


class Place(NamedTuple):
    """Whose numbers, and of which period."""

    company_id: int
    flow_id: int
    flow_version_id: int
    interval: Interval
    period_start: datetime


@dataclass(slots=True)
class Tally:
    """The numbers of one version in one period. `left_out` counts values whose names were too many."""

    counts: Counter[str] = field(default_factory=Counter)
    distributions: dict[tuple[MetricType, str], Distribution] = field(default_factory=dict)
    left_out: int = 0

    def of(self, kind: MetricType, name: str = "") -> Distribution:
        found = self.distributions.get((kind, name))
        if found is None:
            found = self.distributions[kind, name] = Distribution()
        return found

    def merge(self, other: Tally) -> None:
        self.counts.update(other.counts)
        self.left_out += other.left_out
        for (kind, name), distribution in other.distributions.items():
            self.of(kind, name).merge(distribution)


Names = dict[tuple[int, datetime], set[str]]
"""The names kept of each version in each day."""


_SHORTEST = timedelta(seconds=Interval.FIVE_MINUTES.seconds)

_Cell = tuple[int, int, int, int]
"""Company, flow, version, and the number of the five minutes."""


def days_of(endings: Iterable[Ending]) -> set[tuple[int, int, datetime]]:
    """Flow, version and day of those whose runners told something: whose names have to be known to fold them."""
    return {(one.flow_id, one.flow_version_id, Interval.DAY.floor(one.ended_at)) for one in endings if one.metrics}


def fold(endings: Iterable[Ending], names: Names) -> dict[Place, Tally]:
    """The numbers of these endings for every interval. The first MOST_NAMES names of a version and day are kept; those
    it keeps now are added to `names`."""
    found: dict[_Cell, Tally] = {}
    for one in endings:
        start = (one.ended_at - _EPOCH) // _SHORTEST
        place = (one.company_id, one.flow_id, one.flow_version_id, start)
        tally = found.get(place)
        if tally is None:
            tally = found[place] = Tally()
        _count(tally, one, names)
    return _spread(found)


def _count(tally: Tally, one: Ending, names: Names) -> None:
    tally.counts[one.status] += one.number
    if one.attempts:
        tally.counts[ATTEMPTS] += one.attempts
    # A clock that was set back makes neither durations nor lateness less than none.
    if one.duration_us is not None:
        tally.of(MetricType.DURATION).add(max(one.duration_us, 0) * 1_000_000)
    if one.lateness_us is not None:
        tally.of(MetricType.LATENESS).add(max(one.lateness_us, 0) * 1_000_000)
    if one.payload_bytes is not None:
        tally.of(MetricType.PAYLOAD).add(one.payload_bytes * BILLION)
    if one.metrics:
        kept = names.setdefault((one.flow_version_id, Interval.DAY.floor(one.ended_at)), set())
        for name, value in _read(one.metrics).items():
            if name in kept or len(kept) < MOST_NAMES:
                kept.add(name)
                tally.of(MetricType.CUSTOM, name).add(value)
            else:
                tally.left_out += 1


def _read(metrics: str) -> Mapping[str, int]:
    """Names and values in billionths."""
    return {name: billionths(value) for name, value in json.loads(metrics).items()}


def _spread(found: Mapping[_Cell, Tally]) -> dict[Place, Tally]:
    """The same for five minutes, the hours and the days that they are in."""
    spread: dict[Place, Tally] = {}
    for (company_id, flow_id, version_id, start), tally in found.items():
        for interval in Interval:
            begun = interval.floor(_EPOCH + start * _SHORTEST)
            place = Place(company_id, flow_id, version_id, interval, begun)
            if interval is Interval.FIVE_MINUTES:
                spread[place] = tally
                continue
            whole = spread.get(place)
            if whole is None:
                whole = spread[place] = Tally()
            whole.merge(tally)
    return spread


@dataclass(frozen=True, slots=True)
class Summary:
    """The numbers of one version over a while. `counts` are of runs by status and of requests; `start` and `end` are
    where the periods begin and end that were summed up, which are whole ones of `interval`."""

    interval: Interval
    start: datetime
    end: datetime
    counts: Mapping[str, int]
    duration: Distribution
    lateness: Distribution
    payload: Distribution
    custom: Mapping[str, Distribution]

    @property
    def runs(self) -> int:
        """Runs that ended, however."""
        return sum(self.counts.get(status, 0) for status in ENDED)

    @property
    def successes(self) -> int:
        return self.counts.get(RunStatus.SUCCESS, 0)

    @property
    def failures(self) -> int:
        return self.counts.get(RunStatus.FAILURE, 0)


ENDED = (RunStatus.SUCCESS, RunStatus.FAILURE, RunStatus.STOPPED, RunStatus.PARTIAL_SUCCESS)
"""How a run can end that was meant to be run."""

FRESH = {Interval.FIVE_MINUTES: timedelta(days=7), Interval.HOUR: timedelta(days=31)}
"""Until when a summary is made of what interval: no installation keeps them for less."""


def interval_for(start: datetime, now: datetime) -> Interval:
    """The shortest interval whose rows are certainly still kept since then."""
    age = now - start
    return next((interval for interval, most in FRESH.items() if age <= most - timedelta(days=1)), Interval.DAY)
