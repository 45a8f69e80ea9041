"""The vendor's two clients behind one face, so that one test is run with each of them."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import losant_rest
import orjson

NODE = Path(__file__).parent / "node"

LONGEST_LINE = 16 * 1024 * 1024
"""Bytes of one answer, written as JSON: twice the largest body."""

BODIES = {
    "flows.post": "flow",
    "flow.patch": "flow",
    "flow.setStorageEntry": "entry",
    "flow.pressVirtualButton": "button",
    "flowVersions.post": "flowVersion",
    "flowVersions.delete": "options",
    "flowVersion.patch": "flowVersion",
}
"""What the clients call the body of an operation."""


class Refused(Exception):
    """An answer of 400 or more, as the client passes it on."""

    def __init__(self, status: int | None, body: Any) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


class NotThere(Exception):
    """The client has no such operation."""


class Speaker(Protocol):
    """A client. `name` tells it from the other; `missing` are operations that its release does not have."""

    name: str
    missing: frozenset[str]

    async def call(self, url: str, token: str | None, operation: str, params: Mapping[str, Any]) -> Any:
        """What the client returns. Raises Refused, or NotThere."""


class PythonSpeaker:
    """losant-rest from PyPI. It blocks, and the API may be in this very event loop: so each call has a thread."""

    name = "python"
    missing: frozenset[str] = frozenset()

    async def call(self, url: str, token: str | None, operation: str, params: Mapping[str, Any]) -> Any:
        client = losant_rest.Client(auth_token=token, url=url)
        resource, action = (_snake(word) for word in operation.split("."))
        method = getattr(getattr(client, resource, None), action, None)
        if method is None:
            raise NotThere(operation)
        try:
            return await asyncio.to_thread(method, **params)
        except losant_rest.LosantError as error:
            raise Refused(error.status, error.data) from None


class NodeSpeaker:
    """losant-rest from npm, in a process of its own that is started for the first call and takes one call a line.

    Needs `node`, and what `make test-clients` installs beside client.js.
    """

    name = "node"
    missing = frozenset({"flows.palette", "applicationJobLogs.get", "applicationJobLog.get"})

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None

    async def call(self, url: str, token: str | None, operation: str, params: Mapping[str, Any]) -> Any:
        resource, action = operation.split(".")
        options = {"url": url} if token is None else {"url": url, "accessToken": token}
        said = await self._ask({"options": options, "resource": resource, "action": action, "params": params})
        if "unknown" in said:
            raise NotThere(operation)
        if "error" in said:
            body = dict(said["error"])
            raise Refused(body.pop("statusCode", None), body)
        return said["value"]

    async def close(self) -> None:
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            await self._process.wait()

    async def _ask(self, call: Mapping[str, Any]) -> dict[str, Any]:
        process = self._process = self._process or await _start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(orjson.dumps(call, option=orjson.OPT_APPEND_NEWLINE))
        line = await process.stdout.readline()
        assert line, "the JavaScript client died; what it said stands above"
        said: dict[str, Any] = orjson.loads(line)
        return said


async def _start() -> asyncio.subprocess.Process:
    assert shutil.which("node"), "these tests need Node: apt install nodejs npm"
    assert (NODE / "node_modules" / "losant-rest").is_dir(), "run `make test-clients`, which installs the client"
    return await asyncio.create_subprocess_exec(
        "node", "client.js", cwd=NODE, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=LONGEST_LINE
    )


def _snake(word: str) -> str:
    return re.sub("([A-Z])", lambda found: f"_{found[0].lower()}", word)
