"""What the clients' runs leave behind for `make test-contracts`: a file a client, one exchange a line."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from tests.support.conformance import route_of
from tests.support.tap import Exchange

VARIABLE = "PENSTOCK_RECORDED"
"""The folder to write to; unset, nothing is kept."""


@dataclass(frozen=True)
class Recorded:
    """One answer: to which operation, None where the address has none, and with the text of both bodies."""

    operation: str | None
    method: str
    path: str
    sent: str
    status: int
    said: str


def record(speaker: str, exchanges: Iterable[Exchange]) -> None:
    folder = os.environ.get(VARIABLE)
    if not folder:
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    with (Path(folder) / f"{speaker}.jsonl").open("ab") as file:
        for exchange in exchanges:
            file.write(orjson.dumps(asdict(_recorded(exchange)), option=orjson.OPT_APPEND_NEWLINE))


def recorded(file: Path) -> Iterator[Recorded]:
    with file.open("rb") as lines:
        for line in lines:
            yield Recorded(**orjson.loads(line))


def _recorded(exchange: Exchange) -> Recorded:
    route = route_of(exchange.method, exchange.path)
    operation = route.need.scope if route and route.need else None
    return Recorded(
        operation, exchange.method, exchange.path, exchange.body.decode(), exchange.status, exchange.raw.decode()
    )
