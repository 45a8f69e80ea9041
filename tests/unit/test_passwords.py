"""Passwords: which are taken, how they are kept, and that nobody's takes as long as somebody's."""

from __future__ import annotations

import time

import argon2
import pytest

from core.domain.errors import Invalid
from core.domain.passwords import LEAST_PASSWORD, MOST_PASSWORD, check_password, hash_password, judge

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def stored() -> str:
    return hash_password(PASSWORD)


def test_what_is_kept_is_an_argon2id_hash_with_a_salt_of_its_own(stored: str) -> None:
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert hash_password(PASSWORD) != stored
    assert argon2.PasswordHasher().verify(stored, PASSWORD), "any other library can read it"


def test_only_the_password_is_right(stored: str) -> None:
    assert judge(stored, PASSWORD).right
    for other in ("", PASSWORD[:-1], PASSWORD + " ", PASSWORD.upper(), PASSWORD + "\0", "x" * MOST_PASSWORD, "\ud800"):
        assert not judge(stored, other).right


@pytest.mark.parametrize("password", [PASSWORD, "", "x" * MOST_PASSWORD])
def test_nobodys_password_is_never_right(password: str) -> None:
    assert not judge(None, password).right


@pytest.mark.parametrize("stored", ["", "nonsense", "$argon2id$", "$2b$12$" + "x" * 53, "plain text"])
def test_what_is_no_hash_opens_for_nobody(stored: str) -> None:
    assert not judge(stored or "x", PASSWORD).right


def test_an_umlaut_is_the_same_however_it_was_typed() -> None:
    assert judge(hash_password("M\u00fcnchner Stra\u00dfe"), "Mu\u0308nchner Stra\u00dfe").right


def test_a_hash_of_other_parameters_is_right_and_to_be_renewed(stored: str) -> None:
    old = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    verdict = judge(old, PASSWORD)
    assert verdict.right
    assert verdict.renewed is not None
    assert judge(verdict.renewed, PASSWORD) == judge(stored, PASSWORD)
    assert judge(stored, PASSWORD).renewed is None
    assert judge(old, "wrong password").renewed is None


def test_nobodys_takes_as_long_as_somebodys(stored: str) -> None:
    """The best of several, since the machine is busy with other things; a missing hash would take a thousandth."""
    somebodys, nobodys = (min(_seconds(each) for _ in range(7)) for each in (stored, None))
    assert 0.5 < nobodys / somebodys < 2


def _seconds(stored: str | None) -> float:
    begun = time.thread_time()
    judge(stored, "wrong password")
    return time.thread_time() - begun


@pytest.mark.parametrize("password", ["x" * LEAST_PASSWORD, "x" * MOST_PASSWORD, "\U0001f600" * 12, " " * 12])
def test_what_will_do_comes_back_as_it_was_given(password: str) -> None:
    assert check_password(password) == password


@pytest.mark.parametrize(
    "password", ["", "x" * (LEAST_PASSWORD - 1), "x" * (MOST_PASSWORD + 1), "x" * 12 + "\0", "x" * 12 + "\udfff"]
)
def test_what_will_not_do_is_refused(password: str) -> None:
    with pytest.raises(Invalid) as refusal:
        check_password(password)
    assert refusal.value.path == "password"
    assert len(refusal.value.message) < 100, "a message never repeats a password"
