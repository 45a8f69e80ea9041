"""A real SMTP server on loopback that keeps every letter, and can be told to refuse, to cut, or to fall silent."""

from __future__ import annotations

import asyncio
import email
import ssl
from collections import defaultdict
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from types import TracebackType
from typing import Literal, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

Stage = Literal["MAIL", "RCPT", "DATA"]


@dataclass(frozen=True, slots=True)
class Caught:
    """A letter as it arrived."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    logged_in: bool
    encrypted: bool

    @property
    def message(self) -> EmailMessage:
        message = email.message_from_bytes(self.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        return message


class SmtpCatcher:
    """`async with SmtpCatcher() as catcher:` then `catcher.url` is an SMTP_URL.

    What it does wrong is set per stage and lasts until `behave()`. `user` and `password` are the login it knows;
    `starttls` offers encryption, `tls` demands it from the first byte.
    """

    def __init__(
        self,
        *,
        user: str = "postmaster",
        password: str = "s3cret",
        starttls: ssl.SSLContext | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.letters: list[Caught] = []
        self._user = user
        self._password = password
        self._starttls = starttls
        self._tls = tls
        self._unread: asyncio.Queue[Caught] = asyncio.Queue()
        self._answers: dict[Stage, str] = {}
        self._cuts: set[Stage] = set()
        self._silences: set[Stage] = set()
        self._reached: defaultdict[Stage, asyncio.Event] = defaultdict(asyncio.Event)
        self._sessions: list[SMTP] = []
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> SmtpCatcher:
        self._server = await asyncio.get_running_loop().create_server(self._answer_call, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def port(self) -> int:
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        assert isinstance(port, int)
        return port

    @property
    def url(self) -> str:
        """Without a login."""
        scheme = "smtps" if self._tls else "smtp+starttls" if self._starttls else "smtp"
        return f"{scheme}://127.0.0.1:{self.port}"

    def answer(self, stage: Stage, line: str) -> None:
        """Answers the command with this line: `450 4.2.1 try later`."""
        self._answers[stage] = line

    def cut(self, stage: Stage) -> None:
        """Drops the connection at the command (after the content, for DATA) without an answer."""
        self._cuts.add(stage)

    def fall_silent(self, stage: Stage) -> None:
        """Keeps the connection and never answers the command."""
        self._silences.add(stage)

    def behave(self) -> None:
        """Forgets every instruction to do wrong, for connections to come."""
        self._answers.clear()
        self._cuts.clear()
        self._silences.clear()

    async def reached(self, stage: Stage, seconds: float = 10.0) -> None:
        """Waits until some client has come to this command."""
        async with asyncio.timeout(seconds):
            await self._reached[stage].wait()

    async def next(self, seconds: float = 10.0) -> Caught:
        """The next letter nobody has taken yet, in order of arrival."""
        async with asyncio.timeout(seconds):
            return await self._unread.get()

    async def close(self) -> None:
        """Stops listening and drops every connection, the silent ones too."""
        assert self._server is not None
        self._server.close()
        for session in self._sessions:
            _drop(session)
        await self._server.wait_closed()

    def _answer_call(self) -> SMTP:
        session = SMTP(
            self,
            hostname="catcher",
            loop=asyncio.get_running_loop(),
            tls_context=self._starttls,
            authenticator=self._authenticate,
            auth_require_tls=False,
        )
        self._sessions.append(session)
        return session

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: LoginPassword
    ) -> AuthResult:
        known = (self._user.encode(), self._password.encode())
        return AuthResult(success=(login.login, login.password) == known, handled=False)

    async def _follow_instructions(self, stage: Stage, server: SMTP) -> str | None:
        self._reached[stage].set()
        if stage in self._silences:
            await asyncio.Event().wait()  # until close() drops the connection, which cancels this
        if stage in self._cuts:
            _drop(server)
        return self._answers.get(stage)

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return await self._follow_instructions("MAIL", server) or "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        instruction = await self._follow_instructions("RCPT", server)
        if instruction is None:
            envelope.rcpt_tos.append(address)
        return instruction or "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        instruction = await self._follow_instructions("DATA", server)
        if instruction is not None:
            return instruction
        assert envelope.mail_from is not None
        assert isinstance(envelope.original_content, bytes)
        caught = Caught(
            sender=envelope.mail_from,
            recipients=tuple(envelope.rcpt_tos),
            content=envelope.original_content,
            logged_in=session.authenticated or False,
            encrypted=session.ssl is not None or self._tls is not None,
        )
        self.letters.append(caught)
        self._unread.put_nowait(caught)
        return "250 2.0.0 kept"


def _drop(session: SMTP) -> None:
    if session.transport is not None:
        cast(asyncio.WriteTransport, session.transport).abort()
