"""Two versions of a flow beside each other: what differs in what they are, and in how their runs went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from core.domain.differences import Differences, compare, compare_schedules
from core.domain.documents import Json, parse_json
from core.domain.errors import Invalid
from core.domain.metrics import Summary
from core.domain.patches import Patch, make_patch
from core.domain.significance import Ranks, Shares, compare_ranks, compare_shares
from core.domain.versions import VersionStatus

USUAL_RANGE = timedelta(days=7)
"""The runs that are compared where nobody says from when: a week has every weekday in it."""


_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Compared:
    """A version as it is compared. `schedules` are their rules by name, oldest first."""

    id: int
    iteration: int
    name: str | None
    status: VersionStatus
    enabled: bool
    revision: int
    digest: bytes
    body: str
    schedules: Sequence[Mapping[str, Json]]


@dataclass(frozen=True, slots=True)
class Runs:
    """How the runs of each version went, put to the test; the tests are None where one of them has no runs."""

    one: Summary
    other: Summary
    failures: Shares | None
    durations: Ranks | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two versions, the differences of the second from the first, and of how they ran; None for who may not know."""

    flow_id: int
    versions: tuple[Compared, Compared]
    differences: Differences
    patch: Patch
    runs: Runs | None


def range_of(since: datetime | None, until: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """From when until when runs are meant: USUAL_RANGE until now, unless somebody says otherwise. There are no runs
    before 1970 or ahead, so that is cut off. Raises Invalid if it ends before it begins."""
    if since is not None and until is not None and since > until:
        raise Invalid("must not be later than filter[to]", "filter[from]")
    end = min(max(until or now, _EARLIEST), now)
    start = max(since, _EARLIEST) if since else max(end, _EARLIEST + USUAL_RANGE) - USUAL_RANGE
    return min(start, end), end


def differ(one: Compared, other: Compared) -> tuple[Differences, Patch]:
    """What differs in two versions. For a thread: parsing alone takes some 0.1 s for contents of 5 MB each."""
    schedules = compare_schedules(one.schedules, other.schedules)
    if one.digest == other.digest:
        return Differences(schedules=schedules), Patch((), ())
    before, after = (parse_json(version.body, "content") for version in (one, other))
    return compare(before, after, schedules), make_patch(before, after)


def put_to_test(one: Summary, other: Summary) -> Runs:
    """Whether failures and durations differ by more than chance."""
    return Runs(
        one,
        other,
        compare_shares(one.failures, one.runs, other.failures, other.runs),
        compare_ranks(one.duration.buckets, other.duration.buckets),
    )
