"""Distributions of numbers that add up: how many values fell into each of fixed buckets, 32 to every doubling.

The buckets are the same everywhere, so distributions of five minutes add up to that of a day, in any order, and a
percentile of the sum is as good as one of the parts: at most ERROR away from the value that has the rank. Sums are
whole numbers of billionths, so they are exact, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum

ERROR = 1 / 64
"""How far a percentile may be from the value that has its rank, relative to that value: half a bucket's width."""

SMALLEST = 2.0**-30
"""Values nearer to zero than this, about a billionth, are taken for zero."""

PRECISION = 9
"""Decimal places of what is summed up: a value that a runner told is rounded to them."""

_DOUBLING = 32
_LOWEST = 30
BILLION = 1_000_000_000


class Stat(StrEnum):
    """What is told of a distribution: the keys of duration, lateness and payload, and the ends of those of custom."""

    AVG = "avg"
    COUNT = "count"
    MAX = "max"
    MIN = "min"
    P50 = "p50"
    P95 = "p95"
    P99 = "p99"
    SUM = "sum"


_SHARES = {Stat.P50: 0.5, Stat.P95: 0.95, Stat.P99: 0.99}


def bucket_of(value: float) -> int:
    """The bucket of a value: none is 0, and those of negative values are the same below it.

    Exact on every machine: it takes the number apart and computes no logarithm.
    """
    size = abs(value)
    if size < SMALLEST:
        return 0
    part, exponent = math.frexp(size)
    bucket = (exponent + _LOWEST - 1) * _DOUBLING + int((part - 0.5) * 2 * _DOUBLING) + 1
    return bucket if value > 0 else -bucket


def middle_of(bucket: int) -> float:
    """The value in the middle of a bucket."""
    if bucket == 0:
        return 0.0
    exponent, step = divmod(abs(bucket) - 1, _DOUBLING)
    size = math.ldexp(1 + (step + 0.5) / _DOUBLING, exponent - _LOWEST)
    return size if bucket > 0 else -size


@dataclass(slots=True)
class Distribution:
    """Values, as far as they are remembered. `total` and `squares` are sums in billionths and in billionths of
    billionths; `least` and `greatest` are of no meaning while `count` is 0."""

    count: int = 0
    total: int = 0
    squares: int = 0
    least: float = math.inf
    greatest: float = -math.inf
    buckets: dict[int, int] = field(default_factory=dict)

    def add(self, billionths: int) -> None:
        value = billionths / BILLION
        self.count += 1
        self.total += billionths
        self.squares += billionths * billionths
        self.least = min(self.least, value)
        self.greatest = max(self.greatest, value)
        bucket = bucket_of(value)
        self.buckets[bucket] = self.buckets.get(bucket, 0) + 1

    def merge(self, other: Distribution) -> None:
        self.count += other.count
        self.total += other.total
        self.squares += other.squares
        self.least = min(self.least, other.least)
        self.greatest = max(self.greatest, other.greatest)
        for bucket, count in other.buckets.items():
            self.buckets[bucket] = self.buckets.get(bucket, 0) + count

    @property
    def sum(self) -> float:
        return self.total / BILLION

    @property
    def average(self) -> float | None:
        return self.total / self.count / BILLION if self.count else None

    @property
    def deviation(self) -> float | None:
        """The standard deviation of a sample; None of fewer than two values."""
        if self.count < 2:
            return None
        spread = self.squares * self.count - self.total * self.total
        return math.sqrt(spread / (self.count * (self.count - 1))) / BILLION

    def percentile(self, share: float) -> float | None:
        """The value that `share` of all values, in [0, 1], do not exceed (the nearest rank), at most ERROR from it."""
        if not self.count:
            return None
        rank, seen = max(1, math.ceil(share * self.count)), 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= rank:
                return min(max(middle_of(bucket), self.least), self.greatest)
        return self.greatest

    def tell(self, stat: Stat) -> float | None:
        if stat in _SHARES:
            return self.percentile(_SHARES[stat])
        if not self.count:
            return None
        told = {
            Stat.AVG: self.average, Stat.COUNT: self.count, Stat.MAX: self.greatest, Stat.MIN: self.least,
            Stat.SUM: self.sum,
        }  # fmt: skip
        return told[stat]


def billionths(value: int | float) -> int:
    """The nearest whole number of them, computed exactly: a float is a fraction of whole numbers."""
    if isinstance(value, int):
        return value * BILLION
    above, below = value.as_integer_ratio()
    return (2 * above * BILLION + below) // (2 * below)
