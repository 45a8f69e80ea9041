"""Letters over real SMTP: handed over, encrypted, logged in, and every way of being told no."""

from __future__ import annotations

import asyncio
import smtplib
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from core.domain.jobs import LEASE_SECONDS, JobFailure, PermanentFailure, TransientFailure
from core.settings import SettingsError
from tests.support.certificates import make_certificate
from tests.support.smtp import SmtpCatcher, Stage
from worker.mail.mailer import SEND_SECONDS, Letter, Mailer, SmtpSecurity, SmtpTarget, compose, parse_smtp_url

LETTER = Letter(
    sender="penstock@example.com",
    recipient="ops@example.org",
    message_id="<V1StGXR8_Z5jdHi6B-myT@example.com>",
    date=datetime(2026, 11, 21, 17, 48, tzinfo=UTC),
    subject="Deleted 3 versions of “Pumpe”",
    text="Hello\n.\nünïcode\n",
    html="<p>Hello</p>\n",
)

SHORT = 0.4
"""Seconds for servers that never answer; the others are given the real deadline."""


def mailer_for(catcher: SmtpCatcher, login: str = "", seconds: float = SEND_SECONDS) -> Mailer:
    return Mailer(parse_smtp_url(catcher.url.replace("://", f"://{login}")), send_seconds=seconds)


async def failure_of(sending: Awaitable[None]) -> JobFailure:
    with pytest.raises(JobFailure) as caught:
        await sending
    assert "example" not in caught.value.message
    assert "127.0.0.1" not in caught.value.message
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 300
    return caught.value


@asynccontextmanager
async def raw_server(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[SmtpTarget]:
    """A server that speaks as `answer` does, for what no mail server does on purpose."""
    writers: list[asyncio.StreamWriter] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            await answer(reader, writer)
        except ConnectionError:
            writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield SmtpTarget("127.0.0.1", server.sockets[0].getsockname()[1], SmtpSecurity.PLAIN)
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await server.wait_closed()


async def test_a_letter_arrives_as_it_was_composed() -> None:
    async with SmtpCatcher() as catcher:
        await mailer_for(catcher).send(LETTER)
        caught = await catcher.next()
    assert (caught.sender, caught.recipients) == (LETTER.sender, (LETTER.recipient,))
    assert not caught.encrypted
    assert not caught.logged_in
    message = caught.message
    assert message["Subject"] == LETTER.subject
    assert message["Message-ID"] == LETTER.message_id
    assert message["Auto-Submitted"] == "auto-generated"
    text = message.get_body(("plain",))
    assert text is not None
    assert text.get_content().splitlines() == ["Hello", ".", "ünïcode"]


async def test_the_standard_library_receives_the_same_bytes() -> None:
    """What we compose is what any other client would send: nothing depends on one library's dot-stuffing."""
    async with SmtpCatcher() as catcher:
        wire = compose(LETTER)
        await Mailer(parse_smtp_url(catcher.url)).send(LETTER)

        def send() -> None:
            with smtplib.SMTP("127.0.0.1", catcher.port, timeout=10) as client:
                client.sendmail(LETTER.sender, [LETTER.recipient], wire)

        await asyncio.to_thread(send)
        ours, theirs = await catcher.next(), await catcher.next()
    assert theirs.content == wire

    def head(content: bytes) -> bytes:
        return content.partition(b"MIME-Version")[0]

    assert head(ours.content) == head(theirs.content)


@pytest.mark.needs_tools
@pytest.mark.parametrize("at_once", [False, True])
async def test_an_encrypted_connection_wants_a_certificate_we_trust(at_once: bool, tmp_path: Path) -> None:
    server, client = make_certificate(tmp_path)
    async with SmtpCatcher(tls=server) if at_once else SmtpCatcher(starttls=server) as catcher:
        target = parse_smtp_url(catcher.url.replace("://", "://postmaster:s3cret@"))
        await Mailer(target, tls=client).send(LETTER)
        caught = await catcher.next()
        assert caught.encrypted
        assert caught.logged_in
        failure = await failure_of(Mailer(target).send(LETTER))
        assert isinstance(failure, TransientFailure)
        assert failure.code == "mail_server_unreachable"
        assert "certificate" in failure.message
        assert len(catcher.letters) == 1


async def test_starttls_is_never_given_up_silently() -> None:
    async with SmtpCatcher() as catcher:
        url = catcher.url.replace("smtp://", "smtp+starttls://postmaster:s3cret@")
        failure = await failure_of(Mailer(parse_smtp_url(url)).send(LETTER))
        assert (type(failure), failure.code) == (TransientFailure, "mail_server_unreachable")
        assert "STARTTLS" in failure.message
        assert not catcher.letters


async def test_a_login_is_used() -> None:
    async with SmtpCatcher(user="us@er", password="p:/?#%ü") as catcher:
        await mailer_for(catcher, "us%40er:p%3A%2F%3F%23%25%C3%BC@").send(LETTER)
        assert (await catcher.next()).logged_in


async def test_a_refused_login_waits_for_the_operator_and_is_not_repeated_in_the_message() -> None:
    async with SmtpCatcher() as catcher:
        failure = await failure_of(mailer_for(catcher, "postmaster:wrong-secret@").send(LETTER))
        assert (type(failure), failure.code) == (TransientFailure, "mail_login_refused")
        assert "535" in failure.message
        assert "wrong-secret" not in failure.message
        assert not catcher.letters


async def test_a_server_without_logins_is_told_apart_from_one_that_is_away() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        while await reader.readline():
            writer.write(b"250 plain\r\n")

    async with raw_server(answer) as target:
        wanted = SmtpTarget(target.host, target.port, target.security, "user", "password")
        failure = await failure_of(Mailer(wanted).send(LETTER))
    assert (type(failure), failure.code) == (TransientFailure, "mail_login_refused")


async def test_a_server_that_only_knows_the_old_greeting_still_gets_the_letter() -> None:
    content: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        while line := await reader.readline():
            if line == b"DATA\r\n":
                writer.write(b"354 go on\r\n")
                content.append(await reader.readuntil(b"\r\n.\r\n"))
            writer.write(b"502 what?\r\n" if line.startswith(b"EHLO") else b"250 fine\r\n")

    async with raw_server(answer) as target:
        await Mailer(target).send(LETTER)
    assert LETTER.message_id.encode() in content[0]


async def test_a_server_that_refuses_both_greetings_says_nothing_about_the_letter() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        while await reader.readline():
            writer.write(b"550 I do not know you\r\n")

    async with raw_server(answer) as target:
        failure = await failure_of(Mailer(target).send(LETTER))
    assert (type(failure), failure.code) == (TransientFailure, "mail_server_unreachable")


async def test_what_a_server_repeats_of_our_login_is_taken_out() -> None:
    token = b64encode(b"\0user@example.com\0hunter2").decode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        await reader.readline()
        writer.write(b"250-plain\r\n250 AUTH PLAIN\r\n")
        await reader.readline()
        writer.write(f"535 unknown USER@example.com hunter2 {token} 'AUTH PLAIN'\r\n".encode())
        await reader.read()

    async with raw_server(answer) as target:
        wanted = SmtpTarget(target.host, target.port, target.security, "user@example.com", "hunter2")
        failure = await failure_of(Mailer(wanted).send(LETTER))
    assert failure.code == "mail_login_refused"
    for secret in ("hunter2", token, "user@"):
        assert secret.lower() not in failure.message.lower()


@pytest.mark.parametrize(
    ("stage", "answer", "kind", "code"),
    [
        ("RCPT", "550 5.1.1 <ops@example.org>: user OPS@example.org unknown", PermanentFailure, "recipient_refused"),
        ("RCPT", "553 5.1.3 bad address", PermanentFailure, "recipient_refused"),
        ("RCPT", "450 4.2.1 greylisted, come back", TransientFailure, "mail_deferred"),
        ("RCPT", "452 4.2.2 mailbox full", TransientFailure, "mail_deferred"),
        ("RCPT", "421 4.3.2 closing", TransientFailure, "mail_deferred"),
        ("MAIL", "550 5.7.1 penstock@example.com may not send", PermanentFailure, "mail_refused"),
        ("MAIL", "451 4.3.0 later", TransientFailure, "mail_deferred"),
        ("MAIL", "530 5.7.0 penstock@example.com needs authentication", TransientFailure, "mail_login_refused"),
        ("DATA", "554 5.7.1 looks like spam", PermanentFailure, "mail_refused"),
        ("DATA", "552 5.3.4 too big", PermanentFailure, "mail_refused"),
        ("DATA", "451 4.3.0 disk full", TransientFailure, "mail_deferred"),
        ("DATA", "550 " + "x" * 480, PermanentFailure, "mail_refused"),
        ("RCPT", "550-5.1.1 first line\r\n550 5.1.1 second\tline\x1b[31m", PermanentFailure, "recipient_refused"),
        ("RCPT", "777 no such code", TransientFailure, "mail_server_unreachable"),
        ("RCPT", "hello there", TransientFailure, "mail_server_unreachable"),
    ],
)
async def test_what_the_server_says_decides_whether_to_try_again(
    stage: Stage, answer: str, kind: type[JobFailure], code: str
) -> None:
    async with SmtpCatcher() as catcher:
        catcher.answer(stage, answer)
        failure = await failure_of(mailer_for(catcher).send(LETTER))
        assert (type(failure), failure.code) == (kind, code)
        assert failure.message.isprintable()
        if answer[:3].isdigit():
            assert answer[:3] in failure.message
        assert not catcher.letters
        catcher.behave()
        await mailer_for(catcher).send(LETTER)
        assert len(catcher.letters) == 1


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
async def test_a_cut_connection_is_tried_again(stage: Stage) -> None:
    async with SmtpCatcher() as catcher:
        catcher.cut(stage)
        failure = await failure_of(mailer_for(catcher).send(LETTER))
        assert (type(failure), failure.code) == (TransientFailure, "mail_server_unreachable")


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
async def test_a_silent_server_is_left_at_the_deadline(stage: Stage) -> None:
    async with SmtpCatcher() as catcher:
        catcher.fall_silent(stage)
        failure = await failure_of(mailer_for(catcher, seconds=SHORT).send(LETTER))
        assert (type(failure), failure.code) == (TransientFailure, "mail_timeout")
        assert not catcher.letters


@pytest.mark.parametrize("greeting", [b"", b"2", b"220-hello\r\n"])
async def test_a_server_that_never_finishes_its_greeting_is_left_at_the_deadline(greeting: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await reader.read()

    async with raw_server(answer) as target:
        failure = await failure_of(Mailer(target, send_seconds=SHORT).send(LETTER))
    assert (type(failure), failure.code) == (TransientFailure, "mail_timeout")


@pytest.mark.parametrize(
    "greeting", [b"554 no service\r\n", b"421 busy\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"2" * 100_000]
)
async def test_a_server_that_does_not_welcome_us_says_nothing_about_the_letter(greeting: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await writer.drain()
        writer.close()

    async with raw_server(answer) as target:
        failure = await failure_of(Mailer(target).send(LETTER))
    assert (type(failure), failure.code) == (TransientFailure, "mail_server_unreachable")


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
async def test_nobody_there(host: str) -> None:
    async with SmtpCatcher() as catcher:
        port = catcher.port
    failure = await failure_of(Mailer(SmtpTarget(host, port, SmtpSecurity.PLAIN)).send(LETTER))
    assert (type(failure), failure.code) == (TransientFailure, "mail_server_unreachable")


async def test_a_server_that_ignores_goodbye_has_still_taken_the_letter() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        content = False
        while line := await reader.readline():
            if line == b"QUIT\r\n" or (content and line != b".\r\n"):
                continue
            content = line == b"DATA\r\n"
            writer.write(b"354 go on\r\n" if content else b"250 fine\r\n")

    async with raw_server(answer) as target:
        await Mailer(target).send(LETTER)


async def test_a_letter_that_cannot_be_sent_safely_opens_no_connection() -> None:
    fields = {name: getattr(LETTER, name) for name in LETTER.__slots__}
    target = SmtpTarget("127.0.0.1", 1, SmtpSecurity.PLAIN)
    with pytest.raises(PermanentFailure) as failure:
        await Mailer(target).send(Letter(**fields | {"recipient": "ops@example.org>\r\nRCPT TO:<other@example.org"}))
    assert failure.value.code == "letter_malformed"


async def test_no_connection_is_left_behind() -> None:
    def open_files() -> int:
        return int(psutil.Process().num_fds())

    async with SmtpCatcher() as catcher:
        catcher.fall_silent("DATA")
        await failure_of(mailer_for(catcher, seconds=0.05).send(LETTER))
        before = open_files()
        for _ in range(5):
            await failure_of(mailer_for(catcher, seconds=0.05).send(LETTER))
    assert open_files() <= before


def test_the_deadline_leaves_time_to_settle_the_job() -> None:
    assert SEND_SECONDS + 1.0 < LEASE_SECONDS


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("smtp://mail", SmtpTarget("mail", 25, SmtpSecurity.PLAIN)),
        ("smtp://mail:1025/", SmtpTarget("mail", 1025, SmtpSecurity.PLAIN)),
        ("smtp+starttls://mail", SmtpTarget("mail", 587, SmtpSecurity.STARTTLS)),
        ("SMTPS://Mail.Example", SmtpTarget("mail.example", 465, SmtpSecurity.TLS)),
        ("smtps://[::1]:465", SmtpTarget("::1", 465, SmtpSecurity.TLS)),
        ("smtp://u%40x:p%2F%C3%BC@mail", SmtpTarget("mail", 25, SmtpSecurity.PLAIN, "u@x", "p/ü")),
    ],
)
def test_smtp_urls_are_read(url: str, target: SmtpTarget) -> None:
    assert parse_smtp_url(url) == target


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mail:25",
        "http://mail",
        "smtp:mail",
        "smtp://",
        "smtp://:25",
        "smtp://mail:0",
        "smtp://mail:99999",
        "smtp://mail:x",
        "smtp://mail/path",
        "smtp://mail?tls=1",
        "smtp://mail#x",
        "smtp://user:hunter2#x@mail",
        "smtp://user:hunter2/x@mail",
        "smtp://user@mail",
        "smtp://:hunter2@mail",
        "smtp://user:%FF@mail",
        "smtp://user:hunter 2@mail",
        "smtp://ma\nil",
        "smtp://mäil",
        "smtp://[::1",
    ],
)
def test_an_unusable_smtp_url_is_explained_without_being_repeated(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^SMTP_URL cannot be read; set it to smtp://") as error:
        parse_smtp_url(url)
    assert "hunter" not in str(error.value)


def test_a_target_shows_no_password() -> None:
    assert "hunter2" not in repr(parse_smtp_url("smtp://user:hunter2@mail"))
