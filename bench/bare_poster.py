"""What posting alone takes: signed requests of the size of ours, nothing read before and nothing written after.

    python -m bench.bare_poster URL REQUESTS BODY_BYTES

The same client library in the same way, as many requests at once as a worker makes to one runner.
"""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime

import aiohttp
import uvloop

from bench.children import obey
from cli.demo_company import new_webhook_secret
from core.domain.dispatch import IN_FLIGHT, IN_FLIGHT_PER_RUNNER, MOST_IN_FLIGHT
from worker.webhooks import sign

AT_ONCE = MOST_IN_FLIGHT * IN_FLIGHT_PER_RUNNER // IN_FLIGHT


async def main(url: str, requests: int, body_bytes: int) -> None:
    secret, body, numbers = new_webhook_secret(), b"x" * body_bytes, iter(range(requests))
    series = os.urandom(4).hex()

    async def post_some(session: aiohttp.ClientSession) -> None:
        for number in numbers:
            headers = sign(f"bare_{series}_{number}", datetime.now(UTC), body, [secret])
            async with session.post(url, data=body, headers=headers) as answer:
                assert answer.status == 204
                await answer.read()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def work() -> None:
            await asyncio.gather(*(post_some(session) for _ in range(AT_ONCE)))

        await obey(work)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
