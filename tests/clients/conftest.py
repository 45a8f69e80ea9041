"""Both of the vendor's clients on one API, through a tap that keeps what was on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.api.conftest import Ground, ground
from tests.clients.speakers import NodeSpeaker, PythonSpeaker, Refused, Speaker
from tests.support import conformance
from tests.support.recordings import record
from tests.support.tap import Exchange, Tap, open_tap

__all__ = ["ground"]
"""A fixture, shared with the generated tests of the API."""


@dataclass(frozen=True)
class Client:
    """One of the clients as one caller."""

    speaker: Speaker
    tap: Tap
    url: str
    token: str | None

    @property
    def last(self) -> Exchange:
        """The last exchange on the wire."""
        return self.tap.exchanges[-1]

    def as_(self, token: str | None) -> Client:
        """The same client, another caller."""
        return replace(self, token=token)

    async def call(self, operation: str, **params: Any) -> Any:
        """Calls what the client has for Losant's `resource.action`. Raises Refused, or NotThere."""
        return await self.speaker.call(self.url, self.token, operation, params)

    async def refused(self, operation: str, **params: Any) -> Refused:
        """The error that the client makes of the answer."""
        with pytest.raises(Refused) as caught:
            await self.call(operation, **params)
        return caught.value


@pytest.fixture(scope="session")
async def node() -> AsyncIterator[NodeSpeaker]:
    speaker = NodeSpeaker()
    yield speaker
    await speaker.close()


@pytest.fixture(params=[PythonSpeaker.name, pytest.param(NodeSpeaker.name, marks=pytest.mark.needs_tools)])
def speaker(request: pytest.FixtureRequest, node: NodeSpeaker) -> Speaker:
    return node if request.param == node.name else PythonSpeaker()


@asynccontextmanager
async def open_client(speaker: Speaker, url: str, token: str) -> AsyncIterator[Client]:
    """A client with a token. At the end, what it was answered must be as the API's own document says."""
    async with open_tap(url) as tap:
        yield Client(speaker, tap, tap.url, token)
        for exchange in tap.exchanges:
            conformance.check(exchange.method, exchange.path, exchange.status, exchange.headers, exchange.raw)
        record(speaker.name, tap.exchanges)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both clients obey the environment's proxies."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")


@pytest.fixture
async def client(ground: Ground, speaker: Speaker) -> AsyncIterator[Client]:
    """Each of the clients with the owner's token."""
    async with open_client(speaker, ground.anonymous.url, ground.owner.token) as client:
        yield client
