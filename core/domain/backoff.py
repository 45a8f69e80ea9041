"""How long to wait before trying again. Pure arithmetic: the random part comes in as an argument."""

from __future__ import annotations

LONGEST_WAIT_SECONDS = 900.0
"""A receiver that was down all night is tried again within a quarter of an hour of coming back."""


def backoff_seconds(failures: int, fraction: float, first: float = 1.0, longest: float = LONGEST_WAIT_SECONDS) -> float:
    """Seconds to wait after `failures` failures in a row (1 or more); doubles each time up to `longest`.

    `fraction` in [0, 1) spreads the wait over its upper half, so that many jobs failed by one cause do not all
    return in one instant.
    """
    ceiling: float = min(longest, first * 2.0 ** min(failures - 1, 32))
    return ceiling * (0.5 + 0.5 * fraction)
