"""The load of the benches counts whole answers of the expected status and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import cycle, islice

import pytest

from bench.load import Unexpected, drive

REQUEST = b"GET /%d HTTP/1.1\r\n\r\n"
FINE = b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 5\r\n\r\nhello"


@asynccontextmanager
async def _server(answer: Callable[[bytes], Sequence[bytes]]) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Answers each request in these parts, each sent by itself, and closes after none; yields what it was asked."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                asked.append(request)
                if not (parts := answer(request)):
                    break
                for part in parts:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0)
        except asyncio.IncompleteReadError:
            pass  # the other side has had enough
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], asked


async def _drive(port: int, *, connections: int, count: int, different: int = 3) -> float:
    requests = islice(cycle([REQUEST % number for number in range(different)]), count)
    return (await drive("127.0.0.1", port, connections, 200, requests)).rate


async def test_every_request_is_sent_in_turn_as_often_as_asked() -> None:
    async with _server(lambda _: [FINE]) as (port, asked):
        assert await _drive(port, connections=4, count=20) > 0
    assert sorted(asked) == sorted(REQUEST % (number % 3) for number in range(20))


async def test_an_answer_that_comes_in_pieces_is_one_answer() -> None:
    pieces = [FINE[:10], FINE[10:38], FINE[38:41], FINE[41:]]
    async with _server(lambda _: pieces) as (port, asked):
        await _drive(port, connections=2, count=10)
    assert len(asked) == 10


async def test_more_connections_than_requests_are_no_harm() -> None:
    async with _server(lambda _: [FINE]) as (port, asked):
        await _drive(port, connections=8, count=1)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ([b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"], "503 Service Unavailable.*busy"),
        ([b"HTTP/1.1 200 OK\r\n\r\n"], "200 OK"),
        ([FINE + b"!"], "longer than it says"),
        ([], "closed while a request was under way"),
    ],
    ids=["status", "no length", "too long", "closed"],
)
async def test_one_wrong_answer_ends_it(bad: list[bytes], says: str) -> None:
    async with _server(lambda request: bad if b"/2 " in request else [FINE]) as (port, _):
        with pytest.raises(Unexpected, match=says):
            await _drive(port, connections=2, count=20)
