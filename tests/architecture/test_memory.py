"""What the API imports before anybody asks it for anything: most of the memory of an idle one."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

LATE = {
    "apispec": "makes the OpenAPI documents",
    "argon2": "hashes passwords",
    "croniter": "finds the days of schedules and previews",
    "cryptography.hazmat": "signs and verifies artifacts",
    "rich": "draws what the commands print",
    "schemas.losant_answers": "says in the OpenAPI documents what is answered",
    "service.openapi": "makes the OpenAPI documents",
}
"""What is imported when a request, or a command, needs it, and what for. Together it takes 14 MiB."""

_PROGRAM = """
import sys
import cli.main, service.app
print(*sys.modules, sep="\\n")
"""


@pytest.fixture(scope="module")
def imported() -> set[str]:
    """What `penstock api` has imported when it begins."""
    ended = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    return set(ended.stdout.split())


@pytest.mark.parametrize("name", LATE)
def test_the_api_begins_without(imported: set[str], name: str) -> None:
    assert find_spec(name) is not None, f"nothing is called {name}, so nothing would be noticed"
    found = sorted(module for module in imported if module == name or module.startswith(f"{name}."))
    assert not found, f"{found[0]} is imported at the start, and only {LATE[name]}"


def test_the_list_of_what_is_imported_is_one(imported: set[str]) -> None:
    assert {"service.app", "service.routes", "jwt", "structlog", "redis"} <= imported
