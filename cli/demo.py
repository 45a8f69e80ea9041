"""`penstock demo`: the main job played live: a few thousand versions, one bulk delete, its story and its letter.

Plays on the installation that runs in PENSTOCK_HOME; if none does, starts one and stops it afterwards.
"""

from __future__ import annotations

import asyncio
import email
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from cli.credentials import read_credentials
from cli.errors import StartError
from core.settings import Settings

VERSIONS = 4_000
"""Enough that the bar can be seen moving, few enough that filling takes seconds."""

WRITERS = 16
"""Requests under way at once while filling."""

START_SECONDS = 120.0
LETTER_SECONDS = 15.0

_console = Console()


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the demo plays: an API, a token and an application."""

    session: aiohttp.ClientSession
    url: str
    application: str

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """The JSON answer. Raises StartError for anything but success."""
        async with self.session.request(method, self.url + path, json=body) as answer:
            content = await answer.json()
            if answer.status >= 400:
                raise StartError(f"{method} {path} answered {answer.status}: {content}")
            return content


async def play(settings: Settings) -> None:
    async with _running(settings) as credentials:
        headers = {"Authorization": f"Bearer {credentials['PENSTOCK_LOSANT_TOKEN']}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            stage = Stage(session, credentials["PENSTOCK_URL"], credentials["PENSTOCK_APPLICATION_ID"])
            await _play(stage, settings)


async def _play(stage: Stage, settings: Settings) -> None:
    flows = f"/applications/{stage.application}/flows"
    flow = await stage.call("POST", flows, {"name": "Pump control, demo"})
    versions = f"{flows}/{flow['id']}/versions"
    await _fill(stage, versions)
    live = await stage.call("GET", f"{versions}/r0007")
    await stage.call("PATCH", f"{flows}/{flow['id']}", {"defaultVersionId": live["id"]})
    _console.print("r0007 is deployed now, so the delete will have to leave it alone.")

    query = {"version": {"$startsWith": "r"}}
    _console.print(f"\nPOST {versions}/delete  [bold]{query}[/]")
    accepted = await stage.call("POST", f"{versions}/delete", {"query": query, "email": "ops@example.com"})
    _console.print(f"202  {accepted}")
    job = await _watch(stage, accepted["jobId"])
    _console.print(_story(job))
    _console.print(await _letter(settings, accepted["jobId"]))
    await stage.call("DELETE", f"{flows}/{flow['id']}")


async def _fill(stage: Stage, path: str) -> None:
    names = iter([f"r{number:04}" for number in range(1, VERSIONS + 1)])
    with _bar() as bar:
        task = bar.add_task("Keeping versions of a pump's workflow", total=VERSIONS)

        async def write() -> None:
            for name in names:
                await stage.call("POST", path, {"version": name, **_workflow(name)})
                bar.advance(task)

        await asyncio.gather(*(write() for _ in range(WRITERS)))


async def _watch(stage: Stage, job_id: str) -> dict[str, Any]:
    """Follows the job with a bar until it has ended and its letter is out."""
    with _bar() as bar:
        task = bar.add_task("Deleting them as one job", total=None)
        while True:
            job: dict[str, Any] = (await stage.call("GET", f"/api/v1/jobs/{job_id}"))["data"]
            bar.update(task, completed=job["progress"]["done"], total=job["progress"]["total"])
            told = [one["status"] for one in job["notifications"]]
            if job["finished_at"] and not {"queued", "in_progress"} & set(told):
                return job
            await asyncio.sleep(0.02)


def _story(job: dict[str, Any]) -> Panel:
    result = job["result"]
    table = Table.grid(padding=(0, 2))
    table.add_row("job", job["id"])
    table.add_row("status", f"[green]{job['status']}[/] in {job['attempts']} attempt(s)")
    table.add_row("account", f"{result['matched']} matched = {result['removed']} removed + {result['failed']} failed")
    for reason, count in result["reasons"].items():
        table.add_row("", f"{count} {reason}")
    table.add_row("accepted", job["created_at"])
    table.add_row("started", job["started_at"])
    table.add_row("finished", job["finished_at"])
    table.add_row("kept until", job["undo_until"])
    return Panel(table, title="The job's story", expand=False)


async def _letter(settings: Settings, job_id: str) -> Panel:
    """The letter as the catcher kept it; with SMTP_URL set it went somewhere else."""
    folder = settings.home / "mail"
    if settings.smtp_url is not None:
        return Panel("It went to the mail server in SMTP_URL.", title="The letter", expand=False)
    try:
        async with asyncio.timeout(LETTER_SECONDS):
            message = await _arrival(folder, job_id)
    except TimeoutError:
        raise StartError(f"no letter about {job_id} arrived in {folder}") from None
    body = message.get_body(("plain",))
    text = body.get_content() if body is not None else ""
    return Panel(
        f"To: {message['To']}\nSubject: [bold]{message['Subject']}[/]\n\n{text}", title="The letter", expand=False
    )


async def _arrival(folder: Path, job_id: str) -> EmailMessage:
    """Looks until it is there; nobody tells when a file appears."""
    while True:
        if message := _find(folder, job_id):
            return message
        await asyncio.sleep(0.1)


def _find(folder: Path, job_id: str) -> EmailMessage | None:
    for file in sorted(folder.glob("*.eml"), reverse=True):
        message = email.message_from_bytes(file.read_bytes(), policy=policy.default)
        if job_id in str(message["Message-ID"]):
            assert isinstance(message, EmailMessage)
            return message
    return None


@asynccontextmanager
async def _running(settings: Settings) -> AsyncIterator[dict[str, str]]:
    """The credentials of an installation that answers: the one in PENSTOCK_HOME, or one of our own."""
    known = read_credentials(settings.home)
    if known and await _answers(known["PENSTOCK_URL"]):
        _console.print(f"Playing on {known['PENSTOCK_URL']}.")
        yield known
        return
    _console.print("Nothing runs here yet; starting it for the time of the demo.")
    log = settings.home / "demo.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cli.main", "up", stdout=output, stderr=output
        )
        try:
            yield await _wait(settings, process, log)
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            await process.wait()


async def _wait(settings: Settings, process: asyncio.subprocess.Process, log: Path) -> dict[str, str]:
    url = f"http://127.0.0.1:{settings.port}"
    try:
        async with asyncio.timeout(START_SECONDS):
            while not await _answers(url):
                if process.returncode is not None:
                    raise StartError(_last_line(log))
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise StartError(f"it did not start within {START_SECONDS:.0f} s; see {log}") from None
    return read_credentials(settings.home)


def _last_line(log: Path) -> str:
    lines = log.read_text().splitlines()
    return lines[-1].removeprefix("penstock: ") if lines else "it did not start"


async def _answers(url: str) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/readyz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=_console
    )


def _workflow(name: str) -> dict[str, object]:
    """A pump controller's workflow of about 2 kB: a timer, a reading, a decision, a command, a message."""
    nodes = [
        ("read", "GetDeviceNode", {"tag": "pump", "resultPath": "data.pump"}, [["smooth"]]),
        ("smooth", "MathNode", {"expression": "({{data.pump.pressure}} + {{data.last}}) / 2"}, [["judge"]]),
        ("judge", "ConditionalNode", {"expression": "{{data.mean}} > 4.25"}, [["relax"], ["stop", "tell"]]),
        ("relax", "DeviceCommandNode", {"name": "setSpeed", "payload": '{"rpm": 1450.50}'}, [[]]),
        ("stop", "DeviceCommandNode", {"name": "stop", "payload": '{"reason": "pressure"}'}, [["note"]]),
        ("tell", "EmailNode", {"to": "shift@example.com", "subject": "Pressure over 4.25 bar"}, [[]]),
        ("note", "StoreValueNode", {"key": "stoppedAt", "value": "{{time}}"}, [[]]),
    ]
    return {
        "notes": f"Release {name}: smoother start after a pressure peak.",
        "triggers": [{"type": "timer", "key": "every-minute", "config": {"seconds": 60}, "outputIds": [["read"]]}],
        "nodes": [
            {
                "id": key,
                "type": kind,
                "config": config,
                "meta": {"label": f"{key.title()} the pump", "x": 120 + 40 * place, "y": 80 * place},
                "outputIds": outputs,
            }
            for place, (key, kind, config, outputs) in enumerate(nodes)
        ],
        "globals": [{"key": "limitBar", "json": "4.25"}, {"key": "release", "json": f'"{name}"'}],
    }
