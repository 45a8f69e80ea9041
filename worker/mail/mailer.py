"""Hands one letter to the mail server, and says in two words what became of it: sent, or why not.

A letter is sent at least once. When our process dies, or the answer is lost, between the server's acceptance and our
own commit, the letter goes out again under the same Message-ID; the receiver's mail program may show it once or twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import policy
from email.header import Header
from email.message import EmailMessage
from email.utils import format_datetime
from enum import StrEnum
from typing import cast
from urllib.parse import SplitResult, unquote, urlsplit

from aiosmtplib import SMTP
from aiosmtplib.errors import (
    SMTPAuthenticationError,
    SMTPException,
    SMTPHeloError,
    SMTPRecipientRefused,
    SMTPResponseException,
)

from core.domain.addresses import is_address
from core.domain.jobs import PermanentFailure, TransientFailure
from core.settings import SettingsError

SEND_SECONDS = 10.0
"""From looking up the server to its acceptance. With QUIT this stays below the 15 s a job's lease lasts, so the job
that sends is still ours to settle when the server says nothing at all."""

_QUIT_SECONDS = 1.0
"""Courtesy after acceptance; a server that ignores it changes nothing."""

_LONGEST_ANSWER = 200
"""Characters kept of what the server said: an enhanced status code, a sentence, often a link that explains it."""

_LOGIN_WANTED = frozenset({530, 534, 535, 538})
"""RFC 4954: the server wants a login, or another one, before it takes any letter."""

_CONTROLS = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\ud800-\udfff]+")
_FORBIDDEN_IN_HEADERS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_MESSAGE_ID = re.compile(r"<[A-Za-z0-9._-]+@[A-Za-z0-9.-]+>", re.ASCII)


class SmtpSecurity(StrEnum):
    """How the connection is protected; each value is the scheme of SMTP_URL that asks for it."""

    PLAIN = "smtp"
    STARTTLS = "smtp+starttls"
    TLS = "smtps"


_PORTS = {SmtpSecurity.PLAIN: 25, SmtpSecurity.STARTTLS: 587, SmtpSecurity.TLS: 465}


@dataclass(frozen=True, slots=True)
class SmtpTarget:
    """Where letters are handed over. `smtp` never encrypts, the others insist on a valid certificate."""

    host: str
    port: int
    security: SmtpSecurity
    user: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Letter:
    """One message for one reader. The first five fields stay the same however often it is sent."""

    sender: str
    recipient: str
    message_id: str
    """With its angle brackets."""
    date: datetime
    subject: str
    text: str
    html: str


def parse_smtp_url(url: str) -> SmtpTarget:
    """Reads SMTP_URL; user and password are percent-decoded. SettingsError never repeats the value: it is a secret."""
    try:
        parts = urlsplit(url)
        port = parts.port
        security = SmtpSecurity(parts.scheme)
        user, password = (unquote(part, errors="strict") if part else None for part in (parts.username, parts.password))
    except ValueError:
        raise _wrong_url() from None
    if not _is_plain(url, parts) or (user is None) != (password is None):
        raise _wrong_url()
    return SmtpTarget(parts.hostname or "", port or _PORTS[security], security, user, password)


def _is_plain(url: str, parts: SplitResult) -> bool:
    """Nothing beside scheme, login, host and port; urlsplit would drop tabs and line breaks without a word."""
    beside = parts.path.removeprefix("/") or parts.query or parts.fragment
    readable = url.isascii() and url.isprintable() and " " not in url
    return bool(parts.hostname) and parts.port != 0 and not beside and readable


def _wrong_url() -> SettingsError:
    return SettingsError(
        "SMTP_URL cannot be read; set it to smtp://host:port, smtp+starttls://user:password@host:port or "
        "smtps://user:password@host:port, with : / ? # @ and % in user and password percent-encoded."
    )


def compose(letter: Letter) -> bytes:
    """The letter as it travels: ASCII, CRLF, text and HTML as alternatives.

    The head is written here, line by line, from values checked here. The library's header parser is kept away from
    them: it decodes encoded words inside a subject, which lets a name such as `=?utf-8?q?=0ABcc:?=` bring in a line
    break that no check of the text would have seen.
    """
    _check_headers(letter)
    head = (
        f"From: Penstock <{letter.sender}>",
        f"To: {letter.recipient}",
        f"Subject: {_encode_subject(letter.subject)}",
        f"Date: {format_datetime(letter.date.astimezone(UTC))}",
        f"Message-ID: {letter.message_id}",
        "Auto-Submitted: auto-generated",
    )
    body = EmailMessage(policy=policy.SMTP)
    # Quoted-printable keeps every line short and the whole in ASCII, so no server needs an extension to take it.
    body.set_content(letter.text, cte="quoted-printable")
    body.add_alternative(letter.html, subtype="html", cte="quoted-printable")
    return "".join(f"{line}\r\n" for line in head).encode("ascii") + body.as_bytes()


def _check_headers(letter: Letter) -> None:
    safe = (
        is_address(letter.sender)
        and is_address(letter.recipient)
        and _MESSAGE_ID.fullmatch(letter.message_id)
        and not _FORBIDDEN_IN_HEADERS.search(letter.subject)
    )
    if not safe:
        raise PermanentFailure("letter_malformed", "The letter's sender, recipient, id or subject cannot be sent.")


def _encode_subject(subject: str) -> str:
    """As it is when safe and within the 998 bytes of a line; else as encoded words, which no reader decodes twice."""
    if subject.isascii() and "=?" not in subject and len(subject) < 900:
        return subject
    return Header(subject, charset="utf-8", header_name="Subject").encode(linesep="\r\n")


class Mailer:
    """Sends letters, each over its own connection: they are rare, and a connection kept would be one to repair."""

    def __init__(
        self, target: SmtpTarget, tls: ssl.SSLContext | None = None, send_seconds: float = SEND_SECONDS
    ) -> None:
        """`tls` is whom to trust; None trusts the system's certificate authorities."""
        self._target = target
        self._tls = tls
        self._send_seconds = send_seconds

    async def send(self, letter: Letter) -> None:
        """Returns once the server has taken responsibility for the letter.

        PermanentFailure: `recipient_refused` (a 5xx for this reader), `mail_refused` (a 5xx for this sender or
        content), `letter_malformed` (nothing was sent). TransientFailure: `mail_deferred` (any 4xx), `mail_timeout`,
        `mail_server_unreachable` (no connection, no TLS, a greeting that is no welcome, a connection cut) and
        `mail_login_refused`. What goes wrong before the letter is offered is about the server or the settings, not
        about the letter, so the letter waits for an operator to put it right.
        """
        content = compose(letter)
        client = self._client(letter)
        try:
            async with asyncio.timeout(self._send_seconds), self._judged(letter):
                await self._open(client)
                await _offer(client, letter, content)
        except TimeoutError:
            _abandon(client)
            raise TransientFailure(
                "mail_timeout", f"The mail server did not take the letter within {self._send_seconds:g} seconds."
            ) from None
        except BaseException:
            _abandon(client)
            raise
        await _quit(client)

    def _client(self, letter: Letter) -> SMTP:
        return SMTP(
            hostname=self._target.host,
            port=self._target.port,
            # The name we greet with. By default the library asks the name server about this machine, and may wait.
            local_hostname=letter.sender.rpartition("@")[2],
            use_tls=self._target.security is SmtpSecurity.TLS,
            start_tls=self._target.security is SmtpSecurity.STARTTLS,
            tls_context=self._tls,
            timeout=None,  # one deadline for the whole conversation, held by send()
        )

    async def _open(self, client: SMTP) -> None:
        """Connects, encrypts, logs in. A refusal here says nothing about the letter, so none is permanent."""
        try:
            await client.connect()
        except SMTPResponseException as refusal:
            raise self._unwelcome(refusal) from None
        if self._target.user is not None and self._target.password is not None:
            await self._login(client, self._target.user, self._target.password)

    async def _login(self, client: SMTP, user: str, password: str) -> None:
        try:
            await client.login(user, password)
        except SMTPAuthenticationError as refusal:
            raise self._login_refused(refusal) from None
        except (SMTPResponseException, ConnectionError):
            raise
        except SMTPException:
            raise TransientFailure("mail_login_refused", "The mail server offers no login that we can use.") from None

    @contextlib.asynccontextmanager
    async def _judged(self, letter: Letter) -> AsyncIterator[None]:
        """Turns what the library raises into one of our two failures."""
        try:
            yield
        except SMTPResponseException as refusal:
            raise self._classify(refusal, letter) from None
        except TimeoutError:
            raise
        except (SMTPException, OSError) as error:
            reason = _CONTROLS.sub(" ", _reason(error))[:_LONGEST_ANSWER]
            raise TransientFailure("mail_server_unreachable", f"The mail server cannot be reached: {reason}.") from None

    def _classify(self, refusal: SMTPResponseException, letter: Letter) -> PermanentFailure | TransientFailure:
        said = self._quote(refusal, letter.recipient, letter.sender)
        if isinstance(refusal, SMTPHeloError):
            return self._unwelcome(refusal)
        if refusal.code in _LOGIN_WANTED:
            return self._login_refused(refusal, letter.recipient, letter.sender)
        if 400 <= refusal.code <= 499:
            return TransientFailure("mail_deferred", f"The mail server asks us to try later ({said}).")
        if not 500 <= refusal.code <= 599:
            return TransientFailure("mail_server_unreachable", f"The mail server's answer is not SMTP ({said}).")
        if isinstance(refusal, SMTPRecipientRefused):
            return PermanentFailure("recipient_refused", f"The mail server refused the recipient ({said}).")
        return PermanentFailure("mail_refused", f"The mail server refused the letter ({said}).")

    def _unwelcome(self, refusal: SMTPResponseException) -> TransientFailure:
        said = self._quote(refusal)
        return TransientFailure("mail_server_unreachable", f"The mail server did not welcome us ({said}).")

    def _login_refused(self, refusal: SMTPResponseException, *addresses: str) -> TransientFailure:
        said = self._quote(refusal, *addresses)
        return TransientFailure("mail_login_refused", f"The mail server wants a login, or another one ({said}).")

    def _quote(self, refusal: SMTPResponseException, *addresses: str) -> str:
        """The code and the server's words in one short line, without the addresses and the login they may repeat."""
        text = _CONTROLS.sub(" ", refusal.message).strip()
        for secret in (*addresses, *_spellings(self._target)):
            text = re.sub(re.escape(secret), "…", text, flags=re.IGNORECASE)
        return f"{refusal.code} {text[:_LONGEST_ANSWER]}".strip()


async def _offer(client: SMTP, letter: Letter, content: bytes) -> None:
    """One transaction by hand, not `sendmail`: the command that failed decides what the failure means."""
    await client.mail(letter.sender)
    await client.rcpt(letter.recipient)
    await client.data(content)


async def _quit(client: SMTP) -> None:
    """Says goodbye. The letter is already the server's, so nothing that happens here may look like a failure."""
    with contextlib.suppress(TimeoutError, SMTPException, OSError):
        async with asyncio.timeout(_QUIT_SECONDS):
            await client.quit()
    _abandon(client)


def _abandon(client: SMTP) -> None:
    """Drops the connection at once; closing politely would wait for a server that has stopped reading."""
    transport = client.transport
    client.close()
    if transport is not None:
        cast(asyncio.WriteTransport, transport).abort()


def _spellings(target: SmtpTarget) -> list[str]:
    """The login in each form the protocol carries it, longest first so that no part of one is left standing."""
    if target.user is None or target.password is None:
        return []
    plain = [target.password, target.user]
    packed = [b64encode(text.encode()).decode() for text in (f"\0{target.user}\0{target.password}", *plain)]
    return sorted([*packed, *plain], key=len, reverse=True)


def _reason(error: Exception) -> str:
    """What the TLS library, the resolver or the operating system said, in words that name neither host nor address."""
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate was not accepted ({cause.verify_message})"
    if isinstance(cause, ssl.SSLError):
        return "no secure connection"
    if isinstance(cause, socket.gaierror):
        return "its host name was not found"
    if isinstance(cause, OSError):
        return os.strerror(cause.errno) if cause.errno else "the connection was cut"
    return str(cause)
