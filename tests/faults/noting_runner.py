"""A runner that notes each request it gets before it answers, in a file that outlives everybody.

    PENSTOCK_WEBHOOK_SECRET=whsec_… python tests/faults/noting_runner.py PORT FILE URL KEY

It knows nothing of the product but the wire. Most runs it does at once. By their `webhook-id`, and for the first time
only, some are put off, some are cut off after they were noted, and some are accepted and reported at URL later; some
have failed, which is its answer each time.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import sys
import zlib

import aiohttp
from aiohttp import web

KEY = base64.b64decode(os.environ["PENSTOCK_WEBHOOK_SECRET"].removeprefix("whsec_"))
PAUSE_SECONDS = 0.2
"""Between two tries of a report: the API may be away."""


class NotingRunner:
    def __init__(self, notes: int, url: str, key: str, session: aiohttp.ClientSession) -> None:
        self._notes = notes
        self._reports = f"{url}/api/v1/flow-runs/{{}}/report"
        self._headers = {"Authorization": key}
        self._session = session
        self._seen: set[str] = set()
        self._reporting: set[asyncio.Task[None]] = set()

    async def take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        message_id = request.headers.get("webhook-id", "")
        if not self._is_ours(request, message_id, body):
            self._note("unsigned", message_id)
            return web.Response(status=401)
        event = await request.json()
        first = message_id not in self._seen
        self._seen.add(message_id)
        self._note(event["type"], message_id)
        return await self._answer(request, message_id, event["data"]["run_id"], first=first)

    async def _answer(self, request: web.Request, message_id: str, run_id: int, *, first: bool) -> web.StreamResponse:
        manner = zlib.crc32(message_id.encode()) % 100
        if manner == 0:
            return web.json_response({"status": "failure"})
        if first and manner in (1, 2):
            return web.Response(status=503)
        if first and manner == 3:
            assert request.transport is not None
            request.transport.abort()
            return web.Response(status=503)
        if first and manner in (4, 5):
            task = asyncio.create_task(self._report(run_id))
            self._reporting.add(task)
            task.add_done_callback(self._reporting.discard)
            return web.Response(status=202)
        return web.json_response({})

    async def _report(self, run_id: int) -> None:
        while True:
            try:
                async with self._session.post(
                    self._reports.format(run_id), json={"status": "success"}, headers=self._headers
                ) as reply:
                    if reply.status == 200:
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass  # it is away, and will be back
            await asyncio.sleep(PAUSE_SECONDS)

    def _is_ours(self, request: web.Request, message_id: str, body: bytes) -> bool:
        signed = f"{message_id}.{request.headers.get('webhook-timestamp', '')}.".encode() + body
        known = "v1," + base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256)).decode()
        return known in request.headers.get("webhook-signature", "").split()

    def _note(self, kind: str, message_id: str) -> None:
        os.write(self._notes, f"{kind} {message_id}\n".encode())


async def main(port: int, file: str, url: str, key: str) -> None:
    notes = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_post("/", NotingRunner(notes, url, key, session).take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), *sys.argv[2:5]))
