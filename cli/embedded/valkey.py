"""A Valkey (or Redis) of our own: reachable on 127.0.0.1 only, with a password, its log of writes in the home."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from cli.embedded.atomic import write_whole
from cli.embedded.binaries import Preference, find_valkey
from cli.embedded.launch import Launch
from cli.embedded.ports import LOOPBACK
from cli.embedded.ward import Ward

ANSWER_SECONDS = 2.0

CONFIGURATION = f"""\
bind {LOOPBACK}
requirepass {{password}}
dir ./
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
"""
"""What is queued outlives a restart, and nothing queued is ever thrown away to make room."""


class Valkey:
    """One server over `<home>/valkey`. Each object makes a password of its own: nobody else has to remember it."""

    name = "valkey"

    def __init__(self, home: Path, environment: Mapping[str, str], prefer: Preference = "wheel") -> None:
        self._folder = home / "valkey"
        self._environment = environment
        self._prefer = prefer
        self._log = home / "logs" / "valkey.log"
        self._program = Path()
        self._password = secrets.token_urlsafe(24)

    async def prepare(self, ward: Ward) -> None:
        self._program = find_valkey(self._prefer)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        # In a file and not on the command line, which every user of the machine can read.
        write_whole(self._folder / "valkey.conf", CONFIGURATION.format(password=self._password).encode())

    def launch(self, port: int) -> Launch:
        return Launch(
            name=self.name,
            command=(str(self._program), str(self._folder / "valkey.conf"), "--port", str(port)),
            environment=self._environment,
            folder=self._folder,
            log=self._log,
        )

    def url(self, port: int) -> str:
        return f"redis://:{self._password}@{LOOPBACK}:{port}/0"

    async def answers(self, port: int) -> bool:
        async with Redis.from_url(self.url(port), socket_timeout=ANSWER_SECONDS) as client:
            try:
                await client.ping()
            except (RedisError, OSError):
                return False
        return True
