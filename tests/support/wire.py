"""A wire between a role and a server that can be cut, or made to stop at a phrase.

It is how a test gets a process to be at one exact point, such as between a commit and its answer, without anything in
the process that knows of it. The server must talk in the clear.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from urllib.parse import urlsplit, urlunsplit

from tests.support.statements import Census, Line


class Stop:
    """One stop that was asked for: `reached()` waits until traffic has come to it."""

    def __init__(self, phrase: bytes, skip: int, after: bool) -> None:
        self.after = after
        self.over = asyncio.Event()
        self._phrase = phrase
        self._skip = skip
        self._reached = asyncio.Event()
        self._writers: tuple[asyncio.StreamWriter, ...] = ()

    async def reached(self, seconds: float = 20.0) -> None:
        async with asyncio.timeout(seconds):
            await self._reached.wait()

    def release(self) -> None:
        """Lets the traffic go on."""
        self.over.set()

    def drop(self) -> None:
        """Cuts the connection; what was held back never arrives."""
        for writer in self._writers:
            writer.transport.abort()
        self.over.set()

    def found(self, data: bytes, *writers: asyncio.StreamWriter) -> bool:
        """Whether this is the place. Statements are small and go out whole, so one never spans two reads."""
        if self._reached.is_set():
            return False
        self._skip -= data.count(self._phrase)
        if self._skip >= 0:
            return False
        self._writers = writers
        self._reached.set()
        return True


class Wire:
    """`async with Wire(url) as wire:`, then `wire.url` leads to the same server until `shut()`.

    What clients say over it is counted in `census`, if one is given.
    """

    def __init__(self, url: str, census: Census | None = None) -> None:
        self._census = census
        self._target = urlsplit(url)
        self._server: asyncio.Server | None = None
        self._port = 0
        self._stop: Stop | None = None
        self._calls: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Wire:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.shut()

    @property
    def url(self) -> str:
        """The server's URL with the wire's port in it; the same however often it is shut and opened."""
        account = self._target.netloc.rpartition("@")[0]
        netloc = f"{account}@127.0.0.1:{self._port}" if account else f"127.0.0.1:{self._port}"
        return urlunsplit(self._target._replace(netloc=netloc))

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        """Refuses new connections and drops those there are."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    def stop_before(self, phrase: str, *, skip: int = 0) -> Stop:
        """Holds back the phrase, on its way to the server, and all that follows it on that connection."""
        self._stop = Stop(phrase.encode(), skip, after=False)
        return self._stop

    def stop_after(self, phrase: str, *, skip: int = 0) -> Stop:
        """Lets the phrase go on and holds back the answer; when the stop is reached the server may not have read it."""
        self._stop = Stop(phrase.encode(), skip, after=True)
        return self._stop

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._calls.add(task)
        writers = [writer]
        try:
            back, forth = await asyncio.open_connection(self._target.hostname, self._target.port)
            writers.append(forth)
            line = self._census.line() if self._census else None
            await _Call(self._find, writer, forth, line).carry(reader, back)
        except (OSError, asyncio.CancelledError):
            pass  # a side has hung up, or the test is over
        finally:
            for each in writers:
                each.transport.abort()
            self._calls.discard(task)

    def _find(self, data: bytes, *writers: asyncio.StreamWriter) -> Stop | None:
        stop = self._stop
        return stop if stop is not None and stop.found(data, *writers) else None


class _Call:
    """One connection, and the stop at which its answers are held."""

    def __init__(
        self,
        find: Callable[..., Stop | None],
        client: asyncio.StreamWriter,
        server: asyncio.StreamWriter,
        line: Line | None,
    ) -> None:
        self._line = line
        self._find = find
        self._client = client
        self._server = server
        self._held: Stop | None = None

    async def carry(self, questions: asyncio.StreamReader, answers: asyncio.StreamReader) -> None:
        """Ends when either side hangs up."""
        tasks = [asyncio.create_task(self._ask(questions)), asyncio.create_task(self._answer(answers))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, questions: asyncio.StreamReader) -> None:
        while data := await questions.read(65_536):
            if self._line:
                self._line.hear(data)
            if stop := self._find(data, self._client, self._server):
                if stop.after:
                    self._held = stop
                else:
                    await stop.over.wait()
            self._server.write(data)
            await self._server.drain()

    async def _answer(self, answers: asyncio.StreamReader) -> None:
        while data := await answers.read(65_536):
            await self._hold()
            self._client.write(data)
            await self._client.drain()
        await self._hold()

    async def _hold(self) -> None:
        if self._held is not None:
            await self._held.over.wait()
