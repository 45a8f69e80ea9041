"""What the runs of a flow came to, as Losant's clients ask: sums by interval, errors, and a log.

A run belongs to the moment it ended, so an interval that has passed never changes again, and whoever reads on from the
last thing seen misses nothing, however long a run took. Only what was run counts: neither what goes on still, nor
instants that were skipped or missed, nor a run that was stopped before it was ever sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from core.domain.errors import Invalid
from core.domain.runs import RunStatus
from core.domain.versions import DEVELOP

MOST_POINTS = 10_080
"""Intervals of one answer: a week by minutes, more than a year by hours. Each is a hundred bytes, whether or not
anything ran."""

MOST_ENTRIES = 1_000
"""Errors, or runs of the log, that one answer can have."""

MOST_LINES = 10
"""Lines of a run's log that are shown as its errors. Whoever wants all of them reads its log."""

MOST_ERROR_CHARACTERS = 1_000
"""Of an error's message, as many as a report's own may have; longer lines are cut."""

_MILLISECOND = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` on, and before `end`."""

    start: datetime
    end: datetime

    @classmethod
    def until(cls, end: datetime, duration: timedelta) -> Window:
        """Ends are rounded up to the millisecond, which is all that is shown of them: what has just ended is inside."""
        rest = (end - _EPOCH) % _MILLISECOND
        end += _MILLISECOND - rest if rest else timedelta()
        return cls(end - duration, end)

    def points(self, resolution: timedelta) -> Iterator[datetime]:
        """Where its intervals begin; the last one may be shorter."""
        at = self.start
        while at < self.end:
            yield at
            at += resolution


def check_points(duration: timedelta, resolution: timedelta) -> None:
    """Raises Invalid, naming the bound, where there would be too many intervals."""
    points = -(-duration // resolution)
    if points > MOST_POINTS:
        least = -(-duration // (MOST_POINTS * _MILLISECOND))
        asked = f"would give {points} points, and there may be at most {MOST_POINTS}"
        raise Invalid(f"{asked}: for this duration it has to be at least {least}", "resolution")


@dataclass(frozen=True, slots=True)
class Whose:
    """Which runs are meant: all of a flow, or those of a version, named by its name, its id or `develop`.

    `must_be` says whether there has to be such a version still; otherwise the runs of one that was deleted are found
    by what they remember of it. Runs of a device are none: there are no devices here.
    """

    flow_id: int
    segment: str | None = None
    must_be: bool = False
    of_device: bool = False


@dataclass(frozen=True, slots=True)
class Narrowed:
    """The same once it is known what the words mean. `name` is of a version or `develop`; both None is everything.

    What ran a version before it had a name ran develop, and does not count as the version's.
    """

    flow_id: int
    version_id: int | None = None
    name: str | None = None

    @property
    def is_develop(self) -> bool:
        return self.version_id is None and self.name == DEVELOP


@dataclass(frozen=True, slots=True)
class Tally:
    """What ended in one interval. A run that succeeded in part has completed and failed; one that was stopped has done
    neither. `took` is the sum of what the runs took."""

    at: datetime
    runs: int = 0
    completed: int = 0
    failed: int = 0
    took: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run that has ended, as far as its end is told of. `version_name` is None where it ran develop."""

    id: int
    finished_at: datetime
    started_at: datetime | None
    flow_version_id: int
    version_name: str | None
    status: RunStatus
    reason: str | None
    message: str | None

    @property
    def took(self) -> timedelta:
        """Nothing for one that no runner took."""
        return timedelta() if self.started_at is None else self.finished_at - self.started_at

    @property
    def has_completed(self) -> bool:
        return self.status in (RunStatus.SUCCESS, RunStatus.PARTIAL_SUCCESS)

    @property
    def has_failed(self) -> bool:
        return self.status in (RunStatus.FAILURE, RunStatus.PARTIAL_SUCCESS)


@dataclass(frozen=True, slots=True)
class ErrorLine:
    """A line of a run's log that tells of an error, as far as it says where that was."""

    run_id: int
    name: str
    message: str
    node_id: str | None
    node_label: str | None


@dataclass(frozen=True, slots=True)
class RunError:
    """One thing that went wrong in a run. `name` is a stable word for what dispatch knows of, else the runner's."""

    run: EndedRun
    name: str
    message: str
    node_id: str | None = None
    node_label: str | None = None


_UNSAID = {
    RunStatus.FAILURE: "The run failed, and its runner did not say why.",
    RunStatus.PARTIAL_SUCCESS: "The run succeeded in part, and its runner did not say what failed.",
}


def errors_of(run: EndedRun, lines: list[ErrorLine]) -> list[RunError]:
    """What went wrong in a run, in order: its own message if it has one, then what its log says; never nothing where
    it failed, and nothing where it did not."""
    if not run.has_failed:
        return []
    logged = [RunError(run, line.name, line.message, line.node_id, line.node_label) for line in lines]
    if run.message is None and logged:
        return logged
    return [RunError(run, run.reason or str(run.status), run.message or _UNSAID[run.status]), *logged]
