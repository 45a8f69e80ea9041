"""The flow of `make run` that fires every minute: made through the public API, as anybody would make one."""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cli.credentials import read_credentials
from cli.embedded.launch import Launch
from cli.embedded.ports import LOOPBACK, free_port, is_free
from core.settings import Settings

NAME = "Every minute"
CRON = "* * * * *"
RUNNER = Path(__file__).parents[1] / "examples" / "runner.py"
"""There in a checkout; what was installed from a package has no examples, and then nothing fires by itself."""

ASKING_SECONDS = 10.0


def fires_here(settings: Settings) -> bool:
    """Whether there is a runner to show; on a database of the operator's own nothing is made to fire by itself."""
    return settings.database_url is None and RUNNER.exists()


def runner_port(settings: Settings) -> int:
    """The one beside the API's, so that it is the same after a restart, or any other where that is taken."""
    wanted = settings.port + 10
    return wanted if wanted <= 65_535 and is_free(LOOPBACK, wanted) else free_port()


def runner_launch(settings: Settings, environment: Mapping[str, str], port: int) -> list[Launch]:
    """The example runner, where there is one and requests may go to this machine."""
    secret = read_credentials(settings.home).get("PENSTOCK_WEBHOOK_SECRET")
    if secret is None or not settings.allow_private_targets or not RUNNER.exists():
        return []
    known = {name: environment[name] for name in ("PATH", "LANG") if name in environment}
    command = (sys.executable, str(RUNNER), str(port))
    return [Launch("runner", command, {**known, "PENSTOCK_WEBHOOK_SECRET": secret})]


def ensure_demo_fire(settings: Settings, port: int) -> None:
    """A flow that fires every minute and runs at the example runner; made once, and told where that is.

    Blocks, so it belongs into a thread. Raises OSError or HTTPException if the API cannot be reached, and RuntimeError
    if it refuses.
    """
    if not settings.allow_private_targets or not RUNNER.exists():
        return
    company = _Company(settings)
    url = f"http://{LOOPBACK}:{port}/"
    found = company.ask("GET", f"/api/v1/flows?filter[name]={NAME.replace(' ', '%20')}")
    flow = next((one for one in found if one["name"] == NAME), None)
    if flow is None:
        _make(company, url)
    elif flow["runner_url"] != url and str(flow["runner_url"]).startswith(f"http://{LOOPBACK}:"):
        company.ask("PATCH", f"/api/v1/flows/{flow['id']}", {"runner_url": url})


def _make(company: _Company, runner_url: str) -> None:
    about = "Fires every minute; see GET /api/v1/flow-runs. Disable it when you have seen enough."
    flow = company.ask("POST", "/api/v1/flows", {"name": NAME, "description": about, "runner_url": runner_url})
    draft = company.ask("POST", f"/api/v1/flows/{flow['id']}/versions")
    company.ask("POST", f"/api/v1/flow-versions/{draft['id']}/schedules", {"cron_string": CRON})
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    company.ask("PUT", f"/api/v1/flows/{flow['id']}/versions/{draft['id']}", {"deployed_at": now})


class _Company:
    """The demo company, as its API key sees it."""

    def __init__(self, settings: Settings) -> None:
        self._host = LOOPBACK if settings.host in ("", "0.0.0.0", "::") else settings.host  # noqa: S104 - to ask there
        self._port = settings.port
        self._key = read_credentials(settings.home)["PENSTOCK_API_KEY"]

    def ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """What is under `data` in the answer."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=ASKING_SECONDS)
        try:
            headers = {"Authorization": self._key, "Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path} was answered with {answer.status}: {text.decode()[:200]}")
        return json.loads(text)["data"]
