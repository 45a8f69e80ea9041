"""A mail catcher: a real SMTP server that keeps every letter as a file and sends none on."""

from __future__ import annotations

import asyncio
import itertools
import signal
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog

from cli.embedded.atomic import write_whole
from cli.embedded.launch import Launch
from cli.embedded.ports import LOOPBACK
from cli.embedded.ward import Ward
from cli.errors import StartError
from core.settings import Settings

if TYPE_CHECKING:
    from aiosmtpd.smtp import SMTP, Envelope, Session

LARGEST_LETTER = 10_000_000
"""Bytes. Ours are a few kB; a letter is held in memory until it is whole."""

ANSWER_SECONDS = 2.0

_log = structlog.get_logger()


class MailCatcher:
    """The catcher as a server to start. It is a role of this program, told by SMTP_URL where to listen."""

    name = "mail"

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        self._environment = {**environment, "PENSTOCK_HOME": str(home)}

    async def prepare(self, ward: Ward) -> None:
        """Nothing: the catcher makes its folder itself."""

    def launch(self, port: int) -> Launch:
        return Launch(
            name=self.name,
            command=(sys.executable, "-m", "cli.main", "mail-catcher"),
            environment={**self._environment, "SMTP_URL": self.url(port)},
        )

    def url(self, port: int) -> str:
        return f"smtp://{LOOPBACK}:{port}"

    async def answers(self, port: int) -> bool:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                reader, writer = await asyncio.open_connection(LOOPBACK, port)
                greeting = await reader.readline()
                writer.close()
                await writer.wait_closed()
        except OSError:  # a timeout is one
            return False
        return greeting.startswith(b"220 ")


class Letterbox:
    """Keeps accepted letters as `<sortable time>-<counter>.eml`, each whole from the moment it has that name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._counter = itertools.count(1)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        """The answer to the sender. A letter that cannot be kept is refused for now, so that it comes again."""
        received = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        try:
            write_whole(self._folder / f"{received}-{next(self._counter):06d}.eml", envelope.original_content or b"")
        except OSError as error:
            _log.error("A letter could not be kept.", reason=error.strerror)
            return "451 The letter could not be kept"
        return "250 Kept"


async def serve(settings: Settings) -> int:
    """Catches letters for SMTP_URL in `<home>/mail` until SIGTERM or SIGINT."""
    from aiosmtpd.smtp import SMTP

    address = urlsplit(settings.smtp_url or "")
    if not address.hostname or not address.port:
        raise StartError("SMTP_URL does not say where to listen; set it to smtp://127.0.0.1:2525")
    folder = settings.home / "mail"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    letterbox = Letterbox(folder)
    loop = asyncio.get_running_loop()
    asked_to_end = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, asked_to_end.set)

    def conversation() -> SMTP:
        # With a name given it does not look ours up, which can take seconds.
        return SMTP(letterbox, hostname="localhost", ident="penstock", data_size_limit=LARGEST_LETTER)

    try:
        server = await loop.create_server(conversation, address.hostname, address.port)
    except OSError as error:
        raise StartError(f"the mail catcher cannot listen on {address.netloc}: {error.strerror}") from None
    await asked_to_end.wait()
    server.close()
    return 0
