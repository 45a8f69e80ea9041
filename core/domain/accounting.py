"""The account of a schedule: what becomes of each instant that is due and has none yet. Pure arithmetic.

Oldest first: what is later than the catch-up window is a gap, or a single row where it is one instant; what is within
it is run, up to so many at once, unless the schedule is paused, something is disabled, or an earlier run goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from core.domain.dues import Dues
from core.domain.runs import Reason, RunStatus
from core.domain.stored_schedules import OverlapPolicy

MOST_AT_ONCE = 100
"""Instants of one schedule that one claim accounts for with a row each. Others are claimed in between."""

MOST_CATCHUP = 1_000
"""Instants of one schedule that are caught up with after an outage; a window of a day has 1,440 minutes, and whoever
wants that many runs at once has other means."""

OLDEST_ROW = timedelta(days=7)
"""A single missed instant is a row of its own if it is not older: rows are kept by their week, and one of long ago
would need a week made for it alone."""

_TICK = timedelta(microseconds=1)


class Pause(NamedTuple):
    """When the installation fired nothing; `ended` is None while it does not."""

    began: datetime
    ended: datetime | None


@dataclass(frozen=True, slots=True)
class Standing:
    """A live schedule with something due, as it stands once it is locked.

    `next_due` is its first instant without an account. `withheld` says why none of its instants is run now, if so.
    """

    dues: Dues
    next_due: datetime
    active: int
    buffered: int
    overlap: OverlapPolicy
    window: timedelta
    withheld: Reason | None


class Entry(NamedTuple):
    """The row of one instant."""

    at: datetime
    status: RunStatus
    reason: Reason | None
    buffered: bool


class Gap(NamedTuple):
    """Instants in a row without rows: those in [first, until), of which `first` is one."""

    first: datetime
    until: datetime
    instants: int
    reason: Reason


@dataclass(slots=True)
class Account:
    """What is written for one schedule, and where it stands then.

    `superseded`: the run that waited before is to be skipped, since a later one waits now.
    """

    next_due: datetime | None
    active: int
    buffered: int
    entries: list[Entry] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    superseded: bool = False


def account(
    standing: Standing,
    now: datetime,
    pauses: Sequence[Pause] = (),
    *,
    until: datetime | None = None,
    most: int = MOST_AT_ONCE,
) -> Account:
    """Accounts for what was due by `until`, or by `now`, with at most `most` rows; how late that is, `now` says.

    `next_due` is the first instant left without an account.
    """
    end = until or now
    following = standing.dues.following(standing.next_due)
    found = Account(following, standing.active, standing.buffered)
    if standing.next_due >= now - standing.window and (following is None or following > end):
        _enter(found, standing, standing.next_due, pauses)
        return found
    _account_for_many(found, standing, now, end, pauses, most)
    return found


def _account_for_many(
    found: Account, standing: Standing, now: datetime, until: datetime, pauses: Sequence[Pause], most: int
) -> None:
    """For whoever was not there in time: what is too old at once, then the oldest of what is not."""
    dues, start, end, horizon = standing.dues, standing.next_due, until + _TICK, now - standing.window
    if start < horizon:
        _leave_out(found, standing, start, min(horizon, end), now, pauses)
        start = horizon
    due = dues.instants(start, end, _most_in(standing.window))
    if len(due) > MOST_CATCHUP:
        first = due[-MOST_CATCHUP]
        _leave_out(found, standing, start, first, now, pauses)
        due = due[-MOST_CATCHUP:]
    for at in due[:most]:
        _enter(found, standing, at, pauses)
    found.next_due = due[most] if len(due) > most else dues.following(until)


def _most_in(window: timedelta) -> int:
    """More instants than a window can have: one a second."""
    return int(window.total_seconds()) + 2


def _enter(found: Account, standing: Standing, at: datetime, pauses: Sequence[Pause]) -> None:
    """The row of an instant that is in time, by what goes on when it is due."""
    reason = standing.withheld or (Reason.FIRING_PAUSED if pauses and _paused(at, pauses) else None)
    if reason is not None:
        found.entries.append(Entry(at, RunStatus.SKIPPED, reason, False))
    elif standing.overlap is OverlapPolicy.ALLOW or not (found.active or found.buffered):
        found.active += 1
        found.entries.append(Entry(at, RunStatus.QUEUED, None, False))
    elif standing.overlap is OverlapPolicy.SKIP:
        found.entries.append(Entry(at, RunStatus.SKIPPED, Reason.OVERLAP, False))
    else:
        _buffer(found, at)


def _buffer(found: Account, at: datetime) -> None:
    """The last of them waits: whichever waited until now is skipped."""
    for index, entry in enumerate(found.entries):
        if entry.buffered:
            found.entries[index] = Entry(entry.at, RunStatus.SKIPPED, Reason.OVERLAP, False)
            break
    else:
        found.superseded = found.buffered > 0
        found.buffered += 1
    found.entries.append(Entry(at, RunStatus.QUEUED, None, True))


def _leave_out(
    found: Account, standing: Standing, start: datetime, end: datetime, now: datetime, pauses: Sequence[Pause]
) -> None:
    """The instants in [start, end), for the reason that held when they were due."""
    for first, until, paused in _parts(start, end, pauses):
        if (count := standing.dues.count(first, until)) == 0:
            continue
        (at,) = standing.dues.instants(first, until, 1)
        reason = standing.withheld or (Reason.FIRING_PAUSED if paused else Reason.MISSED)
        if count == 1 and now - at <= OLDEST_ROW:
            status = RunStatus.MISSED if reason is Reason.MISSED else RunStatus.SKIPPED
            found.entries.append(Entry(at, status, reason, False))
        else:
            found.gaps.append(Gap(at, until, count, reason))


def _parts(start: datetime, end: datetime, pauses: Sequence[Pause]) -> list[tuple[datetime, datetime, bool]]:
    """[start, end) cut where firing was paused or resumed, each part with whether it was paused."""
    cuts = {start, end}
    for pause in pauses:
        cuts.update(cut for cut in pause if cut is not None and start < cut < end)
    edges = sorted(cuts)
    return [(low, high, _paused(low, pauses)) for low, high in pairwise(edges)]


def _paused(at: datetime, pauses: Sequence[Pause]) -> bool:
    return any(pause.began <= at and (pause.ended is None or at < pause.ended) for pause in pauses)
