"""A runner that takes whatever it is sent and answers at once, as cheaply as Python can.

    python -m bench.bare_runner

Listens where PENSTOCK_HOST and PENSTOCK_PORT say. GET /readyz says that it is there, GET /received what it has got so
far: `{"requests": …, "runs": …}`, the second without repeats of a `webhook-id`. What it costs is not measured, but it
shares the cores with what is.
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import cast

import orjson
import uvloop

_HEAD_END = b"\r\n\r\n"
_DONE = b"HTTP/1.1 204 No Content\r\n\r\n"


class Received:
    """What was posted so far."""

    def __init__(self) -> None:
        self.requests = 0
        self.ids: set[bytes] = set()


class Runner(asyncio.Protocol):
    """One connection, kept for as long as the other side likes."""

    def __init__(self, received: Received) -> None:
        self._received = received
        self._buffer = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is one, and does not say so

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(_HEAD_END)) >= 0:
            head = self._buffer[:end].lower()
            whole = end + len(_HEAD_END) + int(_header(head, b"content-length") or b"0")
            if len(self._buffer) < whole:
                return
            self._buffer = self._buffer[whole:]
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        assert self._transport is not None
        if head.startswith(b"get "):
            told = orjson.dumps({"requests": self._received.requests, "runs": len(self._received.ids)})
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(told), told))
            return
        self._received.requests += 1
        self._received.ids.add(_header(head, b"webhook-id"))
        self._transport.write(_DONE)


def _header(head: bytes, name: bytes) -> bytes:
    place = head.find(b"\r\n" + name + b":")
    if place < 0:
        return b""
    start = place + len(name) + 3
    end = head.find(b"\r\n", start)
    return head[start : end if end >= 0 else None].strip()


async def main() -> None:
    loop, stop, received = asyncio.get_running_loop(), asyncio.Event(), Received()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    host, port = os.environ["PENSTOCK_HOST"], int(os.environ["PENSTOCK_PORT"])
    server = await loop.create_server(lambda: Runner(received), host, port, backlog=1_024)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
