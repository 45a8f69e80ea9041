"""Requests to one HTTP server, from a process of its own so that the time is neither the server's nor the bench's.

    python -m bench.load HOST PORT CONNECTIONS STATUS COUNT < requests

The requests are written before the first is sent. Each of the connections stays open and has one request under way;
whichever is free sends the next. After the last request the list begins anew, until COUNT were answered. Any status
but the expected one, and any connection the server closes, ends it with an error: an answer that is no answer would
count as a quick one.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from typing import cast

import orjson
import uvloop

from bench.report import quantile
from bench.servers import Servers
from cli.embedded.launch import open_log
from cli.embedded.ports import LOOPBACK
from cli.embedded.starting import last_word

_SHOWN = 300
"""Bytes of an unexpected answer that are worth showing."""


@dataclass(frozen=True, slots=True)
class Load:
    """What it took: requests a second over all connections, and what one of them waited for its answer."""

    rate: float
    p50_seconds: float
    p99_seconds: float


async def send(
    servers: Servers, port: int, requests: Sequence[bytes], *, connections: int, status: int, count: int
) -> Load:
    """The bench's side. Raises RuntimeError with the child's last word if it did not get what it expected."""
    log = servers.folder / "logs" / "load.log"
    errors = open_log(log)
    words = [str(word) for word in (LOOPBACK, port, connections, status, count)]
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.load", *words),
            stdin=PIPE,
            stdout=PIPE,
            stderr=errors,
            env=servers.environment,
        )
    finally:
        os.close(errors)
    try:
        lengths = orjson.dumps([len(request) for request in requests])
        said, _ = await process.communicate(b"".join([lengths, b"\n", *requests]))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    if process.returncode != 0:
        raise RuntimeError(f"the load broke off; {last_word(log)}")
    return Load(**orjson.loads(said))


class Unexpected(Exception):
    """The server said something else than it should have; the message is what."""


class _Connection(asyncio.Protocol):
    """Sends the next request as soon as the last one was answered, until there is none left."""

    def __init__(self, requests: Iterator[bytes], status: bytes, waits: list[float]) -> None:
        self._requests = requests
        self._status = status
        self._waits = waits
        self._began = 0.0
        self._head = b""
        self._missing = 0
        """Bytes still to come of the answer's body."""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def send(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self.done.set_result(None)
            self._transport.close()
            return
        self._began = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self.done.done():
            return
        try:
            answered = self._take(data)
        except Unexpected as surprise:
            self.done.set_exception(surprise)
            return
        if answered:
            self._waits.append(time.perf_counter() - self._began)
            self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(Unexpected(f"a connection was closed while a request was under way: {exc}"))

    def _take(self, data: bytes) -> bool:
        """Whether the answer is whole now."""
        if self._missing:
            self._missing -= len(data)
        else:
            self._head += data
            head, end, rest = self._head.partition(b"\r\n\r\n")
            if not end:
                return False
            self._missing = self._length(head) - len(rest)
            self._head = b""
        if self._missing < 0:
            raise Unexpected("an answer is longer than it says")
        return self._missing == 0

    def _length(self, head: bytes) -> int:
        """Of the body, as the head says."""
        _, named, length = head.lower().partition(b"\r\ncontent-length:")
        if head.split(b" ", 2)[1] != self._status or not named:
            raise Unexpected(f"an answer was {self._head[:_SHOWN]!r}")
        return int(length.partition(b"\r\n")[0])


async def drive(host: str, port: int, connections: int, status: int, requests: Iterator[bytes]) -> Load:
    """The child's side: opens all connections, then sends. Raises Unexpected."""
    loop = asyncio.get_running_loop()
    waits: list[float] = []
    opened = [
        (await loop.create_connection(lambda: _Connection(requests, str(status).encode(), waits), host, port))[1]
        for _ in range(connections)
    ]
    began = time.perf_counter()
    for connection in opened:
        connection.send()
    await asyncio.gather(*(connection.done for connection in opened))
    seconds = time.perf_counter() - began
    return Load(len(waits) / seconds, quantile(waits, 0.50), quantile(waits, 0.99))


def _read_requests() -> list[bytes]:
    lengths = orjson.loads(sys.stdin.buffer.readline())
    return [sys.stdin.buffer.read(length) for length in lengths]


if __name__ == "__main__":
    where, at, many, expected, times = sys.argv[1:]
    turns = islice(cycle(_read_requests()), int(times))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(drive(where, int(at), int(many), int(expected), turns))
    print(orjson.dumps(asdict(found)).decode(), flush=True)
