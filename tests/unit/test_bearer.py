"""Login tokens: what is issued is read back, and nothing but what was issued is verified."""

from __future__ import annotations

import os
import secrets
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.access import TOKEN_PREFIX, new_credential
from core.domain.bearer import EARLY, LIFETIME, MOST_TOKEN, Bearer, is_login_token, issue, new_signing_key, read, verify
from core.domain.errors import Unauthenticated

ISSUER = "http://penstock.example"
NOW = datetime(2026, 11, 21, 10, 0, 0, 250_000, UTC)
KEY = new_signing_key(os.urandom, secrets.token_urlsafe)


SOMEBODY = Bearer(7, 1)


def token(bearer: Bearer = SOMEBODY) -> str:
    return issue(bearer, KEY, issuer=ISSUER, token_id="abc", now=NOW)


@pytest.mark.parametrize("bearer", [Bearer(1, 1), Bearer(2**63 - 1, 2**31 - 1), Bearer(7, 3, 2**63 - 1)])
def test_what_was_issued_is_read_back(bearer: Bearer) -> None:
    shown = read(token(bearer))
    assert (shown.bearer, shown.key_name) == (bearer, KEY.name)
    verify(shown, KEY.secret, issuer=ISSUER, now=NOW)


@pytest.mark.parametrize(
    ("offset", "good"),
    [
        (timedelta(0), True),
        (LIFETIME - timedelta(seconds=2), True),
        (LIFETIME, False),
        (timedelta(days=3650), False),
        (-EARLY, True),
        (-EARLY - timedelta(seconds=2), False),
    ],
)
def test_a_token_holds_for_a_day_from_when_it_was_issued(offset: timedelta, good: bool) -> None:
    """By the time it is given, whatever the clock of this process says."""
    shown = read(token())
    if good:
        verify(shown, KEY.secret, issuer=ISSUER, now=NOW + offset)
        return
    with pytest.raises(Unauthenticated):
        verify(shown, KEY.secret, issuer=ISSUER, now=NOW + offset)


def test_another_key_or_issuer_verifies_nothing() -> None:
    shown = read(token())
    for secret, issuer in ((os.urandom(32), ISSUER), (KEY.secret, "http://other.example"), (KEY.secret, "")):
        with pytest.raises(Unauthenticated):
            verify(shown, secret, issuer=issuer, now=NOW)


def test_the_two_kinds_of_bearer_tokens_tell_themselves_apart() -> None:
    assert is_login_token(token())
    assert not any(is_login_token(new_credential(TOKEN_PREFIX, secrets.token_urlsafe)) for _ in range(1_000))
    for text in ("", ".", "..", "a.b", "a..b", "a.b.c.d", "a.b.c\n", "a.b.\u00fc", "a.b." + "x" * MOST_TOKEN):
        assert not is_login_token(text), text


@given(st.text(max_size=60) | st.builds(".".join, st.lists(st.text(max_size=40), min_size=3, max_size=3)))
@settings(max_examples=300)
def test_any_text_is_read_or_refused(text: str) -> None:
    with pytest.raises(Unauthenticated):
        read(text)


@given(st.integers(0, len(token()) - 1), st.sampled_from("Ab0-_."))
@settings(max_examples=300)
def test_a_token_changed_anywhere_is_refused_unless_it_says_the_same(at: int, character: str) -> None:
    """The last character of a signature holds bits that mean nothing."""
    good = token()
    changed = good[:at] + character + good[at + 1 :]
    if changed == good or at == len(good) - 1:
        return
    with pytest.raises(Unauthenticated):
        verify(read(changed), KEY.secret, issuer=ISSUER, now=NOW)


def test_keys_differ() -> None:
    keys = [new_signing_key(os.urandom, secrets.token_urlsafe) for _ in range(100)]
    assert len({key.name for key in keys}) == len({key.secret for key in keys}) == 100
    assert all(len(key.secret) == 32 for key in keys)
