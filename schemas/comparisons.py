"""Two versions compared: what can be asked, and how it is answered.

Lists are cut where their counts are not. Long values are, too, around the first place in which they differ: whole they
stand in the patch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from core.domain.comparison import Compared, Comparison, Runs
from core.domain.differences import ABSENT, Altered, Change, Differences, Edge, Group, Thing
from core.domain.distributions import Stat
from core.domain.documents import Json, written
from core.domain.metrics import Summary
from core.domain.significance import Ranks, Shares, Verdict
from schemas.fields import microseconds
from schemas.filters import FilteredQuery, instant

MOST_TOLD = 200
"""Entries of each list. A summary is read by people; the patch has all."""

MOST_VALUE = 400
"""Characters of a value as JSON that is told whole, and of a part of a longer one."""

CONTEXT = 40
"""Characters that two long texts have in common and are shown before the first that they have not."""

FAILURES = {Verdict.MORE: "fails_more", Verdict.LESS: "fails_less"}
DURATIONS = {Verdict.MORE: "slower", Verdict.LESS: "faster"}
"""What a verdict means of the second version."""

QUANTILES = (Stat.P50, Stat.P95, Stat.P99)

Item = TypeVar("Item")
Shown = dict[str, Any]


class ComparisonQuery(FilteredQuery):
    """The runs that ended from `since` on and before `until`."""

    since = instant("from")
    until = instant("to")


def render_comparison(comparison: Comparison) -> Shown:
    one, other = comparison.versions
    return {
        "flow_id": comparison.flow_id,
        "a": _version(one),
        "b": _version(other),
        "is_same": not comparison.differences,
        "changes": _differences(comparison.differences),
        "patch": comparison.patch.operations,
        "patch_coarse": comparison.patch.coarse,
        "runs": None if comparison.runs is None else _runs(comparison.runs),
    }


def told_value(value: Json, other: Json = ABSENT) -> tuple[Json, bool]:
    """A value as it is told beside another one, and whether it was cut."""
    text = value if isinstance(value, str) else written(value).decode()
    if len(text) <= MOST_VALUE:
        return value, False
    start = 0
    if isinstance(value, str) and isinstance(other, str):
        start = max(0, shared_length(value, other) - CONTEXT)
    part = text[start : start + MOST_VALUE]
    return ("…" if start else "") + part + ("…" if start + MOST_VALUE < len(text) else ""), True


def shared_length(one: str, other: str) -> int:
    """How many characters two texts begin with in common."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (ours, theirs) in pairs if ours != theirs), min(len(one), len(other)))


def _version(version: Compared) -> Shown:
    return {
        "id": version.id,
        "name": version.name,
        "iteration": version.iteration,
        "status": version.status,
        "is_enabled": version.enabled,
        "revision": version.revision,
        "digest": version.digest.hex(),
    }


def _differences(found: Differences) -> Shown:
    return {
        "nodes": _group(found.nodes, _thing),
        "triggers": _group(found.triggers, _thing),
        "globals": _group(found.globals, _thing),
        "edges": {
            "added_count": len(found.edges_added),
            "removed_count": len(found.edges_removed),
            "added": _first(found.edges_added, _edge),
            "removed": _first(found.edges_removed, _edge),
        },
        "settings": _first(found.settings, _change),
        "schedules": _group(found.schedules, _schedule),
    }


def _first(items: Sequence[Item], render: Callable[[Item], Shown]) -> list[Shown]:
    return [render(item) for item in items[:MOST_TOLD]]


def _group(group: Group, render: Callable[[Thing], Shown]) -> Shown:
    def altered(one: Altered) -> Shown:
        return {**render(one.thing), "changes": _first(one.changes, _change), "is_whole": one.is_whole}

    return {
        "added_count": len(group.added),
        "removed_count": len(group.removed),
        "changed_count": group.altered_count,
        "added": _first(group.added, render),
        "removed": _first(group.removed, render),
        "changed": _first(group.altered, altered),
    }


def _thing(thing: Thing) -> Shown:
    return {"id": thing.id, "type": thing.type, "label": thing.label}


def _schedule(thing: Thing) -> Shown:
    return {"cron_string": thing.label, "timezone": thing.type}


def _edge(edge: Edge) -> Shown:
    return {"from_type": edge.origin, "from": edge.source, "output": edge.output, "to": edge.target}


def _change(change: Change) -> Shown:
    """Without `before` where there was nothing, without `after` where there is nothing now."""
    shown: Shown = {"path": change.path}
    cut = False
    for name, value, other in (("before", change.before, change.after), ("after", change.after, change.before)):
        if value is not ABSENT:
            shown[name], is_cut = told_value(value, other)
            cut = cut or is_cut
    return {**shown, "is_cut": cut}


def _runs(runs: Runs) -> Shown:
    one, other = runs.one, runs.other
    return {
        "from": microseconds(one.start),
        "to": microseconds(one.end),
        "a": _summary(one),
        "b": _summary(other),
        "failures": _shares(runs.failures),
        "duration": _ranks(runs.durations, one, other),
    }


def _summary(summary: Summary) -> Shown:
    return {
        "count": summary.runs,
        "failures": summary.failures,
        "failure_rate": summary.failures / summary.runs if summary.runs else None,
        "duration_ms": {"count": summary.duration.count, **{str(s): summary.duration.tell(s) for s in QUANTILES}},
    }


def _shares(shares: Shares | None) -> Shown | None:
    if shares is None:
        return None
    return {
        "test": shares.test,
        "p_value": shares.p_value,
        "confidence": 1 - shares.p_value,
        "difference": shares.difference,
        "difference_from": shares.interval[0],
        "difference_to": shares.interval[1],
        "verdict": FAILURES.get(shares.verdict, shares.verdict),
    }


def _ranks(ranks: Ranks | None, one: Summary, other: Summary) -> Shown | None:
    if ranks is None:
        return None
    median, other_median = one.duration.tell(Stat.P50), other.duration.tell(Stat.P50)
    return {
        "test": ranks.test,
        "p_value": ranks.p_value,
        "confidence": 1 - ranks.p_value,
        "chance_of_slower": ranks.chance,
        "median_ratio": other_median / median if median and other_median is not None else None,
        "verdict": DURATIONS.get(ranks.verdict, ranks.verdict),
    }
