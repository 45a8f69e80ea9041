"""The real API, scheduler and worker, as processes of their own."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from bench.servers import Servers
from bench.sites import Site, running_site, stop
from cli.embedded.launch import Launch


@asynccontextmanager
async def running_roles(servers: Servers) -> AsyncIterator[str]:
    """One process a role for the life of the block; yields the API's URL once it is ready.

    Scheduler and worker may still be starting then: send a job through before measuring.
    """
    async with AsyncExitStack() as stack:
        for role in ("scheduler", "worker"):
            command = (sys.executable, "-m", "cli.main", role)
            log = servers.folder / "logs" / f"{role}.log"
            stack.push_async_callback(
                stop, await servers.ward.spawn(Launch(role, command, servers.environment, log=log))
            )
        site = await stack.enter_async_context(running_api(servers))
        yield site.url


def running_api(servers: Servers) -> AbstractAsyncContextManager[Site]:
    """The API alone: it needs no other role to answer."""
    return running_site(servers, "api", "cli.main", "api")
