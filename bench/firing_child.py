"""What our scheduler does, without the loops beside it: fires whatever is due, each time it is told to.

python -m bench.firing_child TIMES
"""

from __future__ import annotations

import asyncio
import sys

from bench.children import obey
from core.operations.firing import USUAL, fire_due, next_due_in
from core.settings import read_settings
from core.store.database import open_database
from worker.loops import HELD_SECONDS


async def main(times: int) -> None:
    async with open_database(read_settings(), role="bench", size=2) as database:

        async def work() -> None:
            while True:
                done = await fire_due(database, USUAL)
                if done.full or done.claimed:
                    continue
                due_in = await next_due_in(database)
                if due_in is None or due_in > 0:
                    return
                await asyncio.sleep(HELD_SECONDS)

        for _ in range(times):
            await obey(work)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
