"""Rounds of requests to servers that answer from the same rows, and the tables of what they took.

In each round every server gets the same number of the same requests, the first one changing from round to round.
Before that their answers are compared, and each is warmed up. A ratio is that of two servers in one round, and the
median of these: what disturbs the machine for some seconds disturbs both, and their medians need not be of one moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.contestants import Contestant
from bench.http_cases import Case
from bench.report import Judge, median, milliseconds, print_table, spread
from core.store.database import Connection

WARM_UP = 0.25
"""Of a round's requests; by then every connection of the pool has prepared its statements."""

SETTLE_SECONDS = 300
"""For VACUUM or CHECKPOINT: some seconds on a slow disk."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much: rounds at most, and the share of each case's requests."""

    most_rounds: int
    share: float

    def rounds(self, case: Case) -> int:
        return min(case.rounds, self.most_rounds)

    def requests(self, case: Case) -> int:
        return int(case.requests * self.share)


FULL = Size(most_rounds=100, share=1.0)
SMOKE = Size(most_rounds=1, share=0.03)


async def run_cases(connection: Connection, cases: Sequence[Case], contestants: list[Contestant], size: Size) -> None:
    """Compares and measures each; raises AssertionError if the servers do not answer alike, or not as they should."""
    for case in cases:
        await _compare(case, contestants)
        await _measure(connection, case, contestants, size)


async def _compare(case: Case, contestants: Sequence[Contestant]) -> None:
    """All say the same of as many items, in the same order."""
    said = {contestant.name: _said(case, await contestant.ask(case)) for contestant in contestants}
    total, items = said["ours"]
    assert items, f"{case.name}: there is nothing to measure"
    for name, (other_total, others) in said.items():
        assert (other_total, len(others)) == (total, len(items)), f"{case.name}: {name} says {other_total} of {total}"
        assert others == items, f"{case.name}: the items of {name} are not ours"


def _said(case: Case, answer: Any) -> tuple[int | None, list[Any]]:
    """The total of a list, and what is the same in everybody's words: label and content of each item."""
    found = answer.get("data", answer.get("items", answer))
    total = answer["meta"]["total"] if "meta" in answer else answer.get("totalCount")
    return total, [
        (item.get("input", item)[case.label], item.get("body", item).get("nodes"))
        for item in (found if isinstance(found, list) else [found])
    ]


async def _measure(connection: Connection, case: Case, contestants: list[Contestant], size: Size) -> None:
    requests = size.requests(case)
    for contestant in contestants:
        await contestant.load(case, max(int(requests * WARM_UP), case.connections))
    for number in range(size.rounds(case)):
        first = number % len(contestants)
        for contestant in contestants[first:] + contestants[:first]:
            if case.flows:  # nobody pays for what others have written
                await connection.execute("CHECKPOINT", timeout=SETTLE_SECONDS)
            contestant.loads.setdefault(case.name, []).append(await contestant.load(case, requests))


_RATES = (
    "asked", "at once", "rounds", "ours", "least-most", "bare", "least-most", "ours/bare", "target", "of bests",
)  # fmt: skip


def print_rates(cases: Sequence[Case], contestants: Sequence[Contestant], size: Size, judge: Judge) -> None:
    """Ours against bare, and what the others reach."""
    others = [contestant.name for contestant in contestants[2:]]
    print_table(
        "Requests a second, median of the rounds",
        (*_RATES, *others),
        [_rate_row(case, contestants, size, judge) for case in cases],
    )


def print_waits(cases: Sequence[Case], contestants: Sequence[Contestant], judge: Judge) -> None:
    names = [contestant.name for contestant in contestants]
    print_table(
        "Until an answer was whole, ms, median of the rounds",
        (
            "asked",
            *(head for name in names for head in (f"{name} p50", "p99", *(["target"] if name == "ours" else []))),
        ),
        [_wait_row(case, contestants, judge) for case in cases],
    )


def _rate_row(case: Case, contestants: Sequence[Contestant], size: Size, judge: Judge) -> tuple[str, ...]:
    """The best rounds are those that other work on the machine disturbed least."""
    ours, bare, *others = ([load.rate for load in contestant.loads[case.name]] for contestant in contestants)
    ratio = median([one / other for one, other in zip(ours, bare, strict=True)])
    least = case.least_ratio
    return (
        case.name,
        str(case.connections),
        str(size.rounds(case)),
        f"{median(ours):,.0f}",
        spread(ours),
        f"{median(bare):,.0f}",
        spread(bare),
        f"{ratio:.2f}",
        "" if least is None else f">= {least:.2f} {judge(ratio >= least)}",
        f"{max(ours) / max(bare):.2f}",
        *(f"{median(rates):,.0f}" for rates in others),
    )


def _wait_row(case: Case, contestants: Sequence[Contestant], judge: Judge) -> tuple[str, ...]:
    cells = [case.name]
    for contestant in contestants:
        late = median([load.p99_seconds for load in contestant.loads[case.name]])
        cells += [milliseconds(half(contestant, case)), milliseconds(late)]
        if contestant is contestants[0]:
            most = case.most_p99_seconds
            cells.append("" if most is None else f"<= {most * 1000:.0f} {judge(late <= most)}")
    return tuple(cells)


def half(contestant: Contestant, case: Case) -> float:
    """What half of the answers took at most, in seconds."""
    return median([load.p50_seconds for load in contestant.loads[case.name]])
