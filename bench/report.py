"""From samples to what is printed."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

__all__ = ["Judge", "median", "milliseconds", "print_table", "quantile", "spread"]


def quantile(samples: Sequence[float], share: float) -> float:
    """The sample that `share` of all samples do not exceed; no value in between is made up."""
    ordered = sorted(samples)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f}" if seconds < 1 else f"{seconds * 1000:,.0f}"


def spread(samples: Sequence[float]) -> str:
    """The least and the most, so that a median of few rounds is not taken for more than it is."""
    return f"{min(samples):,.0f}-{max(samples):,.0f}"


class Judge:
    """Says whether a target was met; says nothing about sizes the target is not about."""

    def __init__(self, *, judges: bool) -> None:
        self._judges = judges

    def __call__(self, met: bool) -> str:
        if not self._judges:
            return "-"
        return "met" if met else "MISSED"


def print_table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The first column to the left, figures to the right. Shown at once, also through a pipe."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = [f"\n{title}"]
    for row in [head, ["-" * width for width in widths], *rows]:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append("  " + "  ".join(cells).rstrip())
    print("\n".join(lines), flush=True)
