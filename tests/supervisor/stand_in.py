"""`penstock up` with its real supervisor and servers around roles of a few lines.

    python -m tests.supervisor.stand_in api worker ...

It counts its starts in the database and keeps one key, so that a test can tell old data from new.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import asyncpg

from cli.embedded.launch import Launch
from cli.errors import StartError
from cli.supervisor import Plan, supervise
from core.settings import Settings, read_settings

ANNOUNCEMENT = "all is up"

ROLE = str(Path(__file__).with_name("role.py"))


def roles(settings: Settings, environment: Mapping[str, str]) -> list[Launch]:
    return [Launch(name, (sys.executable, "-S", "-E", ROLE, name), environment) for name in sys.argv[1:]]


async def prepare(settings: Settings, known: Mapping[str, str]) -> Mapping[str, str]:
    assert settings.database_url is not None
    connection = await asyncpg.connect(settings.database_url)
    try:
        await connection.execute("CREATE TABLE IF NOT EXISTS starts (number serial)")
        starts = await connection.fetchval("INSERT INTO starts DEFAULT VALUES RETURNING number")
    finally:
        await connection.close()
    return {"STARTS": str(starts), "FIRST_HOME": known.get("FIRST_HOME", str(settings.home))}


def main() -> int:
    try:
        return asyncio.run(supervise(read_settings(), os.environ, Plan(roles, prepare, lambda _settings: ANNOUNCEMENT)))
    except StartError as error:
        print(f"penstock: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
