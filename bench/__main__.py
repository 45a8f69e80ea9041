"""`python -m bench [--smoke] [name ...]`: every bench of the list, or those named."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Mapping
from typing import Protocol

from bench import (
    bulk_delete,
    deploys,
    dispatch,
    fairness,
    http,
    marketplace,
    metrics,
    patchworks,
    queue_latency,
    scheduler,
    undo,
)
from bench.servers import Servers, open_servers, print_facts


class Bench(Protocol):
    """Measures on servers of its own and prints tables; with `smoke` small, for the checks and not for the times.

    Raises AssertionError if the work it timed was not really done.
    """

    def __call__(self, servers: Servers, *, smoke: bool) -> Awaitable[None]: ...


BENCHES: Mapping[str, Bench] = {
    "bulk_delete": bulk_delete.measure,
    "queue_latency": queue_latency.measure,
    "http": http.measure,
    "patchworks": patchworks.measure,
    "deploys": deploys.measure,
    "undo": undo.measure,
    "fairness": fairness.measure,
    "marketplace": marketplace.measure,
    "scheduler": scheduler.measure,
    "dispatch": dispatch.measure,
    "metrics": metrics.measure,
}

FULL_SECONDS = 1_800
SMOKE_SECONDS = 120
"""After this a bench is stuck rather than slow."""


def _known(name: str) -> str:
    if name not in BENCHES:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(BENCHES)}")
    return name


async def main(names: list[str], *, smoke: bool) -> None:
    for name in names:
        began = time.monotonic()
        print(f"\n== {name}{' (smoke: results are checked, times mean nothing)' if smoke else ''}")
        async with asyncio.timeout(SMOKE_SECONDS if smoke else FULL_SECONDS), open_servers() as servers:
            await print_facts(servers)
            await BENCHES[name](servers, smoke=smoke)
        print(f"\n{name} took {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="small sizes: results are checked, times are not")
    parser.add_argument("names", metavar="name", nargs="*", type=_known, help=f"{', '.join(BENCHES)}; all if none")
    given = parser.parse_args()
    asyncio.run(main(given.names or list(BENCHES), smoke=given.smoke))
