"""Callbacks over real HTTP: signed so that the published library verifies them, and judged by the answer."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from core.domain.jobs import JobFailure, PermanentFailure, TransientFailure
from tests.support.receiver import Manner, Received, Receiver, Reply
from tests.worker.stories import make_job
from worker.jobs.post_callback import deliver
from worker.outbound import LONGEST_WAIT_SECONDS, Outbound, read_retry_after
from worker.webhooks import sign

DOCUMENT: dict[str, object] = {"id": "V1StGXR8_Z5jdHi6B-myT", "status": "completed", "note": "ünïcode 😀"}
NOW = datetime(2026, 11, 21, 18, 0, tzinfo=UTC)


def new_secret() -> str:
    return "whsec_" + base64.b64encode(os.urandom(24)).decode()


async def post(receiver: Receiver, secrets: Sequence[str]) -> Received:
    async with Outbound(allow_private=True) as outbound:
        await deliver(outbound, receiver.url, make_job(), DOCUMENT, secrets)
    return await receiver.next()


async def failure_of(reply: Reply) -> JobFailure:
    async with Receiver() as receiver:
        receiver.script(reply)
        with pytest.raises(JobFailure) as caught:
            await post(receiver, [new_secret()])
    return caught.value


async def test_a_callback_verifies_and_tells_what_the_api_tells() -> None:
    secret = new_secret()
    async with Receiver() as receiver:
        request = await post(receiver, [secret])
    event = Webhook(secret).verify(request.body, dict(request.headers))
    assert event == {"type": "job.finished", "timestamp": "2026-11-21T17:48:07.250000+00:00", "data": DOCUMENT}
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == "msg_V1StGXR8_Z5jdHi6B-myT"


async def test_the_id_and_body_stay_the_same_on_every_try() -> None:
    secret = new_secret()
    async with Receiver() as receiver:
        first, second = await post(receiver, [secret]), await post(receiver, [secret])
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


async def test_old_and_new_secret_both_verify_while_one_replaces_the_other() -> None:
    old, new, stranger = new_secret(), new_secret(), new_secret()
    async with Receiver() as receiver:
        request = await post(receiver, [new, old])
    for secret in (old, new):
        Webhook(secret).verify(request.body, dict(request.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(stranger).verify(request.body, dict(request.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(request.body + b" ", dict(request.headers))


def test_the_signed_time_does_not_depend_on_the_zone_it_is_given_in() -> None:
    secret = new_secret()
    elsewhere = NOW.astimezone(timezone(timedelta(hours=-7)))
    assert sign("msg_1", NOW, b"{}", [secret]) == sign("msg_1", elsewhere, b"{}", [secret])


@pytest.mark.parametrize(
    ("secrets", "code"),
    [
        ([], "signing_secret_missing"),
        ([""], "signing_secret_unusable"),
        (["whsec_"], "signing_secret_unusable"),
        (["whsec_a"], "signing_secret_unusable"),
        ([new_secret(), "whsec_ä"], "signing_secret_unusable"),
    ],
)
async def test_nothing_is_ever_sent_unsigned(secrets: list[str], code: str) -> None:
    async with Receiver() as receiver:
        with pytest.raises(PermanentFailure) as failure:
            await post(receiver, secrets)
        assert failure.value.code == code
        assert not receiver.requests


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_any_2xx_is_accepted(status: int) -> None:
    async with Receiver() as receiver:
        receiver.script(Reply(status))
        await post(receiver, [new_secret()])


@pytest.mark.parametrize("status", [300, 301, 302, 304, 307, 308, 400, 401, 403, 404, 405, 410, 413, 422, 451])
async def test_a_refusal_is_final(status: int) -> None:
    failure = await failure_of(Reply(status, {"Location": "/elsewhere", "Retry-After": "1"}))
    assert (type(failure), failure.code) == (PermanentFailure, "callback_refused")
    assert str(status) in failure.message


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 599])
async def test_trouble_of_the_moment_is_tried_again(status: int) -> None:
    failure = await failure_of(Reply(status))
    assert isinstance(failure, TransientFailure)
    assert (failure.code, failure.retry_after) == ("callback_deferred", None)
    assert str(status) in failure.message


@pytest.mark.parametrize("status", [429, 503])
async def test_the_receiver_may_say_when(status: int) -> None:
    failure = await failure_of(Reply(status, {"Retry-After": "17"}))
    assert isinstance(failure, TransientFailure)
    assert failure.retry_after == 17.0


async def test_a_dropped_answer_is_tried_again() -> None:
    failure = await failure_of(Reply(manner=Manner.CUT))
    assert (type(failure), failure.code) == (TransientFailure, "target_unreachable")


async def test_a_private_address_is_refused_unless_allowed() -> None:
    async with Receiver() as receiver, Outbound(allow_private=False) as outbound:
        with pytest.raises(PermanentFailure) as failure:
            await deliver(outbound, receiver.url, make_job(), DOCUMENT, [new_secret()])
        assert failure.value.code == "target_refused"
        assert not receiver.requests


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        (" 5 ", 5.0),
        ("899", 899.0),
        ("901", LONGEST_WAIT_SECONDS),
        ("9" * 5_000, LONGEST_WAIT_SECONDS),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(days=9), usegmt=True), 0.0),
        (format_datetime(NOW + timedelta(days=9), usegmt=True), LONGEST_WAIT_SECONDS),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_WAIT_SECONDS),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("1e3", None),
        ("\u0665", None),
        ("soon", None),
        ("Sat, 99 Nov 2026 18:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms_and_capped(value: str | None, seconds: float | None) -> None:
    assert read_retry_after(value, NOW) == seconds


@given(st.text(max_size=60))
def test_no_retry_after_breaks_us(value: str) -> None:
    seconds = read_retry_after(value, NOW)
    assert seconds is None or 0 <= seconds <= LONGEST_WAIT_SECONDS


@given(st.binary(min_size=1, max_size=64), st.text(max_size=50))
def test_any_key_and_body_verify(key: bytes, text: str) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    body = json.dumps(text).encode()
    headers = sign("msg_1", datetime.now(UTC), body, [secret])
    assert Webhook(secret).verify(body, headers) == text
