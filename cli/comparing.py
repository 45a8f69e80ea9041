"""Two versions beside each other, for people to read: green for what is new, red for what is gone.

In colour on a terminal, unless NO_COLOR is set. What somebody typed into a flow is printed without its control
characters: it must not be able to say anything to a terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC
from difflib import unified_diff
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.showing import PIPED_WIDTH
from core.domain.comparison import Compared, Comparison, Runs
from core.domain.differences import ABSENT, Altered, Change, Differences, Edge, Group, Thing
from core.domain.distributions import Stat
from core.domain.documents import written
from core.domain.metrics import Summary
from core.domain.significance import Method, Ranks, Shares, Verdict
from schemas.comparisons import MOST_TOLD, told_value

COLOURS = {"+": "green", "-": "red", "~": "yellow", "@": "cyan"}

MOST_LINES = 500
"""Lines of two texts that are compared line by line. That takes the square of them, and more are not read."""

GROUPS = ("triggers", "nodes", "globals", "schedules")

TESTS = {
    Method.FISHER: "Fisher's exact test",
    Method.PROPORTIONS: "test of two proportions",
    Method.MANN_WHITNEY: "Mann-Whitney U test",
}

FAILURES = {
    Verdict.MORE: "B fails more often",
    Verdict.LESS: "B fails less often",
    Verdict.NONE: "no difference in failures is shown",
}
DURATIONS = {
    Verdict.MORE: "B is slower",
    Verdict.LESS: "B is faster",
    Verdict.NONE: "no difference in duration is shown",
    Verdict.TOO_FEW: "too few runs to compare durations",
}

VERDICTS = {Verdict.MORE: "red", Verdict.LESS: "green"}
"""More failures, and more time, are worse."""

Line = tuple[str, str]
"""A sign, which says how it looks, and the rest: none for a title, a blank for what is neither new nor gone."""


def show_comparison(comparison: Comparison) -> None:
    console = _console()
    one, other = comparison.versions
    for line in (*_heads(one, other), *_told(comparison.differences, is_same=one.digest == other.digest)):
        console.print(_coloured(line), soft_wrap=True)
    if comparison.runs is not None:
        _show_runs(console, comparison.runs)


def _show_runs(console: Console, runs: Runs) -> None:
    begin, end = (at.astimezone(UTC).strftime("%Y-%m-%d %H:%M") for at in (runs.one.start, runs.one.end))
    console.print(Text(f"\nruns that ended from {begin} to {end} UTC", style="bold"), soft_wrap=True)
    console.print(_table(runs.one, runs.other))
    for verdict, words in (_failures(runs.failures), _durations(runs.durations)):
        console.print(Text(f"  {words}", style=VERDICTS.get(verdict, "")), soft_wrap=True)


def _console() -> Console:
    console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False)
    return Console(width=console.width, highlight=False, color_system=None) if console.no_color else console


def _coloured(line: Line) -> Text:
    """A title stands by itself; what has a sign is indented below it."""
    sign, words = line
    if not sign:
        return Text(words, style="bold")
    return Text(f"  {sign} {words}" if sign != " " else f"  {words}", style=COLOURS.get(sign, ""))


def _heads(one: Compared, other: Compared) -> Iterator[Line]:
    for letter, version in (("A", one), ("B", other)):
        name = "Draft" if version.name is None else printable(version.name)
        status = f"{version.status}, iteration {version.iteration}, revision {version.revision}"
        yield "", f"{letter}  {name}  (version {version.id}, {status}, digest {version.digest.hex()[:12]})"


def _told(found: Differences, *, is_same: bool) -> Iterator[Line]:
    if not found:
        yield "", ""
        yield (
            " ",
            "Nothing differs." if is_same else "Nothing differs but how it is drawn, or in what order it is kept.",
        )
    for name in GROUPS:
        yield from _group(name, getattr(found, name))
    yield from _edges(found)
    if found.settings:
        yield from _title("settings", (len(found.settings), "changed"))
        for change in found.settings:
            yield from _change(change, "")


def _title(name: str, *counts: tuple[int, str]) -> Iterator[Line]:
    yield "", ""
    yield "", f"{name}: " + ", ".join(f"{count} {what}" for count, what in counts if count)


def _group(name: str, group: Group) -> Iterator[Line]:
    if not group:
        return
    counts = (len(group.added), "added"), (len(group.removed), "removed"), (group.altered_count, "changed")
    yield from _title(name, *counts)
    yield from _listed("-", map(_called, group.removed), len(group.removed))
    yield from _listed("+", map(_called, group.added), len(group.added))
    for altered in group.altered:
        yield from _altered(altered)
    if group.altered_count > len(group.altered):
        yield "~", f"… and {group.altered_count - len(group.altered)} more"


def _listed(sign: str, words: Iterable[str], count: int) -> Iterator[Line]:
    for _, one in zip(range(MOST_TOLD), words, strict=False):
        yield sign, one
    if count > MOST_TOLD:
        yield sign, f"… and {count - MOST_TOLD} more"


def _altered(altered: Altered) -> Iterator[Line]:
    yield "~", _called(altered.thing)
    for change in altered.changes:
        yield from _change(change, "    ")
    if not altered.is_whole:
        yield " ", "    … and more"


def _called(thing: Thing) -> str:
    """Its label, and what tells it from others of the same label; a schedule has an expression and a zone."""
    words = [word for word in (thing.label and f'"{thing.label}"', thing.type, thing.id and f"({thing.id})") if word]
    return printable(" ".join(words) or "(without a name)")


def _edges(found: Differences) -> Iterator[Line]:
    added, removed = found.edges_added, found.edges_removed
    if not added and not removed:
        return

    def told(edge: Edge) -> str:
        source = edge.source or "(without a name)"
        origin, target = (_labelled(found, name) for name in (source, edge.target))
        return printable(f"{origin}  output {edge.output}  →  {target}")

    yield from _title("edges", (len(added), "added"), (len(removed), "removed"))
    yield from _listed("-", map(told, removed), len(removed))
    yield from _listed("+", map(told, added), len(added))


def _labelled(found: Differences, name: str) -> str:
    label = found.labels.get(name)
    return f'"{label}" ({name})' if label else name


def _change(change: Change, indent: str) -> Iterator[Line]:
    yield " ", f"{indent}{printable(change.path.lstrip('/') or '(all of it)')}"
    before, after = _lines(change.before), _lines(change.after)
    if max(len(before), len(after)) > 1 and len(before) + len(after) <= MOST_LINES:
        for line in list(unified_diff(before, after, lineterm="", n=1))[2:]:
            sign = line[0] if line[0] in COLOURS else " "
            yield sign, f"{indent}  {printable(line if sign in ' @' else line[1:])}"
        return
    for sign, value, other in (("-", change.before, change.after), ("+", change.after, change.before)):
        if value is not ABSENT:
            yield sign, f"{indent}  {printable(_text(told_value(value, other)[0]))}"


def _lines(value: Any) -> Sequence[str]:
    return value.splitlines() if isinstance(value, str) else ()


def _text(value: Any) -> str:
    return value if isinstance(value, str) and value else written(value).decode()


def printable(text: str) -> str:
    """The text on one line, with the escapes that Python writes for what cannot be seen."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def _table(one: Summary, other: Summary) -> Table:
    table = Table("", "A", "B", box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for name, *cells in zip(_ROWS, _cells(one), _cells(other), strict=True):
        if any(cells):
            table.add_row(f"  {name}", *cells)
    return table


_ROWS = ("ended", "failed", "median", "95th percentile", "99th percentile")


def _cells(summary: Summary) -> Iterator[str]:
    yield str(summary.runs)
    yield f"{summary.failures} ({summary.failures / summary.runs:.2%})" if summary.runs else "0"
    for stat in (Stat.P50, Stat.P95, Stat.P99):
        value = summary.duration.tell(stat)
        yield "" if value is None else f"{value:,.1f} ms"


def _failures(shares: Shares | None) -> tuple[Verdict, str]:
    if shares is None:
        return Verdict.TOO_FEW, "failures: one of them has no runs to compare"
    span = " to ".join(f"{100 * bound:+.2f}" for bound in shares.interval)
    by = f"{TESTS[shares.test]}; {100 * shares.difference:+.2f} points, somewhere from {span}"
    return shares.verdict, f"{FAILURES[shares.verdict]}: {_confidence(shares.p_value)} ({by})"


def _durations(ranks: Ranks | None) -> tuple[Verdict, str]:
    if ranks is None:
        return Verdict.TOO_FEW, "durations: one of them has no runs to compare"
    by = f"{TESTS[ranks.test]}; of one run of each, that of B is the longer one with a chance of {ranks.chance:.0%}"
    return ranks.verdict, f"{DURATIONS[ranks.verdict]}: {_confidence(ranks.p_value)} ({by})"


def _confidence(p_value: float) -> str:
    """Never all of it: what rounds to that is less."""
    return "confidence over 99.99 %" if p_value < 0.0001 else f"confidence {100 * (1 - p_value):.2f} %"
