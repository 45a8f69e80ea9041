"""Whether what was measured of two versions differs by more than chance: the tests behind "fails more" and "slower".

Shares of failures: Fisher's exact test where a cell of the two by two table is expected to hold fewer than
LEAST_EXPECTED, else the test of two proportions. Durations: the Mann-Whitney U test with the correction for ties, on
the buckets of a histogram. It asks only which of two runs is the longer one, so neither a few endless runs nor
the shape of the distribution misleads it, as they do tests of means; and runs in one bucket count as ties, so buckets
cost it a little power and never invent a difference. Both are two-sided. Neither knows why: versions run at different
times, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist

CONFIDENCE = 0.99
"""From here on a difference is called one. A team that compares after every deploy, two questions each time, would at
0.95 be told of a difference that is none every tenth time."""

LEAST_RUNS = 20
"""Durations of each version below which none is called slower: the normal distribution that U is compared with is an
approximation."""

LEAST_EXPECTED = 5.0
"""Below that the distribution of a count is too far from a normal one."""

_ROUNDING = 1 + 1e-7
"""Tables as likely as the one observed count among those that are no likelier, whatever the last digits say."""

_NORMAL = NormalDist()

Histogram = Mapping[int, int]
"""How many values each bucket has; a bucket of a greater number has greater values."""


class Method(StrEnum):
    FISHER = "fisher_exact"
    PROPORTIONS = "two_proportions"
    MANN_WHITNEY = "mann_whitney_u"


class Verdict(StrEnum):
    """What can be said of the second version beside the first."""

    MORE = "more"
    LESS = "less"
    NONE = "no_difference_shown"
    TOO_FEW = "too_few_runs"


@dataclass(frozen=True, slots=True)
class Shares:
    """Two shares compared. `difference` is the second minus the first, `interval` where it is with CONFIDENCE."""

    test: Method
    p_value: float
    difference: float
    interval: tuple[float, float]
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Ranks:
    """Two samples compared. `chance` is that of a value of the second to be the greater one of two, a tie for half."""

    test: Method
    p_value: float
    chance: float
    verdict: Verdict


def compare_shares(hits: int, of: int, other_hits: int, other_of: int) -> Shares | None:
    """Whether the second share is another one; None where one of them is of nothing."""
    if not of or not other_of:
        return None
    total, all_hits = of + other_of, hits + other_hits
    least = min(of, other_of) * min(all_hits, total - all_hits) / total
    exact = least < LEAST_EXPECTED
    p_value = (_fisher if exact else _proportions)(hits, of, other_hits, other_of)
    difference = other_hits / other_of - hits / of
    verdict = _verdict(p_value, difference)
    interval = share_interval(hits, of, other_hits, other_of)
    return Shares(Method.FISHER if exact else Method.PROPORTIONS, p_value, difference, interval, verdict)


def compare_ranks(one: Histogram, other: Histogram) -> Ranks | None:
    """Whether the second sample tends to other values; None where one of them is empty."""
    first, second = sum(one.values()), sum(other.values())
    if not first or not second:
        return None
    twice_u, below, ties = 0, 0, 0
    for bucket in sorted(one.keys() | other.keys()):
        ours, theirs = one.get(bucket, 0), other.get(bucket, 0)
        twice_u += theirs * (2 * below + ours)
        below += ours
        ties += (ours + theirs) ** 3 - (ours + theirs)
    p_value = _rank_p_value(twice_u, first, second, ties)
    chance = twice_u / (2 * first * second)
    few = min(first, second) < LEAST_RUNS
    verdict = Verdict.TOO_FEW if few else _verdict(p_value, chance - 0.5)
    return Ranks(Method.MANN_WHITNEY, p_value, chance, verdict)


def _verdict(p_value: float, direction: float) -> Verdict:
    if p_value > 1 - CONFIDENCE:
        return Verdict.NONE
    return Verdict.MORE if direction > 0 else Verdict.LESS


def _rank_p_value(twice_u: int, first: int, second: int, ties: int) -> float:
    """With the correction for continuity: U moves by halves at least."""
    total = first + second
    if total < 2:
        return 1.0
    variance = first * second / 12 * (total + 1 - ties / (total * (total - 1)))
    if variance <= 0:
        return 1.0  # all values are in one bucket
    distance = max(0.0, abs(twice_u - first * second) / 2 - 0.5)
    return _two_sided(distance / math.sqrt(variance))


def _proportions(hits: int, of: int, other_hits: int, other_of: int) -> float:
    share = (hits + other_hits) / (of + other_of)
    deviation = math.sqrt(share * (1 - share) * (1 / of + 1 / other_of))
    return _two_sided(abs(other_hits / other_of - hits / of) / deviation)


def _two_sided(deviations: float) -> float:
    return math.erfc(deviations / math.sqrt(2))


def _fisher(hits: int, of: int, other_hits: int, other_of: int) -> float:
    """The probability, if hits fell at random, of a table no likelier than this one.

    There are as many tables as the smaller margin has members; one cell is expected to be small where this is asked, so
    those are some ten thousand even for a hundred million runs.
    """
    all_hits = hits + other_hits
    tables = range(max(0, all_hits - other_of), min(of, all_hits) + 1)
    if len(tables) == 1:
        return 1.0
    logs = [_log_choose(of, count) + _log_choose(other_of, all_hits - count) for count in tables]
    highest = max(logs)
    weights = [math.exp(log - highest) for log in logs]
    observed = weights[hits - tables.start] * _ROUNDING
    return min(1.0, math.fsum(weight for weight in weights if weight <= observed) / math.fsum(weights))


def _log_choose(of: int, count: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(count + 1) - math.lgamma(of - count + 1)


def share_interval(
    hits: int, of: int, other_hits: int, other_of: int, *, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Where the difference of two shares is, by Newcombe's method of two score intervals, which holds near 0 and 1."""
    low, high = _wilson(hits, of, confidence)
    other_low, other_high = _wilson(other_hits, other_of, confidence)
    share, other = hits / of, other_hits / other_of
    difference = other - share
    down = math.hypot(other - other_low, high - share)
    up = math.hypot(other_high - other, share - low)
    return max(-1.0, difference - down), min(1.0, difference + up)


def _wilson(hits: int, of: int, confidence: float) -> tuple[float, float]:
    score = _NORMAL.inv_cdf(0.5 + confidence / 2)
    share, square = hits / of, score * score
    middle = share + square / (2 * of)
    spread = score * math.sqrt(share * (1 - share) / of + square / (4 * of * of))
    below = 1 + square / of
    return max(0.0, (middle - spread) / below), min(1.0, (middle + spread) / below)
