"""A runner in a process of its own, as somebody would start it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from cli.embedded.ports import LOOPBACK, free_port
from core.domain.dispatch import Ended
from core.domain.runs import RunStatus
from core.operations.dispatch import take_turn
from core.operations.stories import read_webhook_secrets
from tests.support.machinery import Machinery
from tests.support.runs import make_runnable, read_run
from tests.support.tenants import Tenant
from tests.support.waiting import until
from worker.posting import post_run


@asynccontextmanager
async def running_runner(command: Sequence[str], *secrets: str) -> AsyncIterator[str]:
    """Its URL, once it listens. `{port}` in the command is where it has to."""
    port = free_port()
    environment = {"PATH": os.environ["PATH"], "PENSTOCK_WEBHOOK_SECRET": " ".join(secrets), "PORT": str(port)}
    process = await asyncio.create_subprocess_exec(
        *(word.format(port=port) for word in command),
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )

    async def listens() -> bool:
        assert process.returncode is None, "the runner ended"
        try:
            _, writer = await asyncio.open_connection(LOOPBACK, port)
        except ConnectionRefusedError:
            return False
        writer.close()
        await writer.wait_closed()
        return True

    try:
        await until(listens, "the runner listens")
        yield f"http://{LOOPBACK}:{port}/"
    finally:
        process.kill()
        await process.communicate()


def python(file: str) -> Sequence[str]:
    return (sys.executable, file, "{port}")


async def try_runner(url: str, tenant: Tenant, machinery: Machinery) -> None:
    """What any runner must do: run what is signed, answer a repeat without running it again, refuse anybody else."""
    runnable = await make_runnable(tenant, url)
    run = await runnable.start()
    (name,) = await machinery.deliver()
    job = await machinery.runner._claim(name)
    assert job is not None
    tools = machinery.tools
    turn = await take_turn(tools.database, job, [], [], room=1, terms=tools.terms, fraction=lambda: 0.5)
    secrets = await read_webhook_secrets(tenant.database, tenant.company_id)
    stranger = await post_run(tools.runners, turn.sending[0], ["whsec_" + "A" * 32])
    assert isinstance(stranger, Ended)
    assert stranger.reason == "runner_refused"
    old_and_new = ["whsec_" + "A" * 32, *secrets]
    tries = [await post_run(tools.runners, sent, old_and_new) for sent in turn.sending * 2]
    for each in tries:
        assert isinstance(each, Ended), each
        assert each.report is not None
        assert (each.status, each.report.metrics) == (RunStatus.SUCCESS, {"nodes": 1})
    await take_turn(tools.database, job, tries[:1], [], room=1, terms=tools.terms, fraction=lambda: 0.5)
    assert (await read_run(tenant, run))["status"] == "success"
