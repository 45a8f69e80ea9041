"""What is asked of the API and of its peers. Another case is another entry of CASES."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

CONNECTIONS = 64

FLOWS = 64
"""Flows that versions are created in: one a connection, so that hardly any two wait for the same lock."""

LEAST_RATIO = 0.80

LEAST_LIST_RATIO = 0.70
"""For lists of a whole application, and those that a query narrows."""

QUERY = quote('{"$and":[{"enabled":true},{"version":{"$startsWith":"v"}}]}')
"""Every version of a filled flow meets it."""


@dataclass(frozen=True, slots=True)
class Case:
    """One question, in our words and in those of the peers, and its targets.

    In both addresses {…} stands for what the bench put there (bench/contestants.py), {n} for a number from 1 to
    `different`.
    """

    name: str
    ours: str
    peers: str
    requests: int
    """In a round, a second's worth or some."""
    rounds: int = 5
    """Of a full run. More and shorter ones where the disk makes each differ from the next."""
    connections: int = CONNECTIONS
    different: int = 1
    flows: int = 0
    """The requests are POSTs that create a version each, in so many flows by turns ({own}). 0: they are GETs."""
    company: bool = False
    """Ours is under /api/v1, where the company's key asks and ids are plain numbers."""
    label: str = "version"
    """The member that names an item in every answer."""
    least_ratio: float | None = None
    """Our requests a second, at least, as a share of the bare server's. None: for information."""
    most_p99_seconds: float | None = None

    @property
    def method(self) -> str:
        return "POST" if self.flows else "GET"

    @property
    def status(self) -> int:
        """What every answer must have."""
        return 201 if self.flows else 200


FIRST_PAGE = Case(
    "page 0 of 200",
    ours="/applications/{application}/flows/{long}/versions?perPage=100&page=0",
    peers="/flows/{long}/versions?perPage=100&page=0",
    requests=300,
)
LAST_PAGE = Case(
    "page 199 of 200",
    ours="/applications/{application}/flows/{long}/versions?perPage=100&page=199",
    peers="/flows/{long}/versions?perPage=100&page=199",
    requests=300,
)

CASES = (
    Case(
        "one of 2 kB",
        ours="/applications/{application}/flows/{full}/versions/v{n}",
        peers="/flows/{full}/versions/v{n}",
        requests=6_000,
        different=100,
        least_ratio=LEAST_RATIO,
        most_p99_seconds=0.040,
    ),
    Case(
        "100 without bodies",
        ours="/applications/{application}/flows/{lean}/versions?perPage=100",
        peers="/flows/{lean}/versions?perPage=100",
        requests=1_500,
        least_ratio=LEAST_RATIO,
        most_p99_seconds=0.100,
    ),
    Case(
        "100 of 2 kB",
        ours="/applications/{application}/flows/{full}/versions?perPage=100",
        peers="/flows/{full}/versions?perPage=100",
        requests=1_000,
        least_ratio=LEAST_RATIO,
    ),
    FIRST_PAGE,
    LAST_PAGE,
    Case(
        f"create in {FLOWS} flows",
        ours="/applications/{application}/flows/{own}/versions",
        peers="/flows/{own}/versions",
        requests=1_500,
        rounds=15,
        flows=FLOWS,
        least_ratio=LEAST_RATIO,
    ),
    Case(
        "100 with a query",
        ours=f"/applications/{{application}}/flows/{{full}}/versions?perPage=100&query={QUERY}",
        peers="/flows/{full}/matching?perPage=100&enabled=true&startsWith=v",
        requests=1_000,
        least_ratio=LEAST_LIST_RATIO,
    ),
    Case(
        "100 flows",
        ours="/applications/{application}/flows?perPage=100&flowClass=edge",
        peers="/applications/{application}/flows?perPage=100&flowClass=edge",
        requests=1_000,
        label="name",
        least_ratio=LEAST_LIST_RATIO,
    ),
    Case(
        "100 by version",
        ours="/applications/{application}/flows/version?perPage=100&flowClass=edge&version=stable",
        peers="/applications/{application}/namesakes?perPage=100&flowClass=edge&version=stable",
        requests=1_000,
        least_ratio=LEAST_LIST_RATIO,
    ),
    Case(
        "100 job logs",
        ours="/applications/{application}/jobLogs?perPage=100",
        peers="/applications/{application}/jobLogs?perPage=100",
        requests=1_500,
        label="jobId",
        least_ratio=LEAST_LIST_RATIO,
    ),
    # All take turns here: whoever writes versions of a flow holds its row, so that the ordinals have no gaps.
    Case(
        "create in one flow",
        ours="/applications/{application}/flows/{own}/versions",
        peers="/flows/{own}/versions",
        requests=1_000,
        flows=1,
    ),
)
