"""An API as it must not be: it answers first, and hands the job over afterwards, out of its memory.

python -m tests.faults.forgetful REDIS_URL
"""

from __future__ import annotations

import asyncio
import sys

import orjson
from aiohttp import web

from core.store.deliveries import Delivery
from worker.transport import connect, send

GATHERING_SECONDS = 0.5
"""It hands over what has come in meanwhile in one go, which saves round trips."""


async def main(redis_url: str) -> None:
    accepted: asyncio.Queue[Delivery] = asyncio.Queue()

    async def accept(request: web.Request) -> web.Response:
        accepted.put_nowait(Delivery(int(request.match_info["job"]), 0, "bulk"))
        return web.Response(status=202)

    app = web.Application()
    app.router.add_post("/{job}", accept)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    line = {"event": "listening", "level": "info", "url": f"http://127.0.0.1:{runner.addresses[0][1]}"}
    print(orjson.dumps(line).decode(), flush=True)
    redis = connect(redis_url)
    while True:
        delivery = await accepted.get()
        await asyncio.sleep(GATHERING_SECONDS)
        await send(redis, [delivery])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
